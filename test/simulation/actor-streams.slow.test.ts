/**
 * Random lives of entities and runs that write streams, each from one seed. `test/support/lives/stream-life.ts`.
 *
 * `KEELSON_SEEDS=20000 npx vitest run test/simulation/actor-streams.slow.test.ts`; one life: `KEELSON_SEED=123 …`.
 */
import { expect, test } from 'vitest'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { liveStreams } from '../support/lives/stream-life.ts'
import { seedsOf } from '../support/tier.ts'

const seeds = seedsOf(20, 3_000)

test('streams of actors keep their promises in random lives', {
  tags: ['ST3', 'ST4', 'ST5', 'ST6', 'ST8', 'ST10'],
  timeout: 3_600_000,
}, async () => {
  const tally = sumOf(await liveSeeds(seeds, liveStreams))

  if (process.env.KEELSON_TALLY) console.log(tally)
  if (seeds.length < 20) return
  const often = ['turns', 'refused turns', 'removals', 'ends', 'halts', 'kills', 'power cuts']
  for (const what of [...often, 'runs', 'forks', 'removed runs'])
    expect(tally[what], what).toBeGreaterThan(seeds.length / 20)
})
