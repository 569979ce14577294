/**
 * The port to a log. Writes, syncs and scans go through `run`. In production a log is on a
 * thread (`thread-log-host.ts`). In the simulation it runs inline (`inline-host.ts`), and the
 * virtual clock delays its answers, so that groups form as they do on a disk. Requests are handled
 * one after another, in order. `engine-log/engine-log-host.ts` keeps a log in an engine; there reads do
 * not wait for commits.
 *
 * A host owns its log's files from `create` or `open` on. It serves one epoch of one log. After
 * `close` or `end`, or after a write failed (`poisoned`), a new host inspects the log again.
 */

import type { PrivateKey } from '../../bytes/ed25519.ts'
import type { KeelsonError } from '../../errors.ts'
import type { NamedSnapshot } from './named-snapshot.ts'
import type { ProjectedPosition } from './projection-store.ts'

/**
 * The features of a log that this version knows, as bits: none yet. A later version gives a bit to
 * what a reader without it would misread.
 */
export const knownFeatures = 0

/** Options of a log. */
export type LogOptions = {
  /** Size of a segment in bytes, preallocated. */
  readonly maxFileSize: number
  /** The bytes that a power cut may tear together. Groups begin on its multiples. */
  readonly sectorBytes: number
  /** How much of the log stays although a snapshot covers it; nothing by default. */
  readonly retention?: LogRetention
  /** A commitment to each group; none by default. */
  readonly commitments?: CommitmentOptions
}

/** How groups are committed to. `key` signs each header. */
export type CommitmentOptions = { readonly key?: PrivateKey }

/**
 * The part of a log that is kept to go back to a moment: frames of the last `ms`, and the last
 * `bytes` of frames; with both, what either keeps. The snapshot below them is kept too, as the
 * start of a way back.
 */
export type LogRetention = { readonly ms?: number; readonly bytes?: number }

/** How many snapshots stay named beside a new one, and which ones do not: they are damaged. */
export type Naming = {
  readonly keep: number
  readonly without?: readonly NamedSnapshot[]
  /** Begins another segment, if there is room for one: what the present one has is released sooner. */
  readonly endsSegment?: boolean
}

/**
 * A source outside the log (a projection, a replica, the caller) that proves that the log once
 * reached `lsn`. With a `walId` it counts only for the log with that id. `byCaller`: an option says so.
 */
export type Evidence = {
  readonly lsn: number
  readonly source: string
  readonly walId?: string
  readonly byCaller?: boolean
}

/**
 * The part of a log that must be present and sound, beyond what recovery itself reads: every LSN
 * from `heldFrom` on, and every frame from `readFrom` on or after the position of a projection.
 */
export type LogNeeds = {
  /** If absent: after the checkpoint. */
  readonly heldFrom?: number
  readonly readFrom: number
  /**
   * The position of a projection. It proves that the log reached it, unless it is of another log or
   * a diverged copy.
   */
  readonly shown?: ProjectedPosition
  /**
   * It is the log of a store: DATA frames that will be read hold units that this version can read.
   */
  readonly holdsUnits?: boolean
  /**
   * It is the log of a store, whose rows are built from it: the log must follow `shown`, or else a
   * snapshot that the MANIFEST names, or else begin with LSN 1. Then `heldFrom` and `readFrom` do
   * not count. `damaged`: named snapshots that cannot be used.
   */
  readonly base?: { readonly damaged: readonly NamedSnapshot[] }
}

/** The base of the rows of a store, before the later frames. */
export type RowBase =
  | { readonly kind: 'projection' }
  /**
   * The frames from `firstLsn` of the inspection on are read too: they have the rows of the logged
   * blobs.
   */
  | { readonly kind: 'snapshot'; readonly snapshot: NamedSnapshot }
  /** Nothing: the log has every frame. */
  | { readonly kind: 'log' }

