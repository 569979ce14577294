/** Lives of instances that make snapshots all the time. More with `KEELSON_SEEDS=10000 npx vitest run test/simulation/snapshots.test.ts`. */
import { expect, test } from 'vitest'
import { SnapshotLife, type SnapshotStory } from '../support/snapshot-life.ts'
import { seedParts } from '../support/tier.ts'

test.each(seedParts(12, 2_000))(
  'a snapshot and the log behind it are the projection, whatever happens (seeds $from to $to)',
  async ({ from, to }) => {
    const sum: Partial<SnapshotStory> = {}
    for (let seed = from; seed <= to; seed++) {
      const story = await new SnapshotLife(seed).run(12).catch((error) => {
        throw new Error(`KEELSON_SEED=${seed} KEELSON_SEEDS=1 fails`, { cause: error })
      })
      for (const [what, count] of Object.entries(story))
        sum[what as keyof SnapshotStory] = (sum[what as keyof SnapshotStory] ?? 0) + count
    }
    const lives = to - from + 1
    if (lives < 10) return
    for (const what of ['snapshots', 'released', 'crashes', 'crashesInStart', 'loads'] as const)
      expect(sum[what], what).toBeGreaterThan(lives / 2)
    expect(sum.freed).toBeGreaterThan(lives * 1_000)
  },
  560_000,
)
