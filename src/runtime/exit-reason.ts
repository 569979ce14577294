/**
 * Why processes end: the words that have a meaning to links and supervisors, and how what a handler throws becomes one.
 */

/** `'normal'`, `'shutdown'`, `['shutdown', term]`, `'kill'`, `'killed'`, `'noproc'`, any other value, or an `Error`. */
export type ExitReason = unknown

class Exit {
  readonly reason: ExitReason

  constructor(reason: ExitReason) {
    this.reason = reason
  }
}

/**
 * Ends the calling process from within, with `reason` (OTP's `exit/1`): `terminate` runs, links and monitors learn the
 * reason as it is. Works by throwing, so it must not be caught.
 */
export const exit = (reason: ExitReason): never => {
  throw new Exit(reason)
}

/** The exit reason of what a handler threw: what `exit` was given, an Error as it is, anything else as `['nocatch', value]`. */
export const reasonOf = (thrown: unknown): ExitReason => {
  if (thrown instanceof Exit) return thrown.reason
  return thrown instanceof Error ? thrown : ['nocatch', thrown]
}

/** Whether `reason` is `'shutdown'` or `['shutdown', term]`. */
export const isShutdown = (reason: ExitReason): boolean =>
  reason === 'shutdown' ||
  (Array.isArray(reason) && reason.length === 2 && reason[0] === 'shutdown')

/** Whether ending with `reason` is an end as planned: `'normal'` or a shutdown. A transient child is not restarted then. */
export const isOrderly = (reason: ExitReason): boolean => reason === 'normal' || isShutdown(reason)

/** The reason in one line, for logs and messages. */
export const describeReason = (reason: ExitReason): string => {
  if (typeof reason === 'string') return reason
  if (reason instanceof Error) return `${reason.name}: ${reason.message}`
  if (Array.isArray(reason)) return `[${reason.map(describeReason).join(', ')}]`
  try {
    return JSON.stringify(reason) ?? String(reason)
  } catch {
    return String(reason)
  }
}