/** The result of `inspect`, as plain data. It goes to `open` unchanged. */
export type Inspection = {
  /** Whether the folder holds any segment. */
  readonly exists: boolean
  /** The wal id in hex; absent without a segment. */
  readonly walId?: string
  readonly epoch: number
  /** The first LSN that the log has or will have: frames before it were released. */
  readonly firstLsn: number
  /** The last whole frame, of any type; 0 in an empty log. */
  readonly lastLsn: number
  /** The last LSN that is proven to have been durable. */
  readonly provenLsn: number
  /** Whether there is a frame of any type. */
  readonly hasFrames: boolean
  /**
   * `clean`: ends with CLEAN_CLOSE. `unclean`: whole, without it. `torn`: bytes after the last
   * whole frame will be cut.
   */
  readonly tail: 'clean' | 'unclean' | 'torn'
  /** Bytes of a torn tail; 0 otherwise. Bytes after a clean end are in `remarks`. */
  readonly cutBytes: number
  /**
   * A sentence for each oddity that does not prevent opening (a bad header copy, an old manifest
   * …).
   */
  readonly remarks: readonly string[]
  /** The position in `needs.shown` is of another log, or of a diverged copy of this one. */
  readonly showsOther?: boolean
  /** The snapshots that the MANIFEST names, oldest first. */
  readonly snapshots: readonly NamedSnapshot[]
  /** The answer to `needs.base`; absent in a folder without segments. */
  readonly base?: RowBase
  /** Identifies the LOCK file, for a later inspection under the same lock; absent without one. */
  readonly lock?: string | undefined
  /** The work of `open`. Only the log knows its shape. */
  readonly plan: unknown
}

/** The result of opening. */
export type OpenReport = {
  readonly walId: string
  readonly epoch: number
  readonly firstLsn: number
  readonly lastLsn: number
  /** The stamp of the last recovered DATA frame, in ms; 0 without one. */
  readonly lastTime: number
  readonly tail: Inspection['tail']
  readonly cutBytes: number
  /** The features of its newest segment. */
  readonly features: number
  /** Number of frames copied into the fresh segment. */
  readonly copiedFrames: number
  readonly segments: number
  /** The remarks of the inspection. */
  readonly remarks: readonly string[]
}

/**
 * Frames to commit. `bytes` holds their payloads one after another. The log writes its stamp into
 * the first eight bytes of each.
 */
export type CommitRequest = {
  readonly bytes: Uint8Array
  readonly lengths: ArrayLike<number>
  /** The whole buffer under `bytes` may be transferred. */
  readonly isGiven?: boolean
  /** The time in ms. The log stamps the greater of it and its last stamp. */
  readonly now: number
  /** False: the group is written but not synced (level `written`). */
  readonly sync: boolean
  /** The durable LSN of the projection, for the CHECKPOINT of a new segment. */
  readonly projectedLsn: number
  /** The features that a reader of the frames must know. */
  readonly features?: number
}

/** A group that was written, and synced if the request asked for that. */
export type Commit = {
  readonly firstLsn: number
  /** Number of frames taken. The rest was refused before any of its bytes was written. */
  readonly count: number
  /** The LSN of each frame taken. There is a gap where a new segment put its own frames between. */
  readonly lsns: readonly number[]
  readonly time: number
  readonly durableLsn: number
  /**
   * Why the rest was refused: no new segment could be prepared, `NO_SPACE` or `READ_ONLY`. Absent if
   * all frames were taken.
   */
  readonly refused?: KeelsonError
  readonly syncMs: number
  readonly bytesWritten: number
  readonly rolled: boolean
  /** The memory of the request, if it was transferred and is large. Its sender may use it again. */
  readonly spent?: Uint8Array
}

/** A request to read. LSNs are inclusive. */
export type ReadRequest = {
  readonly from: number
  /** The last frame; if absent, the last durable one. */
  readonly to?: number
  /** Bytes of payloads in one answer. A single frame may be larger. */
  readonly maxBytes: number
  /** Start after the checkpoint, or at `from` if that is later. */
  readonly fromCheckpoint?: boolean
  /**
   * Read CHECKPOINT frames too. Their payload is the LSN that they cover, as u64, then the caller's
   * bytes.
   */
  readonly checkpoints?: boolean
}

/**
 * One frame of an answer. Its payload is `bytes.subarray(offset, offset + length)` of the answer,
 * with the stamp if it is DATA.
 */
export type ReadFrame = {
  readonly lsn: number
  readonly type: number
  /** The stamp of a DATA frame, in ms; 0 in others. */
  readonly time: number
  /** It is the first of a group: those before it became durable without it. */
  readonly startsGroup: boolean
  readonly offset: number
  readonly length: number
}

