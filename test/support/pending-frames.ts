/** Frames as the projection takes them, out of plain lists. */
import type { AppliedFrames } from '../../src/actors/projection/applier.ts'
import {
  type PendingFrames,
  ProjectionBatch,
} from '../../src/actors/projection/projection-batch.ts'
import {
  decodeFrame,
  type FrameUnits,
  frameLength,
  markOf,
  type Rows,
} from '../../src/storage/index.ts'

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
    units: (at) => decodeFrame(frameAt(at).frame).units,
    mark: (at) => markOf(frameAt(at).time, frameAt(at).frame),
  }
}

/** Frames that were applied: one for each LSN, of the units that `unitsOf` gives it. */
export const appliedFrames = (
  lsns: readonly number[],
  unitsOf: (lsn: number) => FrameUnits,
  time = 1,
  durableLsn = 0,
): AppliedFrames => {
  const units = lsns.map(unitsOf)
  return { time, durableLsn, lsns, units, lengths: units.map(frameLength) }
}

/** A batch with all that it takes, however many slices that is. */
export const wholeBatch = (source: PendingFrames, rows: Rows, lsnMax: number): ProjectionBatch => {
  const limits = { chunkRows: 10_000, chunkBytes: 4 * 1024 * 1024 }
  const batch = new ProjectionBatch(source, rows, limits)
  for (let hasMore = true; hasMore; ) hasMore = batch.take(lsnMax)
  return batch
}
