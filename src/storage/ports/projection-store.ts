/**
 * The port to projections: ordered rows and the position of the log that they show, changed together or not at all.
 * LMDB (`lmdb-projection-store.ts`) and memory (`memory-projection-store.ts`) pass one contract suite.
 * A projection is derived: whoever finds it damaged sets it aside, and it is built anew from the log.
 */

/** How a stored value is to be read: its kind, never guessed from its content. */
export const valueTags = { structured: 0, text: 1, bytes: 2, blob: 3 } as const
/** One of the four kinds. */
export type ValueTag = (typeof valueTags)[keyof typeof valueTags]

/** Whether a byte is the tag of a kind of value. */
export const isValueTag = (byte: number): byte is ValueTag => byte <= valueTags.blob

/** A value as it stands in frames and rows. */
export type StoredValue = { readonly tag: ValueTag; readonly bytes: Uint8Array }

/**
 * Kinds of rows that hold no value of a user: the head of a compound (u64, how many fields it has), a lock (its owner's
 * name; its row expires when the lease ends) and a blob that the log refers to (u64, its size). They stand in no frame.
 */
export const rowTags = { compound: 4, lock: 5, loggedBlob: 6 } as const
/** The kind of a row. */
export type RowTag = ValueTag | (typeof rowTags)[keyof typeof rowTags]

/** Whether a byte is the tag of a kind of row. */
export const isRowTag = (byte: number): byte is RowTag => byte <= rowTags.loggedBlob

/** What a row holds: a value, or what only rows have. */
export type RowValue = { readonly tag: RowTag; readonly bytes: Uint8Array }

/** What stands under a row's key. `expiresAt` in ms since 1970, 0 for never. */
export type Row = { readonly value: RowValue; readonly expiresAt: number }

/** What tells a DATA frame from others under its LSN: its stamp in ms, and the CRC-32 of what follows the stamp in its payload. */
export type FrameMark = { readonly time: number; readonly crc: number }

/**
 * The log, and the place in it, that a projection shows. `walId` in hex. `frame`: which frame stood at `lsn`; positions
 * that were written before there was a mark have none, and are believed by id and LSN alone.
 */
export type ProjectedPosition = {
  readonly walId: string
  readonly epoch: number
  readonly lsn: number
  readonly frame?: FrameMark
}

/** A change of one row: the new one, or `undefined` to remove it. */
export type RowChange = readonly [key: string, row: Row | undefined]

/** Rows to walk through, those of fields and locks included, in the order of their UTF-8 bytes. At most one lower and one upper bound. */
export type RowRange = {
  readonly gt?: string
  readonly gte?: string
  readonly lt?: string
  readonly lte?: string
  readonly reverse?: boolean
}

/** What a look at a projection's files found, without changing them. */
export type ProjectionExamination =
  | { readonly state: 'absent' }
  | {
      readonly state: 'sound'
      readonly position: ProjectedPosition | undefined
      readonly rows: number
      readonly bytes: number
    }
  | { readonly state: 'damaged'; readonly evidence: string }

/** Ordered rows with their position. Reads are synchronous and see every commit that was answered. */
export interface ProjectionStore {
  /** `undefined` in a new store. */
  position(): ProjectedPosition | undefined
  /** @throws KeelsonError `CORRUPT` when the row's checksum does not hold. */
  get(key: string): Row | undefined
  /** Rows in order. The iteration sees one moment; end it (`return`) before the turn ends. @throws `CORRUPT` at a bad row. */
  range(range: RowRange): IterableIterator<readonly [key: string, row: Row]>
  /**
   * Makes the changes and the position visible and durable in one transaction; rejects with neither. Until it is answered
   * the changes stand still, and a read shows the moment before or the one after. One at a time: the next one is asked for
   * when this one is answered.
   * @throws KeelsonError `NO_SPACE` when the disk or the map is full; the store stays usable and is as it was. `SHARD_DOWN`
   * when whoever writes has died: once that is `settled`, `position` says whether the commit was made
   */
  commit(changes: Iterable<RowChange>, position: ProjectedPosition): Promise<void>
  /** Resolves when no commit is under way: from then on, until the next one, `position` and rows stand still. Never rejects. */
  settled(): Promise<void>
  /** Rows and bytes, for people. */
  describe(): { readonly rows: number; readonly bytes: number }
  /** After the commit that is under way. */
  close(): Promise<void>
}

/** Opens projections, one folder each. */
export interface Projections {
  /** Looks and changes nothing. Run on the shard's `LogHost` when it has to read files. */
  examine(dir: string): Promise<ProjectionExamination>
  /** Opens or creates. @throws `CORRUPT` when it cannot be opened as it is. */
  open(dir: string): ProjectionStore
  /** Removes what is there, so that `open` begins empty. */
  remove(dir: string): void
}