/** Verified frames, up to the durable LSN at most. */
export type ReadAnswer = {
  readonly frames: readonly ReadFrame[]
  readonly bytes: Uint8Array
  /** The LSN to go on from. All frames below have been read. */
  readonly next: number
  readonly durableLsn: number
}

/** The end of a chain of commitments: what an operator publishes. */
export type CommitmentHead = {
  /** The number of headers, and the root over all of them: 64 hex digits, as the hashes are. */
  readonly size: number
  readonly root: string
  /** The hash of the last header, its LSN and its time in ms since 1970. */
  readonly hash: string
  readonly lsn: number
  readonly time: number
}

/** The identity and the extent of a log, wherever it is kept. */
export type LogExtent = {
  readonly walId: string
  readonly epoch: number
  /** The first LSN that the log has or will have: frames before it were released. */
  readonly firstLsn: number
  readonly lastLsn: number
  readonly durableLsn: number
  readonly checkpointLsn: number
  /** The snapshots that the log names, oldest first. */
  readonly snapshots: readonly NamedSnapshot[]
}

/**
 * The state of a log. Sizes are about right: a log need not know the length of each frame. At its
 * end they are 0.
 */
export type LogState = LogExtent & {
  /** The bytes of the frames after the newest snapshot. */
  readonly newBytes: number
  /** The bytes of the frames after the LSN that the request names; without one, of all. */
  readonly bytesAfter: number
}

/** A description of a log with its files, for people. Nothing is decided by it. */
export type LogDescription = LogExtent & {
  /** The number of prepared segments, and whether another one is being prepared. */
  readonly spares: { readonly ready: number; readonly making: boolean }
  readonly segments: readonly {
    readonly file: string
    readonly baseLsn: number
    readonly lastLsn: number
    readonly usedBytes: number
    readonly allocatedBytes: number
  }[]
  /** The bytes of a log in an engine. It has no segments, and no spares. Absent for one in files. */
  readonly engineBytes?: number
}

