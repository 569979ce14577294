/**
 * Random lives of durable actors, each from one seed, against a model: `test/support/entity-life.ts`.
 *
 * `KEELSON_SEEDS=5000 npx vitest run test/simulation/entities.test.ts`; one life: `KEELSON_SEED=123 …`.
 */
import { expect, test } from 'vitest'
import { liveEntities } from '../support/entity-life.ts'
import { liveSeeds, sumOf } from '../support/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'

const seeds = seedsOf(16, 1_000)

test(`what durable actors promise holds in ${seeds.length} random lives`, async () => {
  const tally = sumOf(await liveSeeds(seeds, liveEntities))

  if (seeds.length < 10) return
  for (const what of [
    'replies',
    'messages',
    'steps',
    'alarms',
    'indexes',
    'counters',
    'failed.LOCKED',
  ])
    expect(tally[what], what).toBeGreaterThan(seeds.length / 10)
}, 3_600_000)
