/** Frames as the projection takes them, out of plain lists. */
import { type AppliedFrames, NotedChanges } from '../../../src/actors/projection/applied-frames.ts'
import {
  type PendingFrames,
  ProjectionBatch,
} from '../../../src/actors/projection/projection-batch.ts'
import {
  applyUnits,
  ChangedRows,
  decodeFrame,
  type FrameUnits,
  frameLength,
  markOf,
  type Rows,
} from '../../../src/storage/index.ts'
import { MapRows } from './map-rows.ts'

type StoredFrame = { readonly lsn: number; readonly time: number; readonly frame: Uint8Array }

/** Frames that were read back. */
export const pendingFrames = (frames: readonly StoredFrame[]): PendingFrames => {
  const frameAt = (at: number): StoredFrame => {
    const frame = frames[at]
    if (!frame) throw new RangeError(`no frame ${at} of ${frames.length}`)
    return frame
  }
  return {
    size: frames.length,
    lsn: (at) => frameAt(at).lsn,
    time: (at) => frameAt(at).time,
    apply(at, rows, into) {
      const { lsn, time, frame } = frameAt(at)
      applyUnits(decodeFrame(frame).units, rows, { lsn, time }, into)
    },
    mark: (at) => markOf(frameAt(at).time, frameAt(at).frame),
  }
}

/** Frames that were applied to `rows`: one for each LSN, of the units that `unitsOf` gives it. */
export const appliedFrames = (
  lsns: readonly number[],
  unitsOf: (lsn: number) => FrameUnits,
  time = 1,
  durableLsn = 0,
  rows = new ChangedRows(new MapRows()),
): AppliedFrames => {
  const units = lsns.map(unitsOf)
  const changes = new NotedChanges(rows)
  for (const [at, lsn] of lsns.entries()) {
    const frame = units[at] as FrameUnits
    applyUnits(frame, rows, { lsn, time }, changes)
    changes.end(frameLength(frame))
  }
  return { time, durableLsn, lsns, units, changes }
}

/** A batch with all that it takes, however many slices that is. */
export const wholeBatch = (source: PendingFrames, rows: Rows, lsnMax: number): ProjectionBatch => {
  const limits = { chunkRows: 10_000, chunkBytes: 4 * 1024 * 1024 }
  const batch = new ProjectionBatch(source, rows, limits)
  for (let hasMore = true; hasMore; ) hasMore = batch.take(lsnMax)
  return batch
}
