/** Whether a try that failed is followed by another one, and when: of steps, whole runs and jobs. */
import { backoffMs, type Clock, type Retry } from '../../clock.ts'

/** A policy with every field. */
export type Policy = { readonly [K in keyof Retry]-?: NonNullable<Retry[K]> }

const builtIn: Policy = {
  ...{ max: 3, baseMs: 1_000, maxMs: 60_000, factor: 2, jitter: 0.2 },
  unless: () => false,
}

/** The policy of a call: its own fields, those of its type, and the built-in ones. */
export const policyOf = (...given: readonly (Retry | undefined)[]): Policy => {
  const policy: Record<string, unknown> = { ...builtIn }
  for (const each of given)
    for (const [name, value] of Object.entries(each ?? {}))
      if (value !== undefined) policy[name] = value
  return policy as Policy
}

/**
 * The pause before the try after this one, in ms; `undefined`: it was the last. A throw of `unless`
 * does not end the tries.
 */
export const pauseAfter = (
  policy: Policy,
  attempt: number,
  error: unknown,
  clock: Clock,
): number | undefined => {
  if (attempt >= policy.max) return undefined
  try {
    if (policy.unless(error) === true) return undefined
  } catch {
    // A policy that throws decides nothing.
  }
  return pauseMs(attempt, clock, policy)
}

/** The pause after so many failures, in ms; by default of work that is tried until it succeeds. */
export const pauseMs = (failures: number, clock: Clock, policy: Policy = builtIn): number =>
  Math.ceil(backoffMs(policy, failures, clock.random()))
