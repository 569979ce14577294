/**
 * All commands of the store against a model, in random histories with kills, power cuts, restarts and tiny bounds.
 *
 * `KEELSON_SEEDS=10000 npx vitest run test/simulation/store-commands.test.ts`; a failing history is printed by fast-check
 * with its seed: `KEELSON_SEED=… …`.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { history, live } from '../support/lives/store-history.ts'
import { countOf } from '../support/tier.ts'

const histories = countOf('KEELSON_SEEDS', 10, 500)
const seed = process.env.KEELSON_SEED

test(`every command answers and does what the model says, in ${histories} histories`, {
  tags: ['slow'],
  timeout: 3_600_000,
}, async () => {
  let lived = 0
  await fc.assert(
    fc.asyncProperty(history, async ([place, steps]) => {
      lived++
      await live(place, steps)
    }),
    {
      numRuns: histories,
      ...(seed === undefined ? {} : { seed: Number(seed) }),
      endOnFailure: process.env.KEELSON_SHRINK === undefined,
    },
  )
  expect(lived).toBeGreaterThanOrEqual(histories)
})
