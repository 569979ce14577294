/**
 * What one transaction of the projection takes: frames in order, cut at frame borders, up to a number of rows. Pure:
 * the same state machine that answered the callers, on the projection's own rows.
 */
import { applyUnit, ChangedRows, decodeFrame, type Row, type Rows } from '../storage/index.ts'
import type { FrameReference } from './applier.ts'

/** The most rows in one transaction: about 3 ms of the event loop, its sync included. */
export const batchRowsMax = 1_000

/** Rows to change, and the frames that they come from. */
export type ProjectionBatch = {
  readonly changes: ReadonlyMap<string, Row | undefined>
  readonly frames: number
  /** The last frame's LSN; 0 without a frame. */
  readonly lsn: number
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
  let lsn = 0
  for (let next = at(0); next && next.lsn <= lsnMax && changes.size < batchRowsMax; ) {
    for (const unit of decodeFrame(next.frame).units)
      for (const [key, row] of applyUnit(unit, changed, next.time).changes) changed.set(key, row)
    lsn = next.lsn
    next = at(++frames)
  }
  return { changes, frames, lsn }
}
