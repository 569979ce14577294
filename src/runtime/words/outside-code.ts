/** Code from outside of processes that the runtime calls: loggers, listeners, traces, callbacks of monitors. */

// What tells an asynchronous handler from one that answered at once.

/** Whether `value` is a promise, or works like one. */
export const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as { then?: unknown }).then === 'function'

/**
 * Calls `work`, whose outcome concerns nobody who goes on after it. What it throws, or what a promise that it answers is
 * rejected with, is told to `failed`, and to nobody else.
 */
export const callOutside = (work: () => unknown, failed: (reason: unknown) => void): void => {
  try {
    const answer = work()
    if (isThenable(answer)) Promise.resolve(answer).catch(failed)
  } catch (error) {
    failed(error)
  }
}
