/**
 * The arguments and the answer of an append. Bytes are checked here: a subclass or an object with
 * own properties may report any length; the length that the engine knows counts. Pure.
 */

import { realView } from '../../bytes/real-bytes.ts'
import {
  abortSignal,
  argument,
  type Checked,
  type Given,
  numberFrom,
  object,
  oneOf,
  optional,
  orInfinite,
} from '../../check.ts'
import { KeelsonError } from '../../errors.ts'

const isPlain = (bytes: Uint8Array): boolean => {
  const prototype = Object.getPrototypeOf(bytes)
  const isKnown = prototype === Buffer.prototype || prototype === Uint8Array.prototype
  return isKnown && !Object.hasOwn(bytes, 'length')
}

/**
 * `bytes`, or a view of the same memory if they report another length.
 * @throws KeelsonError `INVALID_ARGUMENT` unless they are a `Uint8Array` that is not detached
 */
export const givenBytes = (bytes: Uint8Array): Uint8Array => {
  if (!(bytes instanceof Uint8Array)) throw refused(typeof bytes)
  try {
    if (isPlain(bytes) && bytes.length > 0) return bytes
    // Throws for detached memory and for objects that only look like a Uint8Array.
    return realView(bytes)
  } catch (cause) {
    throw refused('bytes that were given away', cause)
  }
}

const refused = (found: string, cause?: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `bytes cannot be ${found}`, {
    details: { path: 'bytes', found },
    cause,
  })

const appendOptions = {
  /** If the queue is full: wait (default), or reject with `BUSY`. */
  whenFull: optional(oneOf('wait', 'refuse')),
  /**
   * Aborting it withdraws the entry: `NOT_SUBMITTED` before it is submitted, `UNKNOWN_OUTCOME`
   * later.
   */
  signal: optional(abortSignal),
  /** Does the same after this many ms. */
  deadlineMs: optional(orInfinite(numberFrom(0))),
}

/** How an append waits. */
export type AppendOptions = Given<typeof appendOptions>

/** The place of an entry in the log. `level` is present only if it is written but not synced. */
export type Appended = { readonly lsn: number; readonly level?: 'written' }

const check = object(appendOptions)

/** Append options after their check. Each was read once. */
export type CheckedAppend = Partial<Checked<typeof appendOptions>>

/** Checks append options. @throws KeelsonError `INVALID_ARGUMENT` */
export const checkAppendOptions = (options: AppendOptions): CheckedAppend =>
  check(options, argument('', 'an append'))
