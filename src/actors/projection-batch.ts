/**
 * What one transaction of the projection takes: frames in order, cut at frame borders, up to a number of rows. Pure:
 * the same state machine that answered the callers, on the projection's own rows.
 */
import {
  applyUnit,
  ChangedRows,
  decodeFrame,
  type FrameMark,
  markOf,
  type Row,
  type Rows,
} from '../storage/index.ts'
import type { FrameReference } from './applier.ts'

/** The most rows in one transaction: about 3 ms of the event loop, its sync included. */
export const batchRowsMax = 1_000

/** Rows to change, and the frames that they come from. */
export type ProjectionBatch = {
  readonly changes: ReadonlyMap<string, Row | undefined>
  readonly frames: number
  /** The last frame's LSN; 0 without a frame. */
  readonly lsn: number
  /** Which frame that is; absent without one. */
  readonly frame?: FrameMark
}

/** Takes frames from `at(0)` on while they are not beyond `lsnMax` and the batch has room. A large frame makes a batch alone. */
export const nextBatch = (
  at: (index: number) => FrameReference | undefined,
  rows: Rows,
  lsnMax: number,
): ProjectionBatch => {
  const changed = new ChangedRows(rows)
  const { changes } = changed
  let frames = 0
  let last: FrameReference | undefined
  for (let next = at(0); next && next.lsn <= lsnMax && changes.size < batchRowsMax; ) {
    for (const unit of decodeFrame(next.frame).units)
      for (const [key, row] of applyUnit(unit, changed, next.time).changes) changed.set(key, row)
    last = next
    next = at(++frames)
  }
  if (!last) return { changes, frames, lsn: 0 }
  return { changes, frames, lsn: last.lsn, frame: markOf(last.time, last.frame) }
}
