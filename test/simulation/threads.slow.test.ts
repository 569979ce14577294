/** Lives of instances whose threads die. More with `KEELSON_SEEDS=5000 npx vitest run test/simulation/threads.slow.test.ts`. */
import { expect, test } from 'vitest'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { liveStore, mortalMachine } from '../support/lives/store-life.ts'
import { ThreadLife } from '../support/lives/thread-life.ts'
import { seedParts } from '../support/tier.ts'

test.each(seedParts(5, 1_000))(
  'one death of a thread takes no shard down and loses no call (seeds $from to $to)',
  async ({ seeds }) => {
    const sum = sumOf(await liveSeeds(seeds, (seed) => new ThreadLife(seed).run(8)))

    if (seeds.length < 10) return
    for (const [what, count] of Object.entries(sum))
      expect(count, what).toBeGreaterThan(seeds.length / 4)
  },
  560_000,
)

test.each(seedParts(5, 1_000))(
  'a store whose threads die keeps every acknowledged write (seeds $from to $to)',
  async ({ seeds }) => {
    await liveSeeds(seeds, (seed) => liveStore(seed, mortalMachine))
  },
  560_000,
)
