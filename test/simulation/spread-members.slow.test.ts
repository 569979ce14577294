/**
 * Lives of members that share the shards of an engine, from one seed each.
 *
 * `npm run simulate -- spread --seeds 20000` lives more of them.
 */
import { describe, expect, test } from 'vitest'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { liveSpread } from '../support/lives/spread-life.ts'
import { seedParts } from '../support/tier.ts'

describe('members of an engine', () => {
  test.each(seedParts(2, 600))(
    'take calls once, in the order of each sender, in the lives from $from to $to',
    async ({ seeds }) => {
      const tally = sumOf(await liveSeeds(seeds, liveSpread))
      const work = ['calls.answered', 'casts.sent', 'writes.done', 'members.ended', 'copies.right']
      for (const what of work) expect(tally[what], what).toBeGreaterThan(0)
    },
    1_200_000,
  )

  // An owner whose engine is away refuses a write in these, and takes later ones of its sender.
  test.each([140_210, 140_262])(
    'keep the order of writes to one key, in the life %i',
    async (seed) => {
      expect((await liveSpread(seed))['writes.done']).toBeGreaterThan(0)
    },
  )
})
