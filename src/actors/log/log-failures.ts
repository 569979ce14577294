/** What an error of a log means for its shard, and errors that say which shard they are of. */
import { isAbsolute } from 'node:path'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { failureSort, type LostFile, pathIn, shardFolder } from '../../storage/index.ts'

/** Whether the engine of a log does not answer. The next host may open the log. */
export const isAway = (error: unknown): error is KeelsonError =>
  isKeelsonError(error, 'SHARD_DOWN') && error.details.reason === 'engine'

/** `note`: the file that says what there was. Without it a start goes on. */
export const lostBlobs = (shard: number, lost: readonly LostFile[], note: string): KeelsonError => {
  const [first] = lost
  const more = lost.length > 1 ? `, and ${lost.length - 1} more files` : ''
  return new KeelsonError(
    'CORRUPT',
    `shard ${shard} has lost large values: ${first?.file}: ${first?.evidence}${more}; put the files back or restore a backup; to start without them, remove ${note}`,
    { details: { shard, file: first?.file, evidence: first?.evidence, lost } },
  )
}

/** Whether the engine of a log has lost what it had acknowledged (invariant M7). */
export const isLoss = (error: unknown): error is KeelsonError =>
  isKeelsonError(error, 'CORRUPT') && error.details.isLoss === true

/** A log names its files as its folder does. To the caller of a start each shard has such files. */
export const withShard = (index: number, error: unknown): unknown => {
  if (!isKeelsonError(error)) return error
  const { code, message, cause, details } = error
  // Which of the logs in the engine it is.
  if (details.isLoss === true)
    return new KeelsonError(code, message, { details: { ...details, shard: index }, cause })
  const { file } = details
  if (typeof file !== 'string' || isAbsolute(file)) return error
  const { wal } = shardFolder('', index)
  return new KeelsonError(code, `${wal}: ${message}`, {
    details: { ...details, file: pathIn(wal, file) },
    cause,
  })
}

/**
 * Whether a shard is down for a reason that passes: its disk had no room, or a file could not be
 * reached. Of a write or a sync that failed nobody knows what the disk has: a person decides. Pure.
 */
export const passes = (reason: unknown): boolean => {
  if (!isKeelsonError(reason)) return false
  const { code, details, cause } = reason
  if (code === 'DEGRADED') return passes(cause)
  if (details.reason === 'poisoned' || code === 'CORRUPT') return false
  if (details.operation === 'sync' || details.operation === 'syncFolder') return false
  const sort = failureSort(reason)
  if (sort === undefined) return code === 'NO_SPACE' && details.freeBytes !== undefined
  return sort !== 'final'
}

/** Whether the log in an engine has another owner, or lost what the engine acknowledged. */
export const isDisowned = (error: unknown): boolean =>
  isKeelsonError(error, 'FENCED') || isKeelsonError(error, 'CORRUPT')
