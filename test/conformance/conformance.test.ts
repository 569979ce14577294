/**
 * The recorded scenarios of Erlang/OTP, played on this runtime: every trace must be equal, first come, first served, and
 * in orders that seeds draw. What is not played is listed here, each with its reason, and nowhere else.
 */
import { describe, expect, test } from 'vitest'
import { play } from './adapter/driver.ts'
import { groups, type Scenario, type StepTrace } from './adapter/scenario.ts'
import { matches } from './adapter/terms.ts'

/** Behaviours that the runtime does not have yet: their areas are not played, nor scenarios elsewhere that need them. */
const missingBehaviours: Record<string, string> = {
  registry: 'Registry is not built yet',
}

/** Orders of processes that are tried besides the plain one. */
const seeds = [1, 2, 3]

const isPlayed = (area: string, scenario: Scenario): boolean =>
  !(area in missingBehaviours) &&
  !Object.values(scenario.procs).some(({ kind }) => kind in missingBehaviours)

/** The steps whose trace differs, recorded beside found. */
const differences = (scenario: Scenario, found: readonly StepTrace[]): unknown[] =>
  scenario.expected.flatMap((expected, index) =>
    matches(expected, found[index])
      ? []
      : [{ id: scenario.id, step: scenario.steps[index], expected, found: found[index] }],
  )

const all = groups()
const played = all
  .map(({ area, group, scenarios }) => ({
    title: `${area}/${group}`,
    scenarios: scenarios.filter((scenario) => isPlayed(area, scenario)),
  }))
  .filter(({ scenarios }) => scenarios.length > 0)

describe('the traces of Erlang/OTP', () => {
  for (const { title, scenarios } of played) {
    test(`${title}: ${scenarios.length} scenarios play as recorded`, async () => {
      for (const scenario of scenarios) {
        expect(differences(scenario, await play(scenario)), scenario.id).toEqual([])
      }
    })

    test(`${title}: no order that is not promised changes a trace`, async () => {
      for (const seed of seeds) {
        for (const scenario of scenarios) {
          const found = differences(scenario, await play(scenario, seed))
          expect(found, `${scenario.id} with seed ${seed}`).toEqual([])
        }
      }
    })
  }

  test('are all here, and what is not played is what is listed', () => {
    const ids = all.flatMap(({ scenarios }) => scenarios.map(({ id }) => id))
    expect(ids).toHaveLength(1019)
    const count = played.reduce((sum, { scenarios }) => sum + scenarios.length, 0)
    expect(count).toBe(969)
  })
})

describe('the comparison', () => {
  const recorded: StepTrace = { result: 'ok', events: { a: [['ended', { $error: '*' }]] } }

  test.each([
    ['another result', { ...recorded, result: 'no' }],
    ['a missing event', { result: 'ok', events: { a: [] } }],
    [
      'an additional event',
      {
        result: 'ok',
        events: {
          a: [
            ['ended', { $error: 'x' }],
            ['log', 1],
          ],
        },
      },
    ],
    ['an additional process', { result: 'ok', events: { ...recorded.events, b: [['log', 1]] } }],
    ['a value where an error was', { result: 'ok', events: { a: [['ended', 'x']] } }],
    ['no trace', undefined],
  ])('refuses %s', (_, found) => {
    expect(matches(recorded, found)).toBe(false)
  })

  test('takes any error where the recorded one is not told', () => {
    const found = { result: 'ok', events: { a: [['ended', { $error: 'no such clause' }]] } }
    expect(matches(recorded, found)).toBe(true)
  })
})
