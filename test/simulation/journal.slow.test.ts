/** Lives of applications over a journal. More with `KEELSON_SEEDS=10000 npx vitest run test/simulation/journal.slow.test.ts`. */
import { expect, test } from 'vitest'
import { JournalLife } from '../support/lives/journal-life.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedParts, thorough } from '../support/tier.ts'

/** A short life has fewer troubles at once; there are more of them. */
const rounds = thorough(2, 6)

test.each(seedParts(10, 2_000))(
  'no ack and no event precedes durability, none is lost, and none comes twice (seeds $from to $to)',
  async ({ seeds }) => {
    const stories = await liveSeeds(seeds, (seed) => new JournalLife(seed).run(rounds))
    const sum = sumOf(stories)

    if (seeds.length < 10) return
    for (const what of ['acked', 'repeated', 'unknown', 'events', 'crashes', 'replayed'])
      expect(sum[what], what).toBeGreaterThan(seeds.length / 2)
    for (const what of ['conflicts', 'released'])
      expect(sum[what], what).toBeGreaterThan(seeds.length / 50)
  },
  560_000,
)
