/**
 * Lives of members that share a folder, from one seed each.
 *
 * `npm run simulate -- folder --seeds 20000` lives more of them.
 */
import { describe, expect, test } from 'vitest'
import { liveFolder } from '../support/lives/folder-life.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedParts, triesAll } from '../support/tier.ts'

describe('members of a folder', () => {
  test.each(seedParts(2, triesAll ? 1_200 : 600))(
    'take calls once, in the order of each sender, in the lives from $from to $to',
    async ({ seeds }) => {
      const tally = sumOf(await liveSeeds(seeds, liveFolder))
      const work = ['calls.answered', 'casts.sent', 'writes.done', 'members.ended', 'copies.right']
      for (const what of work) expect(tally[what], what).toBeGreaterThan(0)
    },
    600_000,
  )

  test('keep the order of a sender when the shard moves to it with its messages, and from it again', async () => {
    await expect(liveFolder(2_100_633)).resolves.toMatchObject({ lives: 1 })
  })
})
