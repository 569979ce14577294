/**
 * The proof that each nasty part of the simulations is worth it: with a planted fault a life fails, and it passes when the
 * kindness is put back. Both are replacements in a copy of the sources. Each row builds and lives for half a minute, so
 * `.ci/run` tries some of them, and `KEELSON_TIER=all` each.
 */
import { describe, expect, test } from 'vitest'
import { kindnesses } from './support/kindness/kindnesses.ts'
import { tried } from './support/kindness/trial.ts'
import { sampled } from './support/tier.ts'

const tries = sampled(kindnesses, 2)

describe.each(tries)('$name', ({ name, kind, fault, life, seeds: [first, last] }) => {
  const seeds = Array.from({ length: last - first + 1 }, (_, at) => first + at)
  const folder = name.replace(/\W+/g, '-')

  test('hides a planted fault, which a life finds without it', { timeout: 600_000 }, async () => {
    const found = await tried(folder, fault, life, seeds)
    if (process.env.KEELSON_TALLY) console.log(name, JSON.stringify(found).slice(0, 300))
    expect(found).toMatchObject({ seed: expect.any(Number), error: expect.any(String) })
    expect(await tried(folder, [...fault, ...kind], life, seeds)).toEqual({})
  })
})
