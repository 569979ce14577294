/** What tells an asynchronous handler from one that answered at once. */

/** Whether `value` is a promise, or works like one. */
export const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as { then?: unknown }).then === 'function'
