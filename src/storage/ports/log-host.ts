/**
 * Where a log runs. All that writes, syncs or scans goes through `run`: on a thread of its own in production
 * (`thread-log-host.ts`), inline in the simulation (`inline-log-host.ts`), its answer delayed by the virtual clock, so
 * that groups form as they do in life. Requests are carried out one after another, in the order in which they were made.
 *
 * A host owns its log's files from `create` or `open` on. It is used for one life of one log: after `close` or
 * `end`, or once a write failed (`poisoned`), a new host takes a new look.
 */
import type { KeelsonError } from '../../errors.ts'
import type { ProjectedPosition, ProjectionExamination } from './projection-store.ts'

/** What a log is opened with. */
export type LogOptions = {
  /** Size of a segment, preallocated. */
  readonly maxFileSize: number
  /** The unit that a power cut may tear; groups begin on its multiples. */
  readonly sectorBytes: number
}

/**
 * Something outside the log that proves it once reached `lsn`: a projection, a replica, the caller. With a `walId` it
 * counts only for the log of that id.
 */
export type Evidence = { readonly lsn: number; readonly source: string; readonly walId?: string }

/**
 * What of a log has to be there and whole beyond what recovery itself reads: every LSN from `heldFrom` on, and every frame from
 * `readFrom` on, or behind what a projection shows already.
 */
export type LogNeeds = {
  /** Behind the checkpoint when absent. */
  readonly heldFrom?: number
  readonly readFrom: number
  /** What a projection shows. It proves that the log reached it; not when it is of another log, or another timeline of this one. */
  readonly shown?: ProjectedPosition
  /** It is the log of a store: DATA frames that somebody will read hold units that this version can read. */
  readonly holdsUnits?: boolean
}

/** What `inspect` found, as plain data: it goes to `open` as it is. */
export type Inspection = {
  /** Whether the folder holds any segment. */
  readonly exists: boolean
  /** The wal id in hex; absent without a segment. */
  readonly walId?: string
  readonly epoch: number
  /** The last whole frame, of any type; 0 in an empty log. */
  readonly lastLsn: number
  /** Up to here something proves that frames were durable. */
  readonly provenLsn: number
  /** How many DATA frames it holds is not counted; this says whether there is any frame of any type. */
  readonly hasFrames: boolean
  /** `clean`: ended by CLEAN_CLOSE. `unclean`: whole, without it. `torn`: bytes behind the last whole frame will be cut. */
  readonly tail: 'clean' | 'unclean' | 'torn'
  /** Of a torn tail; 0 otherwise. What stands behind a clean end is in `remarks`. */
  readonly cutBytes: number
  /** One sentence for each odd thing that was found and is no reason to refuse (a bad header copy, an old manifest …). */
  readonly remarks: readonly string[]
  /** What `needs` said to be shown is of another log, or of another timeline of this one. */
  readonly showsOther?: boolean
  /** Which file LOCK was, for a later inspection in the same tenure of the folder; absent without one. */
  readonly lock?: string
  /** What `open` carries out. Its shape is the log's own affair. */
  readonly plan: unknown
}

/** What opening found and did. */
export type OpenReport = {
  readonly walId: string
  readonly epoch: number
  readonly firstLsn: number
  readonly lastLsn: number
  /** The stamp of the last recovered DATA frame, in ms; 0 without one. */
  readonly lastTime: number
  readonly tail: Inspection['tail']
  readonly cutBytes: number
  /** Frames that were copied into the fresh segment. */
  readonly copiedFrames: number
  readonly segments: number
  /** Those of the inspection. */
  readonly remarks: readonly string[]
}

/** Frames to commit. `bytes` holds their payloads one after another; each begins with eight bytes that the log stamps. */
export type CommitRequest = {
  readonly bytes: Uint8Array
  readonly lengths: ArrayLike<number>
  /** The whole buffer under `bytes` may be given away, whatever else it has room for. */
  readonly isGiven?: boolean
  /** The time to stamp, in ms; the log stamps the greater of it and its last stamp. */
  readonly now: number
  /** False leaves the group written but not synced: level `written`. */
  readonly sync: boolean
  /** How far the projection is durable, for the CHECKPOINT that a roll writes. */
  readonly projectedLsn: number
}

/** A group that was written, and synced when that was asked for. */
export type Commit = {
  readonly firstLsn: number
  /** How many of the frames were taken; the rest was refused before any byte of it was written. */
  readonly count: number
  /** LSN of each frame that was taken. Contiguous but where a roll put its own frames between. */
  readonly lsns: readonly number[]
  readonly time: number
  readonly durableLsn: number
  /**
   * Why the rest was refused: `NO_SPACE`, `READ_ONLY`, or `BUSY` when a new segment could not be prepared. Absent when
   * all were taken.
   */
  readonly refused?: KeelsonError
  readonly syncMs: number
  readonly bytesWritten: number
  readonly rolled: boolean
  /** The request's memory, when it was given away and is large: its sender may fill it anew. */
  readonly spent?: Uint8Array
}

/** What to read. LSNs are inclusive. */
export type ReadRequest = {
  readonly from: number
  /** The last frame wanted; all that is durable when absent. */
  readonly to?: number
  /** Payloads per answer; one frame may be larger. */
  readonly maxBytes: number
  /** Begin behind the checkpoint, or at `from` when that is later. Without a checkpoint: at `from`. */
  readonly fromCheckpoint?: boolean
  /** CHECKPOINT frames too: their payload is the LSN that they cover as u64, then the caller's bytes. */
  readonly checkpoints?: boolean
}

/**
 * One frame that was read. Its payload (with the stamp, when it is DATA) is `bytes.subarray(offset, offset + length)` of
 * the answer.
 */
