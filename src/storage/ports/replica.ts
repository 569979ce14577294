/**
 * The port to a replica: a place outside the data folder that follows the logs of an instance, and
 * from which they can be restored. A replica holds, for each log, a snapshot's rows or nothing, and
 * every later DATA frame up to a position. `keelson/postgres` implements it over PostgreSQL.
 *
 * One session is used by one follower at a time, call after call. Any rejection other than `FENCED`
 * leaves it open whether the call had its effect: the follower opens a new session and asks `look`.
 */
import type { NamedSnapshot } from './named-snapshot.ts'
import type { FrameMark, ProjectedPosition } from './projection-store.ts'
import type { SnapshotRecord } from './snapshot-rows.ts'

/** A log to replicate, and the folder it belongs to. */
export type ReplicatedLog = {
  /** In hex. */
  readonly walId: string
  readonly shard: number
  /** The number of shards in the folder. */
  readonly shards: number
  /** The folder's own id, from `keelson.json`. */
  readonly instanceId: string
}

/** The epoch of a log that may write to its replica. A later one has a greater number. */
export type ReplicaLease = {
  readonly epoch: number
  /** Random, one for each process: two copies of a folder may have the same epoch. */
  readonly holder: string
}

/** How much of a snapshot a replica has: `offset` and `rows` are the place to go on from. */
export type ReplicaLoad = {
  readonly snapshot: NamedSnapshot
  readonly offset: number
  readonly rows: number
}

/** The part of a log that a replica has. */
export type ReplicaProgress = {
  /** Every DATA frame after the base, up to this LSN; 0: none. */
  readonly lsn: number
  /** Identifies the frame at `lsn`; absent without one, and right after a snapshot without it. */
  readonly mark?: FrameMark
  readonly lease: ReplicaLease
  /** A snapshot that is being sent; `due`: a new one is needed, and none of it has been received. */
  readonly load?: ReplicaLoad | 'due'
}

/** One DATA frame. The payload begins with the stamp. It may be a view. */
export type ReplicatedFrame = {
  readonly lsn: number
  /** The stamp in ms. */
  readonly time: number
  readonly payload: Uint8Array
}

/**
 * A key as it is now, in a form that people can read.
 * `type`: of the value; `fields` for a compound. `json`: the value as JSON, if it has one and is
 * small; `bytes`: its bytes, if they are small and JSON cannot say them. `size` in bytes, or the
 * number of fields.
 */
export type ReadableKey = {
  readonly key: string
  readonly type: 'structured' | 'text' | 'bytes' | 'fields'
  readonly json?: string
  readonly bytes?: Uint8Array
  readonly size: number
  /** In ms since 1970; 0 for never. */
  readonly expiresAt: number
}

/** A durable actor as it is now, in a form that people can read. */
export type ReadableEntity = {
  /** `kind/id`. */
  readonly entity: string
  /** Of the server that wrote it. */
  readonly version: number
  /** The state as JSON, if it has one and is small. */
  readonly state?: string
  /** The values of its index fields, as JSON. */
  readonly fields: string
  /** The bytes of its row: state and recorded steps. */
  readonly size: number
}

/**
 * A change that readers of the replica see: a key with its present value, or without one; a durable
 * actor with its present state, or without one; or all keys of a namespace are gone (`undefined`:
 * all keys), before the changes that follow.
 */
export type ReadableChange =
  | { readonly kind: 'key'; readonly asOf: number; readonly row: ReadableKey }
  | { readonly kind: 'gone'; readonly key: string }
  | { readonly kind: 'entity'; readonly asOf: number; readonly row: ReadableEntity }
  | { readonly kind: 'ended'; readonly entity: string }
  | { readonly kind: 'clear'; readonly namespace: string | undefined }

/** An entry of the journal. */
export type ReplicatedEntry = {
  readonly lsn: number
  readonly index: number
  readonly time: number
  readonly id: string
  readonly type: string
  /** As JSON, where JSON can say them. */
  readonly command?: string | undefined
  readonly response?: string | undefined
  readonly events?: string | undefined
  readonly effects?: string | undefined
  /** Everything that it says, byte for byte as in the log. */
  readonly body: Uint8Array
}

/** The place and size of a blob, in bytes. A place is never used again in a log. */
export type BlobSpot = { readonly segment: number; readonly offset: number; readonly size: number }

/**
 * A blob that frames or rows refer to, and the way to its bytes, verified. Without a way only a write
 * that was refused refers to it, and it has been freed: the replica notes that.
 */
export type ReplicatedBlob = {
  readonly ref: BlobSpot
  readonly read: ((from: number, to: number) => Uint8Array) | undefined
}

