/**
 * The meaning of a failed call to the owner of a shard for its write, read or question: whether it
 * may be repeated, and which error its caller gets. Pure.
 */

import { type ErrorCode, isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import { isLinkFull } from '../links/link-refusals.ts'

/** Codes that say: nothing has happened, and another owner, or a later moment, may do it. */
const undone: readonly ErrorCode[] = [
  'ELSEWHERE',
  'CLOSED',
  'NOT_SUBMITTED',
  'NO_PROCESS',
  'MAILBOX_FULL',
]

/** Codes after which a read may be repeated: also where nobody knows what became of the call. */
const readAgain: readonly ErrorCode[] = [...undone, 'EXITED', 'UNKNOWN_OUTCOME', 'BUSY']

/** Whether a read may be repeated after this failure: also while the shard comes to its owner. */
export const mayReadAgain = (error: KeelsonError): boolean =>
  readAgain.includes(error.code) || isOwnerless(error) || isRecovering(error)

/** Whether a failure says that no owner has answered: it is not the answer of the owner. */
export const isUnowned = (error: KeelsonError): boolean =>
  mayReadAgain(error) && (error.code !== 'BUSY' || isLinkFull(error))

/**
 * Whether a write that failed with this error was not begun, and may be repeated. With `wait`, a
 * write that found the link full waits for room, as it does for room in the shard.
 */
export const mayWriteAgain =
  (whenFull: 'wait' | 'refuse') =>
  (error: KeelsonError): boolean =>
    isUndone(error) ||
    isOwnerless(error) ||
    // With a state, the journal refuses the entry.
    (error.code === 'BUSY' && whenFull === 'wait' && error.details.state === undefined)

/** Codes of a write that was refused before it had a place among the others of its shard. */
const unplaced: readonly ErrorCode[] = [
  ...undone,
  ...(['BUSY', 'SHARD_DOWN', 'NO_SPACE', 'TOO_LARGE', 'INVALID_ARGUMENT'] as const),
]

/** Whether a write that failed so changes nothing for earlier ones: it was not taken. */
export const hasNoPlace = (error: unknown): error is KeelsonError =>
  isKeelsonError(error) && unplaced.includes(error.code) && error.details.position === undefined

/** With a position the write is done, and what failed is the reading of its answer. */
const isUndone = ({ code, details }: KeelsonError): boolean =>
  undone.includes(code) && details.position === undefined

const isRecovering = ({ code, details }: KeelsonError): boolean =>
  code === 'SHARD_DOWN' && details.state === 'recovering'

const isOwnerless = ({ code, details }: KeelsonError): boolean =>
  code === 'SHARD_DOWN' && details.state === 'elsewhere' && details.position === undefined

/** The error of what waited for an owner in vain. */
export const ownerless = (shard: number, cause: unknown): KeelsonError =>
  new KeelsonError('SHARD_DOWN', `shard ${shard} is at no member that answers`, {
    details: { shard, state: 'elsewhere' },
    cause,
  })

/** The error of what waits no longer, because this member closes. */
export const closing = (shard: number, cause: unknown): KeelsonError =>
  new KeelsonError('CLOSED', `the instance is closing, and no owner of shard ${shard} answered`, {
    details: { shard },
    cause,
  })

/** The error of a write whose owner did not say what became of it. */
export const unknownWrite = (shard: number, cause: unknown): KeelsonError =>
  new KeelsonError('UNKNOWN_OUTCOME', `the owner of shard ${shard} did not answer`, {
    details: { shard },
    cause,
  })

/** The error of a write that was refused, while a later one of the same member was taken. */
export const overtaken = (shard: number, cause: unknown): KeelsonError =>
  new KeelsonError(
    'NOT_SUBMITTED',
    `the owner of shard ${shard} refused it, and took a later one`,
    {
      details: { shard },
      cause,
    },
  )

/** The error of a read for its caller. */
export const readFailure = (error: unknown, shard: number): unknown =>
  isKeelsonError(error) && readAgain.includes(error.code) ? ownerless(shard, error) : error

/** The error of a write for its caller. */
export const writeFailure = (error: unknown, shard: number): unknown => {
  if (!isKeelsonError(error)) return error
  const { code, details } = error
  // One with a position is of a write that waited for more than its own shard.
  if (code === 'EXITED' || (code === 'TIMEOUT' && details.position === undefined))
    return unknownWrite(shard, error)
  if (!isUndone(error)) return error
  return new KeelsonError('NOT_SUBMITTED', `no owner of shard ${shard} took the write in time`, {
    details: { shard },
    cause: error,
  })
}

/** The error of an owner, with its name. */
export const named = (
  error: unknown,
  shard: number | undefined,
  member: string | undefined,
): unknown => {
  if (!isKeelsonError(error) || member === undefined) return error
  const { code, message, details } = error
  return new KeelsonError(code, `${message} (at the member ${member})`, {
    details: { ...(shard !== undefined && { shard }), ...details, member },
    cause: error,
  })
}

/** The error of a question that no owner has answered in time. `member`: the one that was asked last. */
export const unanswered = (
  error: KeelsonError,
  shard: number,
  member: string | undefined,
): KeelsonError => {
  const place = member === undefined ? 'has no owner' : `is at the member ${member}`
  return new KeelsonError(
    'SHARD_DOWN',
    `shard ${shard} ${place}, and nobody answered in time: ${reasonText(error)}`,
    {
      details: { shard, state: 'elsewhere', ...(member !== undefined && { member }) },
      cause: error,
    },
  )
}
