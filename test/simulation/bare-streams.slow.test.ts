/**
 * Random lives of streams by themselves, each from one seed. `test/support/lives/bare-stream-life.ts`.
 *
 * `npm run simulate -- streams --seeds 20000`; one life: `--seed 123`.
 */
import { expect, test } from 'vitest'
import { liveBareStreams } from '../support/lives/bare-stream-life.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'

const seeds = seedsOf(20, 3_000)

test('streams by themselves keep their promises in random lives', {
  tags: ['ST1', 'ST2', 'ST6', 'ST7', 'ST8', 'ST9'],
  timeout: 3_600_000,
}, async () => {
  const tally = sumOf(await liveSeeds(seeds, liveBareStreams))

  if (process.env.KEELSON_TALLY) console.log(tally)
  if (seeds.length < 20) return
  for (const what of ['appends', 'forks', 'readers', 'kills', 'power cuts', 'unknown outcomes'])
    expect(tally[what], what).toBeGreaterThan(seeds.length / 20)
})
