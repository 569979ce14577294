/**
 * The port that copies the files of a shard: into a backup, and back from one. In production it has
 * its own thread, which lives for one copy; in line in the simulation.
 */

import type { LogHost, LogState } from './log-host.ts'
import type { NamedSnapshot } from './named-snapshot.ts'
import type { Progress } from './progress.ts'

/** The folders that are copied. */
export type CopiedFolders = {
  readonly wal: string
  readonly blobs: string
  readonly snapshots: string
}

/** A request to copy the log up to `lsn`, these snapshots, and the blobs that both refer to. */
export type ShardCopyRequest = {
  readonly from: CopiedFolders
  readonly to: CopiedFolders
  readonly lsn: number
  readonly snapshots: readonly NamedSnapshot[]
  /**
   * The segments of a backup: others in its folder were left by a copy that was cut off. By default
   * all segments of the log.
   */
  readonly segments?: readonly CopiedSegment[]
  /**
   * The LSNs of the saved states of a backup, for the same reason. By default the last two up to
   * `lsn`.
   */
  readonly states?: readonly number[] | undefined
  /** The id of the copy, in hex; that of its origin by default. */
  readonly walId?: string
}

/** A copied segment: its frames end at `bytes` with LSN `lastLsn` and this CRC. */
export type CopiedSegment = {
  readonly name: string
  readonly bytes: number
  readonly lastLsn: number
  /** The CRC of the last frame's header. Each frame covers the one before it, so it covers all. */
  readonly lastCrc: number
}

/** The content of a copy, as plain data. */
export type ShardCopy = {
  readonly walId: string
  readonly epoch: number
  /** The first LSN that the log has, and the last one. */
  readonly firstLsn: number
  readonly lsn: number
  /** The stamp of the last DATA frame in ms; 0 without one. */
  readonly time: number
  readonly snapshots: readonly NamedSnapshot[]
  /** The LSNs of the saved states; absent in a backup that does not list them. */
  readonly states?: readonly number[]
  readonly segments: readonly CopiedSegment[]
  /** The blobs, and their segments. */
  readonly blobs: { readonly count: number; readonly bytes: number; readonly segments: number[] }
  /**
   * Blobs that only frames refer to and that are missing or damaged: a refused command may have left
   * such a frame.
   */
  readonly missing: readonly string[]
  /** The bytes that were written; the rest was there and sound. */
  readonly copiedBytes: number
}

/**
 * Copies a shard, and reports the bytes that it examined or copied. A file in `to` that is there
 * and sound is not copied again.
 * @throws KeelsonError `CORRUPT` if something in `from` is damaged, with its file and place, and if
 * it is a snapshot with its LSN as `details.snapshot`;
 * `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN`; `CLOSED` after `signal` was aborted
 */
export type ShardCopier = (
  request: ShardCopyRequest,
  signal: AbortSignal,
  onProgress?: (progress: Progress) => void,
) => Promise<ShardCopy>

/** The log of a shard as of now: a pin keeps its frames. The snapshots are to be copied, too. */
export type LogExport = {
  readonly shard: number
  readonly log: LogHost
  readonly state: LogState
  readonly snapshots: readonly NamedSnapshot[]
}

/**
 * Makes the files of a log that has none, for a copy: its segments in `dir`, until `remove`, and the
 * snapshots in their folder.
 * @throws KeelsonError `CORRUPT`, `NO_SPACE`, `READ_ONLY`; the end of the log; `CLOSED` after
 * `signal` was aborted
 */
export type LogExporter = (
  request: LogExport,
  signal: AbortSignal,
) => Promise<{ readonly dir: string; readonly remove: () => void }>
