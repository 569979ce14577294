/**
 * Random lives of links, each from one seed: peers that break the protocol, and members that send to
 * each other past cuts, delays and stops. A life that fails says what did not hold.
 *
 * `npm run simulate -- links --seeds 10000` lives both kinds in turns.
 */
import { describe, expect, test } from 'vitest'
import { liveLinks } from '../support/lives/link-life.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedParts } from '../support/tier.ts'

describe('links between members', () => {
  test.each(seedParts(40, 10_000))(
    'keep what they promise in the lives from $from to $to',
    async ({ seeds }) => {
      const tally = sumOf(await liveSeeds(seeds, liveLinks))
      if (seeds.length < 40) return
      const outcomes = ['answered', 'sent', 'refused', 'NOT_SUBMITTED', 'NO_PROCESS', 'TIMEOUT']
      const fuzz = ['peers', 'messages', 'warnings'].map((each) => `fuzz.${each}`)
      const expected = ['UNKNOWN_OUTCOME', ...outcomes].map((each) => `messages.${each}`)
      for (const what of [...expected, ...fuzz]) expect(tally[what], what).toBeGreaterThan(0)
    },
    600_000,
  )
})
