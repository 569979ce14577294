/** What came of a promise, as a value: for calls that a test begins, then lets time pass, then looks at. */
import type { Settled } from '../runtime/index.ts'

/**
 * Resolves with what came of `promise`, whatever it was. A call that may reject while the test advances the clock is
 * wrapped in it at once: a rejection that nobody handles by then would end the test run.
 */
export const outcome = <T>(promise: Promise<T>): Promise<Settled<T>> =>
  promise.then(
    (value) => ({ ok: true, value }),
    (error: unknown) => ({ ok: false, error }),
  )
