/** What a failure of the log means to those who wait for it: whether what they handed in may be there. Pure. */
import { isKeelsonError, KeelsonError } from '../../errors.ts'

/** It never reached the disk, and never will. */
export const notSubmitted = (cause: unknown): KeelsonError =>
  new KeelsonError('NOT_SUBMITTED', 'It never reached the disk: it is safe to repeat', {
    details: detailsOf(cause),
    cause,
  })

/** It was handed to the disk, and nobody can say what became of it. */
export const unknownOutcome = (cause: unknown): KeelsonError =>
  new KeelsonError('UNKNOWN_OUTCOME', 'It may be there: read before repeating it', {
    details: detailsOf(cause),
    cause,
  })

/**
 * Whether a failure says that nothing was written and the log goes on; all others are final: a write or a sync failed, the
 * thread died, or something happened that nobody foresaw.
 */
export const isRefusal = (error: unknown): error is KeelsonError =>
  isKeelsonError(error) && error.code !== 'SHARD_DOWN' && error.code !== 'CLOSED'

/** A final failure, as it is told from then on. */
export const finalFailure = (error: unknown): KeelsonError =>
  isKeelsonError(error)
    ? error
    : new KeelsonError('SHARD_DOWN', 'The log failed', {
        details: { reason: 'defect' },
        cause: error,
      })

const detailsOf = (cause: unknown): Readonly<Record<string, unknown>> =>
  isKeelsonError(cause) ? cause.details : {}
