/** Whether a try that failed is followed by another one, and when: of steps, whole runs and jobs. */
import { backoffMs, type Clock, type FullRetry, type Retry, retryOf } from '../../clock.ts'
import { isMissing } from '../../errors.ts'

/** The policy of a call: its own fields, those of its type, and the built-in ones. */
export const policyOf = (...given: readonly (Retry | undefined)[]): FullRetry =>
  retryOf({ max: 3 }, ...given)

/**
 * The pause before the try after this one, in ms; `undefined`: it was the last. A throw of `unless`
 * does not end the tries. The program may lack what was tried: then no number of tries ends them.
 */
export const pauseAfter = (
  policy: FullRetry,
  attempt: number,
  error: unknown,
  clock: Clock,
): number | undefined => {
  if (isMissing(error)) return lackingMs
  if (attempt >= policy.max) return undefined
  try {
    if (policy.unless(error) === true) return undefined
  } catch {
    // A policy that throws decides nothing.
  }
  return pauseMs(attempt, clock, policy)
}

/** A try that another member may begin, too, waits for so long, and looks again. */
export const unsureMs = 1_000

/** The pause after a try that came before the tree had started: it does not count. */
export const earlyMs = 100

/** The pause after a try for which the program lacks a declaration: it does not count either. */
const lackingMs = 30_000

const untilDone = retryOf()

/** The pause after so many failures, in ms; by default of work that is tried until it succeeds. */
export const pauseMs = (failures: number, clock: Clock, policy: FullRetry = untilDone): number =>
  Math.ceil(backoffMs(policy, failures, clock.random()))
