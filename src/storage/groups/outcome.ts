/** The error of a write that ended without an answer. `write-group.ts` decides the fate. Pure. */

import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'

/**
 * How a write ended without an answer. `refused`: nothing was written, and the log continues.
 * `unsubmitted`: it never reached the disk and never will. `unknown`: it was handed to the disk,
 * and the outcome is not known.
 */
export type Fate = 'refused' | 'unsubmitted' | 'unknown'

/** The error for the caller. A refusal is passed on; `details` are added to those of `cause`. */
export const outcomeOf = (
  fate: Fate,
  cause: unknown,
  details: object = noOptions,
): KeelsonError => {
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

/** Failures that end a log. `FENCED` and `CORRUPT` are those of a log in an engine. */
const finalCodes: ReadonlySet<string> = new Set(['SHARD_DOWN', 'CLOSED', 'FENCED', 'CORRUPT'])

/** Whether a failure of the log is a refusal: nothing was written and the log continues. */
export const isRefusal = (error: unknown): error is KeelsonError =>
  isKeelsonError(error) && !finalCodes.has(error.code)