/**
 * The readable changes and blobs of frames and rows. They are taken once, piece by piece, so that
 * memory is bounded.
 */
export type ReplicaSides = {
  readonly blobs: Iterable<ReplicatedBlob>
  readonly changes: Iterable<ReadableChange>
}

/** Whole groups of frames: all DATA frames between `after` and `lsn`. */
export type ReplicaChunk = ReplicaSides & {
  readonly log: ReplicatedLog
  readonly lease: ReplicaLease
  /** The replica's position before it. */
  readonly after: number
  /** The LSN of the last frame, and its mark. */
  readonly lsn: number
  readonly mark: FrameMark
  readonly frames: readonly ReplicatedFrame[]
  /** Taken once, like the sides. */
  readonly entries: Iterable<ReplicatedEntry>
}

/** A piece of a snapshot: rows in the order of their keys. */
export type ReplicaPiece = ReplicaSides & {
  readonly log: ReplicatedLog
  readonly lease: ReplicaLease
  readonly snapshot: NamedSnapshot
  /** Rows of the snapshot before the piece. 0 begins it again, and drops an unfinished one. */
  readonly rows: number
  readonly records: readonly SnapshotRecord[]
  /** The beginning of the next piece; or, after the last one, the position of the snapshot. */
  readonly next:
    | { readonly kind: 'more'; readonly offset: number }
    | { readonly kind: 'complete'; readonly position: ProjectedPosition }
}

/** A session with a replica. */
export interface ReplicaSession {
  /** The part of this log that the replica has; `undefined` if nothing. */
  look(log: ReplicatedLog): Promise<ReplicaProgress | undefined>
  /**
   * Takes the lease of a log whose progress was `seen`. `needsSnapshot`: the log begins after the
   * replica's position. If the replica has nothing, it can restore nothing before the snapshot is
   * there.
   * @throws KeelsonError `FENCED` if a later epoch of the log has it, or another copy of this one;
   * `CONFLICT` if the progress is another one by now: look again
   */
  claim(
    log: ReplicatedLog,
    lease: ReplicaLease,
    seen: ReplicaProgress | undefined,
    needsSnapshot?: boolean,
  ): Promise<void>
  /**
   * Adds a chunk, all of it or nothing. A chunk that the replica has already changes nothing.
   * @throws KeelsonError `FENCED`; `CONFLICT` if the replica is at neither end of the chunk
   */
  commit(chunk: ReplicaChunk): Promise<void>
  /** Adds a piece of a snapshot, all of it or nothing. @throws as `commit` */
  load(piece: ReplicaPiece): Promise<void>
  /** Ends the session, also during a call, which rejects. Never rejects. */
  close(): Promise<void>
}

/** A frame as a replica gives it back. */
export type StoredFrame = Pick<ReplicatedFrame, 'lsn' | 'payload'>

/** A log in a replica that can be restored. */
export type StoredLog = ReplicatedLog & {
  readonly epoch: number
  readonly lsn: number
  /** The stamp of the frame at `lsn`, in ms. */
  readonly time: number
  /** The position of the snapshot's rows, where the frames do not begin with the first. */
  readonly base?: ProjectedPosition
  /**
   * A number above those of all segments that its blobs here are in. The replica writes no place
   * twice, so the restored log begins its segments there.
   */
  readonly nextSegment: number
  /** The proof that the rows of the base, and all others, are the rows that were sent. */
  readonly sums: { readonly base: number; readonly end: number }
}

/** Reads a replica, to restore from it. */
export interface ReplicaReading {
  /** The logs of every folder. */
  logs(): Promise<readonly StoredLog[]>
  /** The rows of the base, in the order of their keys. @throws KeelsonError `CORRUPT` */
  rows(log: StoredLog): AsyncIterable<SnapshotRecord>
  /** The frames after the base, up to `log.lsn`. @throws KeelsonError `CORRUPT` */
  frames(log: StoredLog): AsyncIterable<StoredFrame>
  /** The bytes of a blob in order; none of one that was freed. @throws KeelsonError `CORRUPT` */
  blob(log: StoredLog, ref: BlobSpot): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** A replica that can be connected to. */
export interface Replica {
  /** A description for people, without a password. */
  readonly description: string
  /**
   * Connects, and brings the replica's own tables up to date. Aborting `signal` cuts the
   * connection, now or later, whatever is pending.
   * @throws KeelsonError `UNSUPPORTED_VERSION` if a newer version made them; any error of the
   * client
   */
  open(signal?: AbortSignal): Promise<ReplicaSession>
  /** Connects to restore. Changes nothing. @throws as `open`; `INVALID_ARGUMENT` if nothing is there */
  read(): Promise<ReplicaReading>
}
