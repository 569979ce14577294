/**
 * The changes of one transaction of the projection: whole frames in order, up to a number of rows
 * and bytes. Frames are taken in slices, so that a large batch does not block the event loop. Pure.
 */
import {
  ChangedRows,
  type FrameMark,
  type HaltedProjection,
  ProjectedRows,
  type Projecting,
  type Row,
  type RowSink,
  type Rows,
} from '../../storage/index.ts'

/**
 * The most rows in one transaction, and the most bytes of their values. The transaction and its
 * sync run on another thread.
 */
export type BatchLimits = { readonly chunkRows: number; readonly chunkBytes: number }

/** The most rows in one slice: about 50 µs. */
export const sliceRowsMax = 100

/** Frames that the projection has not taken, in order. Index 0 is the first one. */
export interface PendingFrames {
  readonly size: number
  lsn(at: number): number
  /** The frame's stamp. */
  time(at: number): number
  /** Sets what the frame changes in `rows`, which have every frame before it. */
  apply(at: number, rows: Rows, into: RowSink): void
  /** Identifies the frame among frames with the same LSN in diverged copies of a log. */
  mark(at: number): FrameMark
}

/**
 * The changed rows, and the frames that changed them. The projection does not change while a batch
 * is filled.
 */
export class ProjectionBatch implements RowSink {
  /** The source of the frames. */
  readonly source: PendingFrames
  readonly #changed: ChangedRows
  readonly #limits: BatchLimits
  #frames = 0
  #lsn = 0
  #frame: FrameMark | undefined
  #bytes = 0
  /** The rows of projections; `undefined` if none are fed. */
  readonly #projected: ProjectedRows | undefined

  /** `projecting`: the projections by users, and the position of the rows. */
  constructor(
    source: PendingFrames,
    rows: Rows,
    limits: BatchLimits,
    projecting?: Projecting & { readonly lsn: number },
  ) {
    this.source = source
    this.#limits = limits
    this.#changed = new ChangedRows(rows)
    this.#projected = projecting && new ProjectedRows(projecting, this.#changed, projecting.lsn)
  }

  get changes(): ReadonlyMap<string, Row | undefined> {
    return this.#changed.changes
  }

  /** Projections by users whose function threw. */
  get halted(): readonly HaltedProjection[] {
    return this.#projected?.halted ?? []
  }

  /** The number of frames taken. */
  get frames(): number {
    return this.#frames
  }

  /** The LSN of the last frame; 0 without frames. */
  get lsn(): number {
    return this.#lsn
  }

  /** The mark of the last frame; `undefined` until `take` has returned false. */
  get frame(): FrameMark | undefined {
    return this.#frame
  }

  /**
   * Takes the next slice of frames up to `lsnMax`, while the batch has room. Returns true if more
   * frames remain for this batch. A frame larger than the bounds makes a batch alone.
   */
  take(lsnMax: number): boolean {
    const enough = this.changes.size + sliceRowsMax
    while (this.#hasMore(lsnMax)) {
      if (this.changes.size >= enough) return true
      this.#takeFrame()
    }
    if (this.#frames > 0) this.#frame = this.source.mark(this.#frames - 1)
    return false
  }

  /** Records the change of a row by a unit. */
  set(rowKey: string, row: Row | undefined): void {
    this.#projected?.note(rowKey, row)
    this.#changed.set(rowKey, row)
    this.#bytes += row?.value.bytes.length ?? 0
  }

  #hasMore(lsnMax: number): boolean {
    const { source } = this
    return this.#frames < source.size && source.lsn(this.#frames) <= lsnMax && this.#hasRoom()
  }

  /**
   * Whether there is room for a frame. The first one always has it: a batch begins with rows of
   * projections by users, and one without a frame would pass the frame by.
   */
  #hasRoom(): boolean {
    const { chunkRows, chunkBytes } = this.#limits
    return this.#frames === 0 || (this.changes.size < chunkRows && this.#bytes < chunkBytes)
  }

  #takeFrame(): void {
    const at = this.#frames
    this.#lsn = this.source.lsn(at)
    this.source.apply(at, this.#changed, this)
    this.#projected?.frame(this.#lsn, this.source.time(at))
    this.#frames++
  }
}
