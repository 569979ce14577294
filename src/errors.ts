/**
 * The one error class of Keelson and its codes. A code is part of the public surface: it is never
 * renamed, and tests assert codes, not messages. `docs/errors.md` says what a caller may do on
 * each.
 */
import { noOptions } from './own-names.ts'
import { hiddenText, isSecretName, redacted } from './redaction.ts'
import { isError, readError } from './thrown.ts'
import { plainText } from './value-text.ts'

/** Every code that a `KeelsonError` can carry. */
export const errorCodes = [
  // Refused at the caller; nothing happened.
  'INVALID_ARGUMENT',
  'WRONG_TYPE',
  'TOO_LARGE',
  'CROSS_SHARD',
  'BAD_CURSOR',
  'CONFIG',
  // Refused before any byte was written; try later.
  'BUSY',
  'MAILBOX_FULL',
  'NO_SPACE',
  // Decided by the state; nothing changed.
  'CONFLICT',
  'LOCKED',
  // The outcome of a write.
  'NOT_SUBMITTED',
  'UNKNOWN_OUTCOME',
  'PARTIAL',
  'TIMEOUT',
  // Of a file, a folder.
  'CORRUPT',
  'LOCKED_DIR',
  'READ_ONLY',
  'UNSUPPORTED_VERSION',
  'NO_SEGMENTS',
  // Of a part of the instance.
  'SHARD_DOWN',
  'ELSEWHERE',
  'DEGRADED',
  'DISCARDED',
  'CLOSED',
  // Of a follower whose log has a later epoch, or another copy.
  'FENCED',
  // Of a durable actor whose row cannot be used.
  'BLOCKED',
  // Of a run of a workflow.
  'FAILED',
  'CANCELLED',
  'DIVERGED',
  'UNKNOWN_STEP',
  'TOO_MANY_STEPS',
  'STUCK',
  // Of a process.
  'NO_PROCESS',
  'EXITED',
  'POSTPONED_FULL',
] as const

/** The code of a `KeelsonError`. */
export type ErrorCode = (typeof errorCodes)[number]

/** How something ended, as events and metrics name it: `failed` is a throw without a code. */
export type ResultCode = 'ok' | 'failed' | ErrorCode

/** Facts about an error, as plain data: names of files, offsets, limits, positions, reasons. */
export type ErrorDetails = Readonly<Record<string, unknown>>

/**
 * The error that Keelson throws and rejects with. `code` is for programs, `message` for people,
 * `details` holds the facts of the message as plain data, `cause` the error underneath, if there
 * was one.
 */
export class KeelsonError extends Error {
  override readonly name = 'KeelsonError'
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(
    code: ErrorCode,
    message: string,
    options: { details?: ErrorDetails; cause?: unknown } = noOptions,
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
  }

  /**
   * The error as plain data, without the stack: equal for equal failures, so that it may be stored
   * and compared. Errors inside, in `details` and as the cause, are plain data too.
   */
  toJSON(): ErrorData {
    return errorData(this, []) as ErrorData
  }
}

/** A `KeelsonError` as plain data. `cause` is there if the error has one. */
export type ErrorData = {
  readonly name: string
  readonly code: ErrorCode
  readonly message: string
  readonly details: ErrorDetails
  readonly cause?: unknown
}

/** `around` are the errors and objects that contain this one: a circle ends with `…`. */
const errorData = (error: Error, around: readonly unknown[]): object => {
  const inside = [...around, error]
  const { name, message, code, details, cause, errors } = readError(error)
  return {
    name,
    ...(code !== undefined && { code }),
    message,
    ...(isKeelsonError(error) && { details: plainData(details ?? {}, inside) }),
    ...(cause !== undefined && { cause: plainData(cause, inside) }),
    ...(errors.length > 0 && { errors: plainData(errors, inside) }),
  }
}

/** A getter may make another cause each time. */
const depthMax = 100

/** The value with each error and bigint in its lists and plain objects as plain data. */
const plainData = (value: unknown, around: readonly unknown[]): unknown => {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (around.includes(value) || around.length > depthMax) return '…'
  if (isError(value)) return errorData(value, around)
  const inside = [...around, value]
  try {
    if (Array.isArray(value)) return value.map((each) => plainData(each, inside))
    if (Object.getPrototypeOf(value) !== Object.prototype) return value
    const entries = Object.entries(value).map(([key, each]) => [key, plainData(each, inside)])
    return Object.fromEntries(entries)
  } catch {
    // A getter that throws, a revoked proxy.
    return '[unreadable]'
  }
}

