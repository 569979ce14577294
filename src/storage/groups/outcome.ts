/** What a write without an answer means to its caller: whether it may be in the log. Pure. */
import { isKeelsonError, KeelsonError } from '../../errors.ts'

/**
 * How a write ended without an answer. `refused`: nothing was written, and the log goes on. `unsubmitted`: it never reached
 * the disk, and never will. `unknown`: the disk had it, and its outcome is not known.
 */
export type Fate = 'refused' | 'unsubmitted' | 'unknown'

/** The error that the caller gets. A refusal stays what it is; `details` are added to those of `cause`. */
export const outcomeOf = (fate: Fate, cause: unknown, details: object = {}): KeelsonError => {
  const known = isKeelsonError(cause)
  if (fate === 'refused' && known) return cause
  const all = { ...(known ? cause.details : {}), ...details }
  return fate === 'unknown'
    ? new KeelsonError(
        'UNKNOWN_OUTCOME',
        'the write may have taken effect, or may still: await settled(), then read before repeating it',
        { details: all, cause },
      )
    : new KeelsonError(
        'NOT_SUBMITTED',
        'the write never reached the disk: it is safe to repeat it',
        {
          details: all,
          cause,
        },
      )
}

/** Whether a log's failure says that nothing was written and the log goes on. All others are final. */
export const isRefusal = (error: unknown): error is KeelsonError =>
  isKeelsonError(error) && error.code !== 'SHARD_DOWN' && error.code !== 'CLOSED'
