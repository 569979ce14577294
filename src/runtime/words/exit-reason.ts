/**
 * Exit reasons: the ones that links and supervisors distinguish, and how a thrown value becomes
 * one.
 */
import { redacted } from '../../redaction.ts'
import { isError } from '../../thrown.ts'
import { plainText } from '../../value-text.ts'

/**
 * `'normal'`, `'shutdown'`, `['shutdown', term]`, `'kill'`, `'killed'`, `'noproc'`, any other
 * value, or an `Error`.
 */
export type ExitReason = unknown

/**
 * The value that `exit` throws. It is recognized by its brand, not by `instanceof`: a handler may
 * throw any value, even a revoked Proxy, and that throws again when it is inspected.
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
 * Ends the calling process with `reason` (OTP's `exit/1`). `terminate` runs, and links and monitors
 * get the reason as it is. It works by throwing: do not catch it.
 */
export const exit = (reason: ExitReason): never => {
  throw new Exit(reason)
}

/**
 * The exit reason of a thrown value: the reason given to `exit`, an Error as it is, anything else
 * as `['nocatch', value]`.
 */
export const reasonOf = (thrown: unknown): ExitReason => {
  const exited = Exit.reasonIn(thrown)
  if (exited.length === 1) return exited[0]
  return isError(thrown) ? thrown : ['nocatch', thrown]
}

/**
 * The failed start that caused the reason of a supervisor that did not start: the ids from its
 * child to the innermost one, and that one's reason. Without such a child the path is empty.
 */
export const failedStart = (
  reason: ExitReason,
): { readonly path: readonly string[]; readonly reason: ExitReason } => {
  const path: string[] = []
  for (let inner = reason; ; ) {
    const failure = startFailure(inner)
    if (failure === undefined) return { path, reason: inner }
    path.push(failure.id)
    inner = failure.reason
  }
}

/** The child of a supervisor that did not start because of it. */
const startFailure = (reason: ExitReason): { id: string; reason: ExitReason } | undefined => {
  try {
    const term: unknown = isShutdown(reason) && Array.isArray(reason) ? reason[1] : undefined
    const [word, id, inner] = Array.isArray(term) ? term : []
    return word === 'failed_to_start_child' ? { id: String(id), reason: inner } : undefined
  } catch {
    // A term of a shutdown that is no list, or throws when it is inspected.
    return undefined
  }
}

/** The options of an error that `reason` caused: its `cause`, if that is an Error. */
export const causeOf = (reason: ExitReason): { cause?: Error } =>
  isError(reason) ? { cause: reason } : {}

const foreseenMark = Symbol('foreseen')

/**
 * Marks `error` as the reason of an end that its process logs in its own words. The end and the
 * restarts after it are announced and counted like any other. The log has no report and no line of
 * them.
 */
export const foreseen = <E extends Error>(error: E): E =>
  Object.defineProperty(error, foreseenMark, { value: true })

/**
 * Whether `reason`, or the term of a shutdown, was marked by `foreseen`. Never throws, whatever
 * `reason` is.
 */
export const isForeseen = (reason: ExitReason): boolean => {
  try {
    const error: unknown = isShutdown(reason) && Array.isArray(reason) ? reason[1] : reason
    return isError(error) && foreseenMark in error
  } catch {
    // A proxy of an Error may throw when it is asked.
    return false
  }
}

/** Whether `reason` is `'shutdown'` or `['shutdown', term]`. */
export const isShutdown = (reason: ExitReason): boolean => {
  if (typeof reason !== 'object') return reason === 'shutdown'
  try {
    return Array.isArray(reason) && reason.length === 2 && reason[0] === 'shutdown'
  } catch {
    // A reason that throws when it is inspected is not a shutdown.
    return false
  }
}

/**
 * Whether `reason` is an orderly end: `'normal'` or a shutdown. A transient child is not restarted
 * after it.
 */
export const isOrderly = (reason: ExitReason): boolean => reason === 'normal' || isShutdown(reason)

/**
 * The reason as text, for logs and messages. A reason may hold a whole state: the walk through it
 * ends after 4,000 characters. Never throws, whatever `reason` is.
 */
export const describeReason = (reason: ExitReason): string => {
  const text = plainText(redacted(reason), textMax)
  const hint = hintOf(reason)
  return hint === undefined ? text : `${text}; ${hint}`
}

const textMax = 4_000

const hintMark = Symbol('hint')

/** `reason`, whose text ends with a hint for the person who reads it. */
export const withHint = <R extends object>(reason: R, hint: string): R =>
  Object.defineProperty(reason, hintMark, { value: hint })

const hintOf = (reason: ExitReason): string | undefined => {
  try {
    return Array.isArray(reason) ? Object(reason)[hintMark] : undefined
  } catch {
    // A proxy may throw when it is asked.
    return undefined
  }
}

/** The stack of an error costs ten times what the error does. */
const stacksMax = 100

/** The end of a process, for all its observers: its text is made once, when it is needed. */
export class End {
  readonly reason: ExitReason
  /** The reason as the process lets it be shown. */
  readonly shown: ExitReason
  #text: string | undefined = undefined
  #stacks = 0

  constructor(reason: ExitReason, shown = reason) {
    this.reason = reason
    this.shown = shown
  }

  /** The reason as text. */
  get text(): string {
    this.#text ??= describeReason(this.shown)
    return this.#text
  }

  /** Whether one more error of this end gets a stack: of thousands, none would be read. */
  takeStack(): boolean {
    return ++this.#stacks <= stacksMax
  }
}

/** The end of a process that has ended. */
export const endOf = (ended: {
  readonly reason: ExitReason
  readonly shownReason: ExitReason
}): End => new End(ended.reason, ended.shownReason)

/**
 * The details of an error that an end caused. Code gets a reason that the process does not show,
 * and nothing prints it.
 */
export const reasonDetails = ({ reason, shown }: End): { readonly reason: ExitReason } =>
  Object.defineProperty({ reason }, 'reason', { enumerable: Object.is(reason, shown) })
