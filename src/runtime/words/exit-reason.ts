/**
 * Why processes end: the words that have a meaning to links and supervisors, and how what a handler throws becomes one.
 */

/** `'normal'`, `'shutdown'`, `['shutdown', term]`, `'kill'`, `'killed'`, `'noproc'`, any other value, or an `Error`. */
export type ExitReason = unknown

/**
 * What `exit` throws. Told by its brand, not by `instanceof`: anything may be thrown, a revoked Proxy too, and that
 * throws again at each question that it is asked.
 */
class Exit {
  readonly #reason: ExitReason

  constructor(reason: ExitReason) {
    this.#reason = reason
  }

  static reasonIn(thrown: unknown): [] | [ExitReason] {
    return typeof thrown === 'object' && thrown !== null && #reason in thrown
      ? [thrown.#reason]
      : []
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
  const exited = Exit.reasonIn(thrown)
  if (exited.length === 1) return exited[0]
  return isError(thrown) ? thrown : ['nocatch', thrown]
}

/** Whether `reason` is an Error, of whatever it may be that is asked. */
export const isError = (reason: unknown): reason is Error => {
  try {
    return reason instanceof Error
  } catch {
    return false
  }
}

/** The options of an error that is told because of `reason`: its cause, when that is an Error. */
export const causeOf = (reason: ExitReason): { cause?: Error } =>
  isError(reason) ? { cause: reason } : {}

/** Whether `reason` is `'shutdown'` or `['shutdown', term]`. */
export const isShutdown = (reason: ExitReason): boolean => {
  if (typeof reason !== 'object') return reason === 'shutdown'
  try {
    return Array.isArray(reason) && reason.length === 2 && reason[0] === 'shutdown'
  } catch {
    // A reason that throws when it is looked at says nothing of a plan.
    return false
  }
}

/** Whether ending with `reason` is an end as planned: `'normal'` or a shutdown. A transient child is not restarted then. */
export const isOrderly = (reason: ExitReason): boolean => reason === 'normal' || isShutdown(reason)

/** The reason in words, for logs and messages, cut at 4,000 characters. Never throws, whatever it is given: it tells of ends, and stops none. */
export const describeReason = (reason: ExitReason): string => {
  const text = describe(reason, [])
  return text.length <= textMax ? text : `${text.slice(0, textMax)}… (${text.length} characters)`
}

/** A reason may hold a whole state, or the failure of each level of a deep tree: a line of a log must not. */
const textMax = 4_000

/** `around` are the values that `reason` is part of: one that contains itself is not shown again. */
const describe = (reason: unknown, around: readonly unknown[]): string => {
  try {
    if (typeof reason === 'string') return reason
    if (typeof reason === 'bigint') return `${reason}n`
    if (around.includes(reason) && typeof reason === 'object') return '…'
    const parts = [...around, reason]
    if (reason instanceof Error) {
      return `${describe(reason.name, parts)}: ${describe(reason.message, parts)}`
    }
    if (Array.isArray(reason)) return `[${reason.map((each) => describe(each, parts)).join(', ')}]`
    return JSON.stringify(reason, withBigints) ?? String(reason)
  } catch {
    return describeKind(reason)
  }
}

const withBigints = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? `${value}n` : value

/** `[object Object]`: all that can be said of what throws when it is asked for more. */
const describeKind = (reason: unknown): string => {
  try {
    return Object.prototype.toString.call(reason)
  } catch {
    return `[${typeof reason}]`
  }
}