/** The requests of a host and their answers. */
export type LogProtocol = {
  /**
   * Inspects a log and changes nothing. `minDurable` in `evidence` is the caller's own knowledge.
   * `lock` is the answer of an earlier inspection.
   * @throws KeelsonError `CORRUPT` (details: file, offset, lsn, evidence), `UNSUPPORTED_VERSION`;
   * `SHARD_DOWN` (reason `poisoned`) if LOCK is not the file `lock`
   */
  inspect: {
    request: {
      dir: string
      options: LogOptions
      evidence: readonly Evidence[]
      needs?: LogNeeds
      lock?: string | undefined
    }
    answer: Inspection
  }
  /**
   * Makes the MANIFEST and the first segment in a folder that is missing, empty, or left by an
   * interrupted creation.
   * @throws `CONFLICT` if there are frames; `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN` (reason `disk`):
   * no file is left
   */
  create: { request: { dir: string; options: LogOptions }; answer: null }
  /**
   * Carries out the plan of an inspection. Commits are possible afterwards.
   * @throws `NO_SPACE`, `READ_ONLY` with nothing changed; `NO_SEGMENTS` if there is no log;
   * `SHARD_DOWN` if the disk failed on the way: a new host must inspect the log again
   */
  open: {
    request: { dir: string; options: LogOptions; inspection: Inspection }
    answer: OpenReport
  }
  /**
   * Writes frames, and syncs them if asked to.
   * @throws `SHARD_DOWN` (reason `poisoned`) if a write or a sync failed, which is final for this
   * host; `TOO_LARGE` for a frame beyond `framePayloadMax`, `INVALID_ARGUMENT`: nothing was
   * written, and the log goes on
   */
  commit: { request: CommitRequest; answer: Commit }
  /** Syncs all commits that were not synced. */
  sync: { request: null; answer: { durableLsn: number } }
  /**
   * Makes all commits durable, and writes a synced marker that proves it, unless the log proves it
   * already or has no room. Damage to the last group is then never taken for a torn tail. @throws
   * `SHARD_DOWN` (poisoned)
   */
  mark: { request: null; answer: { written: boolean; durableLsn: number } }
  /**
   * Makes all commits durable, then writes and syncs a CHECKPOINT that covers them, with the
   * caller's bytes, and names it in the MANIFEST. Returns the CHECKPOINT's own LSN.
   * @throws `TOO_LARGE`, `NO_SPACE` or `READ_ONLY` with nothing written; `SHARD_DOWN`
   * (poisoned)
   */
  checkpoint: {
    request: { opaque: Uint8Array }
    answer: { lsn: number; coveredLsn: number; durableLsn: number }
  }
  /**
   * Names a verified snapshot, durably, and moves the checkpoint up to it. Of the named ones stay
   * the newest `keep`, from 1 to 8, and the ones that the retention needs, but none of `without`:
   * they cannot be used. A file without a name may be removed afterwards. An engine keeps two, and
   * has no segments to end.
   * @throws `FENCED` for another `epoch` than the log's; `INVALID_ARGUMENT` for a snapshot beyond
   * the durable LSN, or below the first one; `SHARD_DOWN` (reason `poisoned`)
   */
  name: {
    request: { epoch: number; snapshot: NamedSnapshot } & Naming
    answer: { snapshots: readonly NamedSnapshot[]; checkpointLsn: number }
  }
  /**
   * Removes whole segments, the oldest first, if all their frames are covered by `lsn`, the
   * checkpoint and, if any is named, the oldest snapshot, and no frame is pinned or within the
   * retention. A crash on the way leaves some of the segments, and never a
   * hole. A log in an engine gives back frames, and `removed` is 0. `heldBytes`: the segments left that `wanted` would remove if nothing were pinned.
   * @throws `FENCED` for another `epoch` than the log's; `SHARD_DOWN` with the reason `disk` if a
   * file could not be removed (it stays part of the log), `poisoned` if the sync of the folder failed
   */
  release: {
    request: { epoch: number; lsn: number; wanted?: number }
    answer: { removed: number; removedBytes: number; heldBytes: number; firstLsn: number }
  }
  /**
   * Pins all frames from `from` on, for a reader or a required replica, until `unpin` or the end of
   * this epoch of the log. With `pin` it moves an earlier pin.
   * @throws `BAD_CURSOR` before the first LSN of the log; `INVALID_ARGUMENT` for a pin that is not
   * held
   */
  pin: { request: { from: number; pin?: number }; answer: { pin: number } }
  /** Ends a pin. A no-op if it has ended. */
  unpin: { request: { pin: number }; answer: null }
  /**
   * Reads DATA frames from `from` on: at least one if there is any, then up to `maxBytes` of
   * payloads.
   * @throws `CORRUPT`; `BAD_CURSOR` for a `from` before the first LSN of the log
   */
  read: { request: ReadRequest; answer: ReadAnswer }
  /**
   * Makes all commits durable, and returns the end of the chain of commitments; `null` if the log has
   * none. @throws `SHARD_DOWN` (poisoned)
   */
  head: { request: null; answer: CommitmentHead | null }
  /** The present state of the log. */
  state: { request: { after: number } | null; answer: LogState }
  /** Describes the log, for people. */
  describe: { request: null; answer: LogDescription }
  /** Writes CHECKPOINT, CLEAN_CLOSE and MANIFEST, and closes the files. */
  close: { request: { projectedLsn: number }; answer: null }
}

/** The name of a request. */
export type LogRequestKind = keyof LogProtocol

/** The host of one epoch of one log. */
export interface LogHost {
  /** Resolves when its thread has died, before its end. */
  readonly died?: Promise<KeelsonError>
  /** Rejects with a `KeelsonError`. After `end` was called: `CLOSED`. */
  run<K extends LogRequestKind>(
    kind: K,
    request: LogProtocol[K]['request'],
  ): Promise<LogProtocol[K]['answer']>
  /**
   * Whether its thread takes one more commit at once. If not, a group of writes had better wait and
   * grow, and `whenFree` is called once, after the end of another commit. Absent: always.
   */
  readonly isFree?: (whenFree: () => void) => boolean
  /**
   * Stops without a clean close: at once, or after the requests before if it shares a thread. After
   * it resolves nothing is written and all files are closed.
   */
  end(): Promise<void>
}

/** Makes the host for the next epoch of a shard's log. */
export type LogHostFactory = (shard: number) => LogHost