/** Whether `error` is a `KeelsonError`, and has `code` when one is given. Anything may be asked about. */
export const isKeelsonError = (error: unknown, code?: ErrorCode): error is KeelsonError => {
  try {
    return error instanceof KeelsonError && (code === undefined || error.code === code)
  } catch {
    // A revoked proxy.
    return false
  }
}

/**
 * Stored data names a declaration that the running program lacks. That is never an outcome: the work
 * waits, and goes on in a program that has it. `details.missing` has `what`.
 */
export const missingDeclaration = (what: string, cause?: unknown): KeelsonError =>
  new KeelsonError('UNSUPPORTED_VERSION', `this program has no ${what}, which stored data names`, {
    details: { missing: what },
    ...(cause !== undefined && { cause }),
  })

/** Whether it is a `missingDeclaration`. Anything may be asked about. */
export const isMissing = (error: unknown): error is KeelsonError =>
  isKeelsonError(error, 'UNSUPPORTED_VERSION') && 'missing' in (readError(error).details ?? {})

/** Whether a call found no process, or its process has ended. */
export const isGone = (error: unknown): error is KeelsonError =>
  isKeelsonError(error, 'NO_PROCESS') || isKeelsonError(error, 'EXITED')

/** The result of something that failed with `error`. */
export const failedAs = (error: unknown): ResultCode =>
  isKeelsonError(error) ? error.code : 'failed'

/** The place of an argument or an option: its name, or the names and indices that lead to it. */
export type ArgumentPath = string | readonly (string | number)[]

/**
 * An `INVALID_ARGUMENT` for the argument at `path`. `details` has `path`, `expected` and `found`.
 */
export const invalidArgument = (
  path: ArgumentPath,
  expected: string,
  found: unknown,
): KeelsonError => mismatch('INVALID_ARGUMENT', path, expected, found)

/** A `CONFIG` for the option at `path`. `details` has `path`, `expected` and `found`. */
export const configError = (path: ArgumentPath, expected: string, found: unknown): KeelsonError =>
  mismatch('CONFIG', path, expected, found)

const textOf = (path: ArgumentPath): string => (typeof path === 'string' ? path : path.join('.'))

const mismatch = (
  code: ErrorCode,
  path: ArgumentPath,
  expected: string,
  found: unknown,
): KeelsonError => {
  const place = textOf(path) || 'the argument'
  // A number is refused for its size: without it nobody can mend it.
  const isHidden = typeof found === 'string' && isSecretName(place.replace(/^.*\./s, ''))
  const said = isHidden ? hiddenText(found) : shown(found)
  return new KeelsonError(code, `${place}: expected ${expected}, found ${said}`, {
    details: { path, expected, found: said },
  })
}

/**
 * The refusal of an option that is not in `known`: `INVALID_ARGUMENT`, or `CONFIG` for the options
 * of a start. `path` leads to it, and ends with its name. The message has the known name that is
 * spelt almost like it, or all of them.
 */
export const unknownOption = (
  code: 'INVALID_ARGUMENT' | 'CONFIG',
  path: ArgumentPath,
  known: readonly string[],
): KeelsonError => {
  const place = textOf(path)
  const at = place.lastIndexOf('.') + 1
  const [above, name] = [place.slice(0, at), place.slice(at)]
  const meant = nearest(name, known)
  const expected = known.length === 0 ? 'none' : `one of ${known.join(', ')}`
  const hint = meant === undefined ? `expected ${expected}` : `did you mean \`${above}${meant}\`?`
  return new KeelsonError(code, `unknown option \`${place}\`; ${hint}`, {
    details: { path, expected, found: shown(name) },
  })
}

/** The name that is at most two edits away, and less than half of `name`. */
const nearest = (name: string, known: readonly string[]): string | undefined => {
  const near = known
    .map((each) => ({ each, away: edits(name.toLowerCase(), each.toLowerCase()) }))
    .filter(({ away }) => away <= 2 && away * 2 < name.length)
  return near.sort((left, right) => left.away - right.away)[0]?.each
}

