/** Lives of instances with large values. More with `KEELSON_SEEDS=10000 npx vitest run test/simulation/blobs.test.ts`. */
import { expect, test } from 'vitest'
import { BlobLife, type BlobStory } from '../support/blob-life.ts'

const seeds = Number(process.env.KEELSON_SEEDS ?? 25)
const first = Number(process.env.KEELSON_SEED ?? 1)

test(
  `what is acknowledged stays readable, and what nobody refers to goes, whatever happens (${seeds} seeds)`,
  async () => {
    const sum: Partial<BlobStory> = {}
    for (let seed = first; seed < first + seeds; seed++) {
      const story = await new BlobLife(seed).run(30)
      for (const [what, count] of Object.entries(story))
        sum[what as keyof BlobStory] = (sum[what as keyof BlobStory] ?? 0) + count
    }
    for (const what of ['writes', 'crashes', 'sweeps', 'abandoned', 'refused'] as const)
      expect(sum[what], what).toBeGreaterThan(seeds / 2)
    expect(sum.freed).toBeGreaterThan(seeds * 4096)
  },
  60_000 + seeds * 2_000,
)
