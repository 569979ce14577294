/** Random lives of a store over a split. */
import fc from 'fast-check'
import { test } from 'vitest'
import { liveSplit, splitLife } from '../../support/lives/split-life.ts'
import { countOf } from '../../support/tier.ts'

const lives = countOf('KEELSON_SPLITS', 4, 6_000)
const seed = process.env.KEELSON_SEED ? { seed: Number(process.env.KEELSON_SEED) } : {}

test('random writes before and after a split are answered, and leave the rows, as the model says', {
  tags: ['SH4'],
}, async () => {
  await fc.assert(fc.asyncProperty(splitLife, liveSplit), { numRuns: lives, ...seed })
})