/** Levenshtein's distance: insertions, deletions and replacements from one text to the other. */
const edits = (from: string, to: string): number => {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (const [line, letter] of [...from].entries()) {
    const next = [line + 1]
    for (let at = 1; at <= to.length; at++) {
      const replaced = (row[at - 1] ?? 0) + (letter === to[at - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[at] ?? 0) + 1, (next[at - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}

/** A value in a message is cut at this length: it may be as large as a user likes. */
const shownMax = 200

/** The value as text; an object by its kind, because its own conversion may throw. */
const shown = (found: unknown): string => {
  if (typeof found === 'string')
    return JSON.stringify(found.length > shownMax ? `${found.slice(0, shownMax)}…` : found)
  if (typeof found === 'bigint') return `${found}n`
  if (typeof found === 'function') return 'a function'
  if (typeof found === 'object' && found !== null) return isList(found) ? 'an array' : 'an object'
  return String(found)
}

/** A revoked proxy throws even here. */
const isList = (found: object): boolean => {
  try {
    return Array.isArray(found)
  } catch {
    return false
  }
}

/** A failure or an exit reason as one line of text. Never throws, whatever `reason` is. */
export const reasonText = (reason: unknown): string => lineOf(reason, 0)

const lineMax = 4_000

/** Exit reasons are short lists with an error inside. */
const lineOf = (reason: unknown, depth: number): string => {
  if (isError(reason)) {
    const { name, message, code } = readError(reason)
    return `${isKeelsonError(reason) ? code : name}: ${message}`
  }
  const parts = depth < 4 ? partsOf(reason) : undefined
  if (parts) return `[${parts.map((each) => lineOf(each, depth + 1)).join(', ')}]`
  return plainText(redacted(reason), lineMax)
}

const partsOf = (reason: unknown): readonly unknown[] | undefined => {
  try {
    return Array.isArray(reason) && reason.length <= 8 ? Array.from(reason) : undefined
  } catch {
    // A proxy of a list.
    return undefined
  }
}

/** The cause of a kept error. `code`, `address` and `port` are those of a system error, such as `ECONNREFUSED`. */
export type KeptCause = {
  readonly name: string
  readonly message: string
  readonly code?: string
  readonly address?: string
  readonly port?: number
  /** The first frame of the user's code in its stack. */
  readonly at?: string
}

/**
 * An error as a row keeps it. Of a failure of your code it is the record of that: 8 KiB at most, in
 * which `causes` come first. Rows of earlier builds have neither `causes` nor `stack`.
 */
export type KeptError = {
  readonly name: string
  readonly message: string
  readonly code?: string
  /** Of a system error, such as `ECONNREFUSED`: where the connection was to lead. */
  readonly address?: string
  readonly port?: number
  /** Its `cause`, the cause of that, and so on; the errors of an `AggregateError` follow it. */
  readonly causes?: readonly KeptCause[]
  /** The frames of its stack, one a line, without those of Keelson and of Node's insides. */
  readonly stack?: string
}

/** A row takes no half of a character, which the cut may leave. */
const shortened = (text: string, max: number): string => text.slice(0, max).toWellFormed()

/**
 * An error as it is kept, with so much of its message, and without causes and stack. Any value may be
 * thrown, and none is trusted.
 */
export const keptError = (thrown: unknown, messageMax = 2_000): KeptError => {
  if (!isError(thrown))
    return {
      name: 'Error',
      message: shortened(plainText(redacted(thrown), messageMax), messageMax),
    }
  const { name, message, code, address, port } = readError(thrown, messageMax)
  return {
    name,
    message,
    ...(typeof code === 'string' && { code }),
    ...(address !== undefined && { address }),
    ...(port !== undefined && { port }),
  }
}

/** A kept error as an error. Its stack has the frames that were kept, and none of this place. */
export const errorOf = ({ stack, causes = [], ...kept }: KeptError): Error => {
  const cause = causes.reduceRight<Error | undefined>(
    (below, { at, ...each }) => thrownAs(each, at === undefined ? at : `    at ${at}`, below),
    undefined,
  )
  return thrownAs(kept, stack, cause)
}

const thrownAs = (
  { name, message, code, ...place }: KeptCause,
  frames: string | undefined,
  cause: Error | undefined,
): Error => {
  const error =
    name === 'KeelsonError'
      ? new KeelsonError(code as ErrorCode, message, cause && { cause })
      : Object.assign(new Error(message, cause && { cause }), code === undefined ? {} : { code })
  const head = `${name}: ${message}`
  const hidden = { configurable: true, writable: true, enumerable: false }
  if (name !== 'KeelsonError') Object.defineProperty(error, 'name', { ...hidden, value: name })
  const value = frames === undefined ? head : `${head}\n${frames}`
  return Object.assign(Object.defineProperty(error, 'stack', { ...hidden, value }), place)
}
