/** Whether a try that failed is followed by another one, and when: of steps, whole runs and jobs. */
import { backoffMs, type Clock, type FullRetry, type Retry, retryOf } from '../../clock.ts'

/** The policy of a call: its own fields, those of its type, and the built-in ones. */
export const policyOf = (...given: readonly (Retry | undefined)[]): FullRetry =>
  retryOf({ max: 3 }, ...given)

/**
 * The pause before the try after this one, in ms; `undefined`: it was the last. A throw of `unless`
 * does not end the tries.
 */
export const pauseAfter = (
  policy: FullRetry,
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

const untilDone = retryOf()

/** The pause after so many failures, in ms; by default of work that is tried until it succeeds. */
export const pauseMs = (failures: number, clock: Clock, policy: FullRetry = untilDone): number =>
  Math.ceil(backoffMs(policy, failures, clock.random()))
