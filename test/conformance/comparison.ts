/** When a trace is as recorded, and where it differs. Pure. */
import type { Operation, Scenario, StepTrace, Term } from './adapter/scenario.ts'

/** A step whose trace is not as recorded. */
export type Difference = {
  /** From 1, as people count. */
  readonly step: number
  readonly operation: Operation | undefined
  readonly expected: StepTrace | undefined
  readonly found: StepTrace | undefined
}

/** The steps whose traces differ, in order; what is missing or additional differs. */
export const differences = (scenario: Scenario, found: readonly StepTrace[]): Difference[] => {
  const { expected, steps } = scenario
  const count = Math.max(expected.length, found.length)
  return Array.from({ length: count }, (_, at) => ({
    step: at + 1,
    operation: steps[at],
    expected: expected[at],
    found: found[at],
  })).filter((each) => !isAsRecorded(each.expected, each.found))
}

/** Whether one step went as recorded. No events and none left out are the same. */
const isAsRecorded = (expected: StepTrace | undefined, found: StepTrace | undefined): boolean =>
  expected !== undefined &&
  found !== undefined &&
  matches(expected.result, found.result) &&
  matches(expected.events ?? {}, found.events ?? {})

/** Whether a term is the recorded one: equal, but `{"$error": "*"}` in the recorded one matches any error. */
export const matches = (expected: Term | undefined, found: Term | undefined): boolean => {
  if (typeof expected !== 'object' || expected === null) return expected === found
  if (typeof found !== 'object' || found === null) return false
  if (Array.isArray(expected)) {
    return (
      Array.isArray(found) &&
      expected.length === found.length &&
      expected.every((each, at) => matches(each, found[at]))
    )
  }
  if (Array.isArray(found)) return false
  const keys = Object.keys(expected)
  if (keys.length !== Object.keys(found).length) return false
  if (expected.$error === '*') return '$error' in found
  return keys.every((key) => Object.hasOwn(found, key) && matches(expected[key], found[key]))
}
