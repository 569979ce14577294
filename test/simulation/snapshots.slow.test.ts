/** Lives of instances that make snapshots all the time. More with `KEELSON_SEEDS=10000 npx vitest run test/simulation/snapshots.slow.test.ts`. */
import { expect, test } from 'vitest'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { SnapshotLife } from '../support/lives/snapshot-life.ts'
import { seedParts } from '../support/tier.ts'

test.each(seedParts(3, 1_000))(
  'a snapshot and the log behind it are the projection, whatever happens (seeds $from to $to)',
  async ({ seeds }) => {
    const sum = sumOf(await liveSeeds(seeds, (seed) => new SnapshotLife(seed).run(12)))

    if (seeds.length < 10) return
    for (const what of ['snapshots', 'released', 'crashes', 'crashesInStart', 'loads'])
      expect(sum[what], what).toBeGreaterThan(seeds.length / 2)
    expect(sum.freed).toBeGreaterThan(seeds.length * 1_000)
  },
  560_000,
)
