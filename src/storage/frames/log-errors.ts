/**
 * The errors of the log: damage with its evidence, files of a newer version, and the poisoned log.
 */
import { type ErrorDetails, isKeelsonError, KeelsonError } from '../../errors.ts'
import { DiskError } from '../ports/disk.ts'
import { diskDetails } from '../ports/disk-failure.ts'

/** Where damage was found, and the evidence for it. */
export type Damage = {
  readonly file: string
  readonly offset: number
  /** The first LSN that cannot be read. */
  readonly lsn: number
  /** The evidence in one sentence. */
  readonly evidence: string
}

/** `CORRUPT` with the damage as details. */
export const corruption = (damage: Damage): KeelsonError =>
  new KeelsonError(
    'CORRUPT',
    `the log is damaged at ${damage.file}, offset ${damage.offset}, lsn ${damage.lsn}: ${damage.evidence}`,
    { details: damage },
  )

/** `UNSUPPORTED_VERSION` for a file of a newer version. */
export const unsupported = (file: string, details: ErrorDetails): KeelsonError =>
  new KeelsonError('UNSUPPORTED_VERSION', `${file} was written by a newer version`, {
    details: { file, ...details },
  })

/**
 * `SHARD_DOWN` with the reason `poisoned`: a write or sync failed, so the content of the disk is
 * unknown. The page cache may show data that the disk lost, and a second sync would report success
 * (fsyncgate), so nothing is retried. A cause that already has this reason (a lost lock) is
 * returned unchanged.
 */
export const poison = (cause: unknown): KeelsonError =>
  isKeelsonError(cause, 'SHARD_DOWN') && cause.details.reason === 'poisoned'
    ? cause
    : new KeelsonError(
        'SHARD_DOWN',
        `the log is poisoned: a write or a sync failed${cause instanceof DiskError ? ` (${cause.message})` : ''}; reopen the shard or restart the process`,
        {
          details: {
            reason: 'poisoned',
            ...(cause instanceof DiskError ? diskDetails(cause) : {}),
          },
          cause,
        },
      )
