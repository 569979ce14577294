/**
 * Random lives of durable actors, each from one seed, against a model: `test/support/lives/entity-life.ts`.
 * In each the machine stops at another call to the disk.
 *
 * `KEELSON_SEEDS=5000 npx vitest run test/simulation/entities.test.ts`; one life: `KEELSON_SEED=123 …`.
 */
import { expect, test } from 'vitest'
import { haltsMax, liveEntities } from '../support/lives/entity-life.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'

const seeds = seedsOf(3, 1_000)

test(`what durable actors promise holds in ${seeds.length} random lives`, async () => {
  const tally = sumOf(await liveSeeds(seeds, liveEntities))

  if (seeds.length < 20) return
  const tries = ['tries.continue', 'tries.alarm', 'gave up', 'parked', 'unblocked']
  const work = ['background', 'applied', 'refused.EXITED', 'refused.LOCKED']
  const ends = ['ends', 'delete.true', 'failed.CONFLICT', 'migrated']
  for (const what of [
    'replies',
    'messages',
    'past',
    'past cut',
    ...tries,
    ...work,
    ...ends,
    'failed.LOCKED',
  ])
    expect(tally[what], what).toBeGreaterThan(seeds.length / 100)
  const halts = Object.keys(tally).filter((what) => what.startsWith('halt '))
  expect(halts.length).toBeGreaterThan(Math.min(seeds.length, haltsMax) / 2)
}, 3_600_000)
