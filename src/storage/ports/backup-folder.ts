/**
 * The port to the folder of a backup while the backup is made. In production a separate thread
 * locks and writes it, because the lock starts a program and each file is synced; in line in the
 * simulation.
 */
import type { ShardCopy } from './shard-copier.ts'

/** A request to lock the folder `dir` for a backup of the data folder `own`, both absolute. */
export type BackupClaim = {
  readonly dir: string
  readonly own: string
  /** The line of the lock file that names this process. */
  readonly holder: string
}

/** The facts about a whole backup. */
export type BackupContent = {
  /** When it was taken, in ms since 1970. */
  readonly at: number
  /** Whether all shards were copied as of one moment. */
  readonly consistent: boolean
  /** One copy a shard. */
  readonly shards: readonly ShardCopy[]
}

/** A folder that is locked for a backup. */
export type BackupFolder = {
  /**
   * Writes `backup.json`, durably, and then removes the files that are left of earlier backups.
   * @throws KeelsonError `CORRUPT`; `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN`
   */
  finish(content: BackupContent): Promise<void>
  /** Gives the lock back. */
  leave(): Promise<void>
}

/**
 * Locks the folder, which is made if it is not there.
 * @throws KeelsonError `CONFLICT` if it has anything but a backup of this instance; `CONFIG` if it is
 * no folder; `LOCKED_DIR`; `CORRUPT`; `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN`
 */
export type BackupFolders = (claim: BackupClaim) => Promise<BackupFolder>
