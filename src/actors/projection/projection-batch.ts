/**
 * What one transaction of the projection takes: frames in order, cut at frame borders, up to a number of rows and of bytes.
 * They are taken a slice at a time, so that a large batch holds up nobody. Pure: units are applied by the code that answered the
 * callers, on the projection's own rows.
 */
import {
  applyUnits,
  ChangedRows,
  type FrameMark,
  type FrameUnits,
  type Row,
  type RowSink,
  type Rows,
} from '../../storage/index.ts'

/** The most rows in one transaction, and the most bytes of their values. The transaction and its sync are another thread's. */
export const batchMax = { rows: 10_000, bytes: 4 * 1024 * 1024 } as const

/** The most rows that are taken at a time: about 50 µs. */
export const sliceRowsMax = 100

/** Frames that the projection has not taken, in order, by their place from the first of them on. */
export interface PendingFrames {
  readonly size: number
  lsn(at: number): number
  /** The frame's stamp. */
  time(at: number): number
  units(at: number): FrameUnits
  /** What tells the frame from another one under its LSN. */
  mark(at: number): FrameMark
}

/** Rows to change, and the frames that they come from. The projection stands still while it is filled. */
export class ProjectionBatch implements RowSink {
  /** Where the frames come from. */
  readonly source: PendingFrames
  readonly #changed: ChangedRows
  #frames = 0
  #lsn = 0
  #frame: FrameMark | undefined
  #bytes = 0

  constructor(source: PendingFrames, rows: Rows) {
    this.source = source
    this.#changed = new ChangedRows(rows)
  }

  get changes(): ReadonlyMap<string, Row | undefined> {
    return this.#changed.changes
  }

  /** How many frames it has taken. */
  get frames(): number {
    return this.#frames
  }

  /** The last frame's LSN; 0 without a frame. */
  get lsn(): number {
    return this.#lsn
  }

  /** Which frame that is; `undefined` before `take` has said that this is all. */
  get frame(): FrameMark | undefined {
    return this.#frame
  }

  /**
   * Takes the next frames while they are not beyond `lsnMax` and the batch has room, a slice at most; true when there is
   * more to take. A large frame makes a batch alone.
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

  /** Takes what a unit does to a row. */
  set(rowKey: string, row: Row | undefined): void {
    this.#changed.set(rowKey, row)
    this.#bytes += row?.value.bytes.length ?? 0
  }

  #hasMore(lsnMax: number): boolean {
    const { source, changes } = this
    return (
      this.#frames < source.size &&
      source.lsn(this.#frames) <= lsnMax &&
      changes.size < batchMax.rows &&
      this.#bytes < batchMax.bytes
    )
  }

  #takeFrame(): void {
    const time = this.source.time(this.#frames)
    this.#lsn = this.source.lsn(this.#frames)
    applyUnits(this.source.units(this.#frames), this.#changed, time, this)
    this.#frames++
  }
}
