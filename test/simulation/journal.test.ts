/** Lives of applications over a journal. More with `KEELSON_SEEDS=10000 npx vitest run test/simulation/journal.test.ts`. */
import { expect, test } from 'vitest'
import { JournalLife, type JournalStory } from '../support/journal-life.ts'
import { countOf, thorough } from '../support/tier.ts'

const seeds = countOf('KEELSON_SEEDS', 100, 2_000)
const first = Number(process.env.KEELSON_SEED ?? 1)

/** A short life has fewer troubles at once; there are more of them. */
const rounds = thorough(2, 6)

/** So many lives a test: what they leave behind is let go of with its end. */
const atOnce = 100
const parts = Array.from({ length: Math.ceil(seeds / atOnce) }, (_, part) => {
  const from = first + part * atOnce
  return { from, to: Math.min(from + atOnce, first + seeds) - 1 }
})

test.each(parts)(
  'no ack and no event precedes durability, none is lost, and none comes twice (seeds $from to $to)',
  async ({ from, to }) => {
    const sum: Partial<JournalStory> = {}
    for (let seed = from; seed <= to; seed++) {
      const story = await new JournalLife(seed).run(rounds).catch((error) => {
        throw new Error(`KEELSON_SEED=${seed} KEELSON_SEEDS=1 fails`, { cause: error })
      })
      for (const [what, count] of Object.entries(story))
        sum[what as keyof JournalStory] = (sum[what as keyof JournalStory] ?? 0) + count
    }
    const lives = to - from + 1
    if (lives < 10) return
    for (const what of ['acked', 'repeated', 'unknown', 'events', 'crashes', 'replayed'] as const)
      expect(sum[what], what).toBeGreaterThan(lives / 2)
    for (const what of ['conflicts', 'released'] as const)
      expect(sum[what], what).toBeGreaterThan(lives / 50)
  },
  60_000 + atOnce * 5_000,
)
