/** Lives of instances with large values. More with `KEELSON_SEEDS=10000 npx vitest run test/simulation/blobs.test.ts`. */
import { expect, test } from 'vitest'
import { BlobLife } from '../support/lives/blob-life.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedParts } from '../support/tier.ts'

test.each(seedParts(2, 100))(
  'what is acknowledged stays readable, and what nobody refers to goes, whatever happens (seeds $from to $to)',
  { tags: ['slow'], timeout: 260_000 },
  async ({ seeds }) => {
    const sum = sumOf(await liveSeeds(seeds, (seed) => new BlobLife(seed).run(30)))

    if (seeds.length < 5) return
    for (const what of ['writes', 'crashes', 'sweeps', 'abandoned', 'refused'])
      expect(sum[what], what).toBeGreaterThan(seeds.length / 2)
    expect(sum.freed).toBeGreaterThan(seeds.length * 4096)
  },
)

test('a load goes on when the thread of the files dies under it', async () => {
  await expect(new BlobLife(18).run(30)).resolves.toMatchObject({ refused: expect.any(Number) })
})
