/**
 * The port to projections: ordered rows and the position of the log that they show, changed
 * together atomically. LMDB (`lmdb-projection-store.ts`) and memory (`memory-projection-store.ts`)
 * pass one contract suite. A projection is derived: a damaged one is set aside and rebuilt from a
 * snapshot and the log, or the log alone.
 */
import type { LoadPlace } from './named-snapshot.ts'

/**
 * The kinds of stored values. The kind says how to read the bytes; it is never guessed from them.
 */
export const valueTags = { structured: 0, text: 1, bytes: 2, blob: 3 } as const
/** The kind of a stored value. */
export type ValueTag = (typeof valueTags)[keyof typeof valueTags]

/** Whether a byte is the tag of a kind of value. */
export const isValueTag = (byte: number): byte is ValueTag => byte <= valueTags.blob

/** A value in a frame or a row. */
export type StoredValue = { readonly tag: ValueTag; readonly bytes: Uint8Array }

/**
 * Kinds of rows without a user's value: the head of a compound (u64, its number of fields), a lock
 * (its owner's name; the row expires with the lease), a blob that the log refers to (u64, its size),
 * a row of a durable actor (`entity-key.ts`), the first entry of the journal with an id
 * (`entry-rows.ts`), and of a durable stream its head, a chunk and a producer (`stream-row.ts`). No
 * command holds them.
 */
export const rowTags = {
  compound: 4,
  lock: 5,
  loggedBlob: 6,
  entity: 7,
  entryId: 8,
  streamHead: 9,
  streamChunk: 10,
  streamProducer: 11,
} as const
/** The kind of a row. */
export type RowTag = ValueTag | (typeof rowTags)[keyof typeof rowTags]

/** Whether a byte is the tag of a kind of row. */
export const isRowTag = (byte: number): byte is RowTag => byte <= rowTags.streamProducer

/** The content of a row: a value, or one of the `rowTags`. */
export type RowValue = { readonly tag: RowTag; readonly bytes: Uint8Array }

/** A row without its key. `expiresAt` in ms since 1970, 0 for never. */
export type Row = { readonly value: RowValue; readonly expiresAt: number }

/**
 * Identifies a DATA frame among frames with the same LSN in diverged copies of a log: its stamp in
 * ms, and the CRC-32 of its payload after the stamp.
 */
export type FrameMark = { readonly time: number; readonly crc: number }

/**
 * The log that a projection shows, and the position in it. `walId` in hex. `frame` identifies the
 * frame at `lsn`. A position without it is trusted by id and LSN alone.
 */
export type ProjectedPosition = {
  readonly walId: string
  readonly epoch: number
  readonly lsn: number
  readonly frame?: FrameMark
}

/** A change of one row: the new row, or `undefined` to remove it. */
export type RowChange = readonly [key: string, row: Row | undefined]

/**
 * A range of rows in the order of their UTF-8 keys, with those of fields and locks. At most one
 * lower and one upper bound.
 */
export type RowRange = {
  readonly gt?: string
  readonly gte?: string
  readonly lt?: string
  readonly lte?: string
  readonly reverse?: boolean
}

/**
 * How much of a file is examined.
 * - `position`: the meta pages, and the pages on the way to the position.
 * - `branches`: also the free list and every branch page. A leaf page must exist and be used once.
 * - `all`: also every leaf page and the checksum of every row.
 */
export type ExaminationDepth = 'position' | 'branches' | 'all'

/** The result of examining a projection's files, which changes nothing. */
export type ProjectionExamination =
  | { readonly state: 'absent' }
  | {
      readonly state: 'sound'
      readonly position: ProjectedPosition | undefined
      readonly rows: number
      readonly bytes: number
    }
  /** A snapshot is loaded up to `place`. It has no position; a load goes on, `remove` drops it. */
  | { readonly state: 'loading'; readonly place: LoadPlace }
  | { readonly state: 'damaged'; readonly evidence: string }

/**
 * The rows of a store as they are when it is made. The files keep them until it is released or the
 * store is closed.
 */
export interface ProjectionPin {
  /** False once the store was closed: what was read since may be of no one state. */
  readonly isHeld: boolean
  /** A no-op if it was released. */
  release(): void
}

/**
 * Ordered rows with their position. Reads are synchronous and see every commit that has resolved.
 */
export interface ProjectionStore {
  /**
   * The position that the rows show; `undefined` in a new store. @throws KeelsonError `CORRUPT`,
   * also while a snapshot is not loaded to its end
   */
  position(): ProjectedPosition | undefined
  /** @throws KeelsonError `CORRUPT` if the row's checksum does not hold */
  get(key: string): Row | undefined
  /**
   * As `get`, for a caller that decodes the value at once: the next call to the store may overwrite
   * its bytes.
   */
  peek(key: string): Row | undefined
  /**
   * Rows in order, from one snapshot. End the iteration (`return`) before the turn ends. @throws
   * `CORRUPT` at a bad row
   */
  range(range: RowRange): IterableIterator<readonly [key: string, row: Row]>
  /**
   * Makes the changes and the position visible and durable in one transaction. If it rejects,
   * neither is. Until it settles the caller must not change `changes`, and reads show the state
   * before or after. Call it again only after it settled.
   * @throws KeelsonError `NO_SPACE` if the disk or the map is full: the store is unchanged and
   * usable. `SHARD_DOWN` if the writing thread died: after `settled`, `position` says whether the
   * commit was made
   */
  commit(changes: Iterable<RowChange>, position: ProjectedPosition): Promise<void>
  /**
   * Resolves when no commit is in progress: position and rows do not change until the next one.
   * Never rejects.
   */
  settled(): Promise<void>
  /** Pins the present rows for a snapshot, while no commit is pending (`settled`). */
  pin(): ProjectionPin
  /** Counts of rows and bytes, for people. */
  describe(): { readonly rows: number; readonly bytes: number }
  /** Closes after the commit in progress. */
  close(): Promise<void>
}

/** Opens projections, one folder each. */
export interface Projections {
  /**
   * Examines a folder and changes nothing. How much it examines depends on how its last opening ended.
   */
  examine(dir: string): Promise<ProjectionExamination>
  /**
   * Opens or creates. `mapBytesMax` bounds the map of the files, where they are mapped.
   * @throws KeelsonError `CORRUPT` if the files cannot be opened; `NO_SPACE`, and `SHARD_DOWN` with
   * the reason `disk`, if the process or its disk has no room for that
   */
  open(dir: string, mapBytesMax?: number): ProjectionStore
  /** Removes the files, so that `open` creates an empty store. */
  remove(dir: string): void
}
