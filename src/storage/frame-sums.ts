/**
 * What whole frames say of the log that they stand in: how far it was durable, its checkpoint, its time, and whether it ends in
 * order. One rule for recovery, which stops at damage, and for the verifier, which goes on behind it.
 */
import { decodeCheckpoint, decodeEndMark, readStamp } from './control-payload.ts'
import { type FrameHeader, frameTypes, provenBy } from './frame.ts'
import type { FrameCursor } from './frame-cursor.ts'

/** What the frames so far said. */
export type FrameSums = {
  /** The greatest stamp of a DATA frame; 0 without one. */
  lastTime: number
  /** The greatest LSN that a CHECKPOINT names; 0 without one. */
  checkpointLsn: number
  /** The greatest LSN that a frame proves to have been durable. */
  provenLsn: number
  /** The last frame is SEAL or CLEAN_CLOSE, at the place that it names. */
  mark: 'none' | 'seal' | 'closed'
}

/** Before the first frame. */
export const noSums = (): FrameSums => ({
  lastTime: 0,
  checkpointLsn: 0,
  provenLsn: 0,
  mark: 'none',
})

/** Adds the frame that `cursor` has just passed. */
export const addFrame = (sums: FrameSums, cursor: FrameCursor, frame: FrameHeader): void => {
  sums.provenLsn = Math.max(sums.provenLsn, provenBy(frame))
  sums.mark = 'none'
  if (frame.type === frameTypes.data) {
    const { buffer, at } = cursor.payload
    sums.lastTime = Math.max(sums.lastTime, readStamp(buffer.view, at, frame.payloadBytes))
  } else if (frame.type === frameTypes.checkpoint) {
    const checkpoint = decodeCheckpoint(cursor.payloadBytes(frame))
    sums.checkpointLsn = Math.max(sums.checkpointLsn, checkpoint?.lsn ?? 0)
  } else if (frame.type === frameTypes.seal || frame.type === frameTypes.cleanClose) {
    // A copied mark names a place in the segment that it was copied from, and ends nothing here.
    const mark = decodeEndMark(cursor.payloadBytes(frame))
    if (mark?.endOffset === cursor.end.offset && mark.lastLsn === frame.lsn - 1)
      sums.mark = frame.type === frameTypes.seal ? 'seal' : 'closed'
  }
}
