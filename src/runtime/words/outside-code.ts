/** Calls into code outside of processes: loggers, listeners, traces, callbacks of monitors. */

// Distinguishes an asynchronous handler from a synchronous one.

/** Whether `value` is a promise or another thenable. */
export const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

/**
 * Calls `work` without letting its failure spread. `failed` gets the value that it throws, or that
 * its promise rejects with.
 */
export const callOutside = (work: () => unknown, failed: (reason: unknown) => void): void => {
  try {
    const answer = work()
    if (isThenable(answer)) Promise.resolve(answer).catch(failed)
  } catch (error) {
    failed(error)
  }
}

/** Calls code that belongs to no process. */
export type Outside = <T>(work: () => T) => T

/** Calls it where no processes run. */
export const atOnce: Outside = (work) => work()
