/** The errors of the log: damage with its evidence, files of a newer version, and the poison that is final. */
import { type ErrorDetails, isKeelsonError, KeelsonError } from '../../errors.ts'
import { diskDetails } from '../disk/disk-failure.ts'
import { DiskError } from '../ports/disk.ts'

/** Where damage was found, and what proves that it is damage. */
export type Damage = {
  readonly file: string
  readonly offset: number
  /** The first LSN that cannot be had. */
  readonly lsn: number
  /** One sentence. */
  readonly evidence: string
}

/** `CORRUPT`, with the damage as details. */
export const corruption = (damage: Damage): KeelsonError =>
  new KeelsonError(
    'CORRUPT',
    `The log is damaged at ${damage.file}, offset ${damage.offset}, lsn ${damage.lsn}: ${damage.evidence}`,
    { details: damage },
  )

/** `UNSUPPORTED_VERSION` for a file that a newer version wrote. */
export const unsupported = (file: string, details: ErrorDetails): KeelsonError =>
  new KeelsonError('UNSUPPORTED_VERSION', `${file} was written by a newer version`, {
    details: { file, ...details },
  })

/**
 * `SHARD_DOWN` with the reason `poisoned`: a write or a sync failed, and nobody can know what the disk holds. The page
 * cache may show what was lost, and a second sync would report success (fsyncgate), so there is no trying again. A cause
 * that says the same of a log whose lock was lost stays as it is.
 */
export const poison = (cause: unknown): KeelsonError =>
  isKeelsonError(cause, 'SHARD_DOWN') && cause.details.reason === 'poisoned'
    ? cause
    : new KeelsonError('SHARD_DOWN', 'The log is poisoned: a write or a sync failed', {
        details: { reason: 'poisoned', ...(cause instanceof DiskError ? diskDetails(cause) : {}) },
        cause,
      })
