/**
 * Random worlds of a store, each from one seed: `test/support/lives/store-life.ts`.
 *
 * `KEELSON_SEEDS=5000 npx vitest run test/simulation/store.test.ts`; one failing world: `KEELSON_SEED=123 …`.
 */
import { test } from 'vitest'
import { liveSeeds } from '../support/lives/seed-lives.ts'
import { liveStore } from '../support/lives/store-life.ts'
import { seedsOf } from '../support/tier.ts'

const seeds = seedsOf(3, 500)

test(`a random world keeps every acknowledged write, in ${seeds.length} worlds`, async () => {
  await liveSeeds(seeds, liveStore)
}, 600_000)
