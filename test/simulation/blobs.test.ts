/** Lives of instances with large values. More with `KEELSON_SEEDS=10000 npx vitest run test/simulation/blobs.test.ts`. */
import { expect, test } from 'vitest'
import { BlobLife, type BlobStory } from '../support/blob-life.ts'
import { countOf } from '../support/tier.ts'

const seeds = countOf('KEELSON_SEEDS', 5, 100)
const first = Number(process.env.KEELSON_SEED ?? 1)

/** So many lives a test: what they leave behind is let go of with its end. */
const atOnce = 100
const parts = Array.from({ length: Math.ceil(seeds / atOnce) }, (_, part) => {
  const from = first + part * atOnce
  return { from, to: Math.min(from + atOnce, first + seeds) - 1 }
})

test.each(parts)(
  'what is acknowledged stays readable, and what nobody refers to goes, whatever happens (seeds $from to $to)',
  async ({ from, to }) => {
    const sum: Partial<BlobStory> = {}
    for (let seed = from; seed <= to; seed++) {
      const story = await new BlobLife(seed).run(30)
      for (const [what, count] of Object.entries(story))
        sum[what as keyof BlobStory] = (sum[what as keyof BlobStory] ?? 0) + count
    }
    const lives = to - from + 1
    for (const what of ['writes', 'crashes', 'sweeps', 'abandoned', 'refused'] as const)
      expect(sum[what], what).toBeGreaterThan(lives / 2)
    expect(sum.freed).toBeGreaterThan(lives * 4096)
  },
  60_000 + atOnce * 2_000,
)
