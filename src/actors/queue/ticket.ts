/**
 * A write on its way to the log. Its state alone decides what a caller is told when the answer does not come:
 * what was never handed to the disk is `NOT_SUBMITTED`, all else `UNKNOWN_OUTCOME`.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'

/** Where a frame stands: everything up to here in its shard's log. */
export type Position = { readonly shard: number; readonly lsn: number }

/** How far a write got. `withdrawn`: its caller gave up while it was queued; it is never written. */
export type Ticket = { state: 'queued' | 'submitted' | 'withdrawn' }

/** The caller gives up: a queued ticket is withdrawn, a submitted one goes its way. */
export const withdraw = (ticket: Ticket): void => {
  if (ticket.state === 'queued') ticket.state = 'withdrawn'
}

/**
 * What a failed write means to its caller; `position` where it stands in the log, if that is known. A ticket that is still queued
 * is withdrawn by asking.
 */
export const outcomeOf = (ticket: Ticket, failure: unknown, position?: Position): KeelsonError => {
  if (isKeelsonError(failure) && !undecided.has(failure.code)) return failure
  withdraw(ticket)
  const details = isKeelsonError(failure) ? failure.details : {}
  return ticket.state === 'submitted'
    ? new KeelsonError(
        'UNKNOWN_OUTCOME',
        'The write may have taken effect, or still take it: await store.settled(), then read before repeating it.',
        { details: { ...details, ...(position ? { position } : {}) }, cause: failure },
      )
    : new KeelsonError('NOT_SUBMITTED', 'The write never reached the disk: it is safe to repeat.', {
        details,
        cause: failure,
      })
}

/** Failures of the call itself, which say nothing about the write. */
const undecided: ReadonlySet<string> = new Set(['TIMEOUT', 'EXITED', 'NO_PROCESS', 'MAILBOX_FULL'])
