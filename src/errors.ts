/**
 * The one error class of Keelson and its codes. A code is part of the public surface: it is never renamed, and
 * tests assert codes, not messages. `docs/errors.md` says what a caller may do on each.
 */

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
  // What became of a write.
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
  'DEGRADED',
  'DISCARDED',
  'CLOSED',
  // Of a process.
  'NO_PROCESS',
  'EXITED',
] as const

/** The code of a `KeelsonError`. */
export type ErrorCode = (typeof errorCodes)[number]

/** Facts about an error, as plain data: names of files, offsets, limits, positions, reasons. */
export type ErrorDetails = Readonly<Record<string, unknown>>

/**
 * What Keelson rejects and throws. `code` is for programs, `message` for people, `details` holds the facts of the
 * message as plain data, `cause` the error underneath, if there was one.
 */
export class KeelsonError extends Error {
  override readonly name = 'KeelsonError'
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(
    code: ErrorCode,
    message: string,
    options: { details?: ErrorDetails; cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.details = options.details ?? {}
  }

  /** The error as plain data, without the stack: equal for equal failures, so that it may be stored and compared. */
  toJSON(): { name: string; code: ErrorCode; message: string; details: ErrorDetails } {
    return { name: this.name, code: this.code, message: this.message, details: this.details }
  }
}

/** Whether `error` is a `KeelsonError`, and has `code` when one is given. */
export const isKeelsonError = (error: unknown, code?: ErrorCode): error is KeelsonError =>
  error instanceof KeelsonError && (code === undefined || error.code === code)
