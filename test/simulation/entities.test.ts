/**
 * Random lives of durable actors, each from one seed, against a model: `test/support/entity-life.ts`.
 *
 * `KEELSON_SEEDS=5000 npx vitest run test/simulation/entities.test.ts`; one life: `KEELSON_SEED=123 …`.
 */
import { expect, test } from 'vitest'
import { liveEntities } from '../support/entity-life.ts'
import { countOf } from '../support/tier.ts'

const only = process.env.KEELSON_SEED
const count = countOf('KEELSON_SEEDS', 24, 2_000)
const seeds = only ? [Number(only)] : Array.from({ length: count }, (_, at) => at + 1)

test(`what durable actors promise holds in ${seeds.length} random lives`, async () => {
  const tally: Record<string, number> = {}
  for (const seed of seeds) {
    const lived = await liveEntities(seed).catch((cause) => {
      const again = `KEELSON_SEED=${seed} npx vitest run test/simulation/entities.test.ts`
      throw new Error(`seed ${seed} fails: ${again}`, { cause })
    })
    for (const [what, times] of Object.entries(lived)) tally[what] = (tally[what] ?? 0) + times
  }
  if (!only)
    for (const what of ['replies', 'messages', 'steps', 'alarms', 'indexes', 'failed.LOCKED'])
      expect(tally[what]).toBeGreaterThan(seeds.length / 10)
}, 3_600_000)