export type ReadFrame = {
  readonly lsn: number
  readonly type: number
  /** The stamp of a DATA frame, in ms; 0 in others. */
  readonly time: number
  readonly offset: number
  readonly length: number
}

/** Frames that were read, verified, never beyond the durable LSN. */
export type ReadAnswer = {
  readonly frames: readonly ReadFrame[]
  readonly bytes: Uint8Array
  /** Read on from here; everything below has been read. */
  readonly next: number
  readonly durableLsn: number
}

/** A log as people look at it. */
export type LogDescription = {
  readonly walId: string
  readonly epoch: number
  readonly lastLsn: number
  readonly durableLsn: number
  readonly checkpointLsn: number
  /** Segments that are prepared, and whether one is being prepared. */
  readonly spares: { readonly ready: number; readonly making: boolean }
  readonly segments: readonly {
    readonly file: string
    readonly baseLsn: number
    readonly lastLsn: number
    readonly usedBytes: number
    readonly allocatedBytes: number
  }[]
}

/** The requests that a host takes, and what it answers. */
export type LogProtocol = {
  /**
   * Looks and changes nothing. @throws KeelsonError `CORRUPT` (details: file, offset, lsn, evidence), `UNSUPPORTED_VERSION`.
   * `minDurable` in `evidence` is the caller's own knowledge. `lock` is what an earlier inspection answered: when LOCK is another
   * file by now, `SHARD_DOWN` with the reason `poisoned`.
   */
  inspect: {
    request: {
      dir: string
      options: LogOptions
      evidence: readonly Evidence[]
      needs?: LogNeeds
      lock?: string
    }
    answer: Inspection
  }
  /**
   * Makes MANIFEST and first segment in a folder that is missing, empty, or has what an interrupted creation left.
   * @throws `CONFLICT` when there are frames; `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN` (reason `disk`); then nothing is left behind.
   */
  create: { request: { dir: string; options: LogOptions }; answer: null }
  /**
   * Carries out the plan of an inspection and is ready to commit. @throws `NO_SPACE`, `READ_ONLY` with nothing changed;
   * `NO_SEGMENTS` when there is no log; `SHARD_DOWN` when the disk failed on the way: a new host takes a new look.
   */
  open: {
    request: { dir: string; options: LogOptions; inspection: Inspection }
    answer: OpenReport
  }
  /**
   * @throws `SHARD_DOWN` with `details.reason: 'poisoned'` when a write or a sync failed: final for this host. `TOO_LARGE` for
   * a frame beyond `framePayloadMax`, `INVALID_ARGUMENT`: nothing was written, and the log goes on.
   */
  commit: { request: CommitRequest; answer: Commit }
  /** Syncs what was committed without a sync. */
  sync: { request: null; answer: { durableLsn: number } }
  /**
   * Makes everything durable, and writes and syncs one marker that says so, when nothing says it yet and there is room:
   * from then on damage to the last group is known to be damage. @throws `SHARD_DOWN` (poisoned).
   */
  mark: { request: null; answer: { written: boolean; durableLsn: number } }
  /**
   * Makes everything durable, then writes a CHECKPOINT that covers all of it, with the caller's bytes, syncs, and lets the
   * MANIFEST name it. Answers the CHECKPOINT's own LSN. @throws `TOO_LARGE`, `NO_SPACE`, `READ_ONLY` or `BUSY` with nothing
   * written; `SHARD_DOWN` (poisoned).
   */
  checkpoint: {
    request: { opaque: Uint8Array }
    answer: { lsn: number; coveredLsn: number; durableLsn: number }
  }
  /**
   * Removes whole segments, the oldest first, that hold nothing beyond `lsn`, beyond the checkpoint or beyond what is
   * pinned. A crash in between leaves a log that begins later or not, never one with a hole. @throws `SHARD_DOWN` with the
   * reason `disk` when a file could not be removed (it stays part of the log), `poisoned` when the folder's sync failed.
   */
  release: {
    request: { lsn: number }
    answer: { removed: number; removedBytes: number; firstLsn: number }
  }
  /**
   * Keeps everything from `from` on until `unpin`: a reader's, or a required replica's, lease on a position. With `pin` an
   * earlier one is moved. It ends with this life of the log. @throws `INVALID_ARGUMENT` before the first LSN of the log, or
   * for a pin that is not held.
   */
  pin: { request: { from: number; pin?: number }; answer: { pin: number } }
  /** Ends a pin; a no-op when it had ended. */
  unpin: { request: { pin: number }; answer: null }
  /**
   * DATA frames from `from` on, at least one when there is any, then up to `maxBytes` of payloads.
   * @throws `CORRUPT`; `INVALID_ARGUMENT` for what lies before the first LSN of the log.
   */
  read: { request: ReadRequest; answer: ReadAnswer }
  describe: { request: null; answer: LogDescription }
  /** Looks through a projection's file (see `lmdb-examination.ts`). Changes nothing. */
  examineProjection: { request: { dir: string }; answer: ProjectionExamination }
  /** CHECKPOINT, CLEAN_CLOSE, MANIFEST; then the files are closed. */
  close: { request: { projectedLsn: number }; answer: null }
}

/** The name of a request. */
export type LogRequestKind = keyof LogProtocol

/** One life of one log. */
export interface LogHost {
  /** Rejects with a `KeelsonError`. After `end` was called: `CLOSED`. */
  run<K extends LogRequestKind>(
    kind: K,
    request: LogProtocol[K]['request'],
  ): Promise<LogProtocol[K]['answer']>
  /** Stops at once, whatever is under way, without a clean close. Once it resolves no byte is written any more and all files are closed. */
  end(): Promise<void>
}

/** Makes the host for one more life of a shard's log. */
export type LogHostFactory = (shard: number) => LogHost
