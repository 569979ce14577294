/** A failed scenario in words: the step, what was recorded and what happened, event by event. Pure. */
import type { StepTrace, Term } from './adapter/scenario.ts'
import { type Difference, matches } from './comparison.ts'

/** Why a scenario failed: its traces differ, or it could not be played to its end. */
export type Failure =
  | { readonly differences: readonly Difference[]; readonly fault?: never }
  | { readonly fault: string; readonly differences?: never }

/** The lines about one failed scenario. Only the first step that differs is shown: what follows is mostly its doing. */
export const failureLines = (id: string, title: string, failure: Failure): string[] => {
  const head = title === '' ? `FAIL ${id}` : `FAIL ${id}: ${title}`
  if (failure.fault !== undefined) return [head, `  ${failure.fault}`]
  const [first, ...others] = failure.differences
  if (first === undefined) return [head]
  const more =
    others.length === 0
      ? []
      : others.length === 1
        ? ['  (1 later step differs too)']
        : [`  (${others.length} later steps differ too)`]
  return [head, ...differenceLines(first), ...more]
}

const differenceLines = ({ step, operation, expected, found }: Difference): string[] => {
  const lines = [`  step ${step}: ${shown(operation)}`]
  if (!matches(expected?.result, found?.result))
    lines.push(
      '    result',
      `      - ${shown(expected?.result)}   expected`,
      `      + ${shown(found?.result)}   actual`,
    )
  for (const label of labelsOf(expected, found)) {
    const [left, right] = [eventsOf(expected, label), eventsOf(found, label)]
    if (!matches(left, right))
      lines.push(`    events of ${label} (- expected, + actual)`, ...diff(left, right))
  }
  return lines
}

const labelsOf = (...traces: readonly (StepTrace | undefined)[]): string[] =>
  [...new Set(traces.flatMap((trace) => Object.keys(trace?.events ?? {})))].sort()

const eventsOf = (trace: StepTrace | undefined, label: string): Term[] =>
  trace?.events !== undefined && Object.hasOwn(trace.events, label)
    ? (trace.events[label] ?? [])
    : []

/** Both lists as one: what they have in common as it is, the rest marked by its side. */
const diff = (expected: readonly Term[], found: readonly Term[]): string[] => {
  const [left, right] = [expected[0], found[0]]
  if (left === undefined) return found.map((event) => `      + ${shown(event)}`)
  if (right === undefined) return expected.map((event) => `      - ${shown(event)}`)
  if (matches(left, right))
    return [`        ${shown(right)}`, ...diff(expected.slice(1), found.slice(1))]
  const isMissing = !expected.slice(1).some((event) => matches(event, right))
  const isAdditional = !found.slice(1).some((event) => matches(left, event))
  if (isMissing && !isAdditional)
    return [`      + ${shown(right)}`, ...diff(expected, found.slice(1))]
  return [`      - ${shown(left)}`, ...diff(expected.slice(1), found)]
}

const shown = (term: unknown): string => (term === undefined ? '(nothing)' : JSON.stringify(term))
