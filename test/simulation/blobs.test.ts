/** Lives of instances with large values. More with `KEELSON_SEEDS=10000 npx vitest run test/simulation/blobs.test.ts`. */
import { expect, test } from 'vitest'
import { BlobLife, type BlobStory } from '../support/blob-life.ts'
import { seedParts } from '../support/tier.ts'

test.each(seedParts(5, 100))(
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
  260_000,
)
