/**
 * Applied frames on their way to the follower, with the rows that they changed. The follower writes
 * these rows and applies nothing again: the rows that `applyUnits` gives depend on the log alone.
 */
import type { FrameUnits, Row, RowSink } from '../../storage/index.ts'

/**
 * Applied frames, in columns. There may be more units than LSNs: the log refused the last ones.
 * `time`: the stamp of all frames. `durableLsn`: the log was durable up to here.
 */
export type AppliedFrames = {
  readonly time: number
  readonly durableLsn: number
  readonly lsns: readonly number[]
  readonly units: readonly FrameUnits[]
  readonly changes: FrameChanges
}

/** The rows that frames changed, in columns. */
export type FrameChanges = {
  /** The changed rows of all frames, in order. `undefined`: the row was removed. */
  readonly rowKeys: readonly string[]
  readonly rows: readonly (Row | undefined)[]
  /** Of each frame: the end of its rows in these columns. */
  readonly ends: readonly number[]
  /** Of each frame: the bytes that it keeps in memory. */
  readonly bytes: readonly number[]
}

/** Notes the changes of frames on their way to the rows. */
export class NotedChanges implements FrameChanges, RowSink {
  readonly rowKeys: string[] = []
  readonly rows: (Row | undefined)[] = []
  readonly ends: number[] = []
  readonly bytes: number[] = []
  readonly #into: RowSink
  #bytes = 0

  constructor(into: RowSink) {
    this.#into = into
  }

  set(rowKey: string, row: Row | undefined): void {
    this.#into.set(rowKey, row)
    this.rowKeys.push(rowKey)
    this.rows.push(row)
    this.#bytes += rowKey.length + (row ? row.value.bytes.length : 0)
  }

  /**
   * Ends a frame whose units have `length` bytes. Its rows usually share their memory; they are more
   * when a short unit changes a long value or many rows.
   */
  end(length: number): void {
    this.ends.push(this.rows.length)
    this.bytes.push(Math.max(length, this.#bytes))
    this.#bytes = 0
  }
}
