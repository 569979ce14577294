/**
 * Random lives of workflows, each from one seed: a crashed run goes on as if nothing had happened.
 * `test/support/lives/flow-life.ts`.
 *
 * `KEELSON_SEEDS=20000 npx vitest run test/simulation/flows.slow.test.ts`; one life: `KEELSON_SEED=123 …`.
 */
import { expect, test } from 'vitest'
import { liveFlows } from '../support/lives/flow-life.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'

const seeds = seedsOf(8, 3_000)

test(`workflows keep their promises in ${seeds.length} random lives`, {
  timeout: 3_600_000,
  tags: ['W1', 'W2', 'W3', 'W5', 'W6', 'W7', 'W8', 'W9', 'W11'],
}, async () => {
  const tally = sumOf(await liveSeeds(seeds, liveFlows))

  if (process.env.KEELSON_TALLY) console.log(tally)
  if (seeds.length < 10) return
  const happened = ['starts', 'signals', 'cancels', 'retries', 'kills of runs', 'power cuts']
  const steered = ['forks', 'retries from', 'undos', 'updates', 'updates again']
  for (const what of steered) expect(tally[what], what).toBeGreaterThan(seeds.length / 200)
  for (const what of [...happened, 'halts', 'ended completed', 'ended failed', 'ended cancelled'])
    expect(tally[what], what).toBeGreaterThan(seeds.length / 20)
})
