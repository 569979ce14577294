/**
 * What one transaction of the projection takes: frames in order, cut at frame borders, up to a number of rows. Pure:
 * the same state machine that answered the callers, on the projection's own rows.
 */
import {
  applyUnits,
  ChangedRows,
  type FrameMark,
  type FrameUnits,
  type Row,
  type Rows,
} from '../storage/index.ts'

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

/** Takes frames while they are not beyond `lsnMax` and the batch has room. A large frame makes a batch alone. */
export const nextBatch = (pending: PendingFrames, rows: Rows, lsnMax: number): ProjectionBatch => {
  const changed = new ChangedRows(rows)
  const { changes } = changed
  let frames = 0
  for (; frames < pending.size && changes.size < batchRowsMax; frames++) {
    if (pending.lsn(frames) > lsnMax) break
    const time = pending.time(frames)
    applyUnits(pending.units(frames), changed, time, changed)
  }
  if (frames === 0) return { changes, frames, lsn: 0 }
  const last = frames - 1
  return { changes, frames, lsn: pending.lsn(last), frame: pending.mark(last) }
}
