/**
 * Random lives of entities that end and are migrated, each from one seed: `test/support/end-life.ts`.
 *
 * `KEELSON_SEEDS=5000 npx vitest run test/simulation/entity-ends.test.ts`; one life: `KEELSON_SEED=123 …`.
 */
import { expect, test } from 'vitest'
import { liveEnds } from '../support/end-life.ts'
import { liveSeeds, sumOf } from '../support/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'

const seeds = seedsOf(8, 500)

test(`what the end of entities promises holds in ${seeds.length} random lives`, async () => {
  const tally = sumOf(await liveSeeds(seeds, liveEnds))

  if (seeds.length < 10) return
  for (const what of [
    'end',
    'kept',
    'ended with keys',
    'deleted',
    'migrated',
    'crashes',
    'failed.CONFLICT',
  ])
    expect(tally[what], what).toBeGreaterThan(seeds.length / 10)
}, 3_600_000)
