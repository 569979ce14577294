/**
 * The port to the snapshots of a shard. A snapshot is a file with every row of a projection at one
 * position. It lets the log be given back, and rebuilds a projection. Long work goes through `run`:
 * on a separate thread in production, which exists only while it works, and inline in the
 * simulation. Requests are handled one after another, in order.
 *
 * A snapshot counts once the log's MANIFEST names it (`LogProtocol.name`). A file without a name is
 * a leftover, which `tidy` removes.
 */
import type { NamedSnapshot } from './named-snapshot.ts'
import type { ProjectedPosition } from './projection-store.ts'

/** The content of a snapshot. With `lsn` of its position it is a `NamedSnapshot`. */
export type SnapshotFacts = NamedSnapshot & {
  readonly position: ProjectedPosition
  readonly rows: number
  readonly blocks: number
}

/** Bytes of a segment of blobs, from one offset up to another: whole records. */
export type BlobStretch = { readonly segment: number; readonly from: number; readonly to: number }

/** A place in a snapshot: where a block begins, and how many rows are before it. */
export type SnapshotPlace = { readonly offset: number; readonly rows: number }

/**
 * A state that an application has saved: its content stands for the entries up to `lsn`. `time` in
 * ms since 1970.
 */
export type AppState = {
  readonly lsn: number
  readonly time: number
  readonly content: Uint8Array
}

/** How far a request has come. */
export type SnapshotProgress = {
  /** `write` and `read back` belong to `make`. */
  readonly phase: 'write' | 'read back' | 'verify' | 'load' | 'blobs'
  readonly rows: number
  /** Bytes of the file. */
  readonly bytes: number
  /** All rows and bytes, where they are known. */
  readonly rowsInAll?: number
  readonly bytesInAll?: number
}

/**
 * The requests of a host and their answers. `dir` is the folder of the shard's snapshots. It may be
 * missing. Every request may fail as the disk does: `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN` (reason
 * `disk`).
 */
export type SnapshotProtocol = {
  /**
   * Makes a snapshot of the projection in the folder `projection`: written under a temporary name,
   * synced, read back and verified whole, renamed, and the folder synced. The caller holds a pin of
   * the open projection (`ProjectionStore.pin`) until the answer, and drops the answer if the pin
   * was lost. If it rejects, no file is left, unless the disk or the process died.
   * @throws `CORRUPT`: with `details.file` the file was read back damaged; without, the projection
   * is damaged, and its rows are to be rebuilt. `BUSY` (reason `pinned`) above `pinnedBytesMax`;
   * `NOT_FOUND` if the projection has no position
   */
  make: {
    request: {
      readonly dir: string
      readonly projection: string
      /**
       * Bytes of the file per second, `Infinity` without a limit. Absent: the work takes a quarter
       * of the time.
       */
      readonly bytesPerSecond?: number
      /**
       * How far the projection's file may grow during the work, because its old pages are pinned.
       */
      readonly pinnedBytesMax: number
    }
    answer: SnapshotFacts
  }
  /**
   * Reads a whole snapshot, in bounded memory.
   * @throws `CORRUPT` (details: file, offset, evidence) for every damage, a missing file, and a
   * file that is not the named one; `UNSUPPORTED_VERSION`
   */
  verify: {
    request: { readonly dir: string; readonly snapshot: NamedSnapshot }
    answer: SnapshotFacts
  }
  /**
   * Fills the folder `projection` with the rows of a snapshot. Rows are durable in pieces, each
   * with its place in the file, so that an interrupted load of the same snapshot goes on from
   * there. Anything else in the folder is removed first. No store may have it open. Until the load
   * is complete, `examine` answers `loading`; afterwards the projection has the snapshot's
   * position. It has no rows of logged blobs: they come from the frames that the log holds.
   * @throws as `verify`
   */
  load: {
    request: {
      readonly dir: string
      readonly snapshot: NamedSnapshot
      readonly projection: string
    }
    answer: SnapshotFacts
  }
  /**
   * The blobs that the rows of a snapshot refer to: they are alive while it is kept, even if newer
   * rows have replaced them. Adjacent records are one stretch.
   * @throws as `verify`
   */
  blobs: {
    request: { readonly dir: string; readonly snapshot: NamedSnapshot }
    answer: { readonly blobs: readonly BlobStretch[] }
  }
  /**
   * About `maxBytes` of the rows of a snapshot, and at least a block of them, from a place on that
   * an earlier answer gave as `next`, or from its beginning. `lengths` has those of key and record
   * in turn. `next` is absent after the last row.
   * @throws as `verify`
   */
  rows: {
    request: {
      readonly dir: string
      readonly snapshot: NamedSnapshot
      readonly from?: SnapshotPlace
      readonly maxBytes: number
    }
    answer: {
      readonly position: ProjectedPosition
      readonly bytes: Uint8Array
      readonly lengths: readonly number[]
      readonly next?: SnapshotPlace
    }
  }
  /**
   * Removes every snapshot in the folder but `kept`: the ones that the log has named (`name`), or
   * the inspection found, once the log is open. Before that the MANIFEST may not be durable, and an
   * older one may need its files. With nothing to keep only an unfinished one is removed: a lost
   * MANIFEST names none, and the files may be the only copy of released frames.
   */
  tidy: {
    request: { readonly dir: string; readonly kept: readonly NamedSnapshot[] }
    answer: { readonly removed: number; readonly removedBytes: number }
  }
  /**
   * Saves a state of the application durably, whole or not at all, and removes all but the last
   * two. Answers the LSNs that are kept. `epoch` is that of the caller's log. A host whose states
   * other members share acknowledges only to the owner. During a backup the last two up to
   * `copiedLsn` stay in the folder, too.
   * @throws `FENCED` if the log has another epoch; `CORRUPT` if the state cannot be read back
   */
  saveState: {
    request: {
      readonly dir: string
      readonly state: AppState
      readonly epoch: number
      readonly copiedLsn?: number
    }
    answer: { readonly states: readonly number[] }
  }
  /**
   * Loads the newest sound state; `undefined` if there is none. Answers the LSNs of the states in
   * the folder, too, and the damaged ones that were found before. `copiedLsn`: as for `saveState`.
   * @throws `CORRUPT` with `details.file` if there are files and none is sound; `UNSUPPORTED_VERSION`;
   * `FENCED` as `saveState`
   */
  loadState: {
    request: { readonly dir: string; readonly epoch: number; readonly copiedLsn?: number }
    answer: {
      readonly state: AppState | undefined
      readonly states: readonly number[]
      readonly damaged: readonly string[]
    }
  }
}

/** The name of a request. */
export type SnapshotRequestKind = keyof SnapshotProtocol

/** The snapshots of one shard. */
export interface SnapshotHost {
  /** Rejects with a `KeelsonError`. After `end` was called: `CLOSED`. */
  run<K extends SnapshotRequestKind>(
    kind: K,
    request: SnapshotProtocol[K]['request'],
    onProgress?: (progress: SnapshotProgress) => void,
  ): Promise<SnapshotProtocol[K]['answer']>
  /**
   * Interrupts the present work and rejects it with `CLOSED`. After it resolves nothing is written
   * and all files are closed.
   */
  end(): Promise<void>
}

/** Makes the host of a shard's snapshots. */
export type SnapshotHostFactory = (shard: number) => SnapshotHost
