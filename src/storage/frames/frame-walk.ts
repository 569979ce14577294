/** Walks the frames of a file, step by step. */
import { type Disk, pathIn } from '../ports/disk.ts'
import { finish } from '../ports/steps.ts'
import { readStamp } from './control-payload.ts'
import { type FrameHeader, frameTypes } from './frame.ts'
import { FrameCursor, type FrameEnd, type SegmentFacts } from './frame-cursor.ts'

/** The stretch of a segment file to walk. The end is that of the file or the frame `lsn`. */
export type FrameStretch = {
  readonly name: string
  readonly header: SegmentFacts
  readonly from: FrameEnd
  readonly to: { readonly offset?: number; readonly lsn?: number }
}

/** Gets each frame. The header and the payload at the cursor are valid until the next frame. */
export type FrameTaker = (frame: FrameHeader, cursor: FrameCursor) => void

const pauseBytes = 1024 * 1024

/**
 * Walks a stretch of a file in `dir` to its end, or to the first frame that is not good. Yields the
 * bytes of each piece, and returns the end of the last good frame. @throws DiskError
 */
export function* walkingFrames(
  disk: Disk,
  dir: string,
  { name, header, from, to }: FrameStretch,
  take: FrameTaker = () => undefined,
): Generator<number, FrameEnd> {
  const file = disk.open(pathIn(dir, name), 'read')
  try {
    const cursor = new FrameCursor(file, header, from, to.offset ?? file.size())
    const { lsn = Number.POSITIVE_INFINITY } = to
    let paused = from.offset
    for (let last = from.lsn; last < lsn; ) {
      const frame = cursor.next()
      if (!frame) break
      last = frame.lsn
      take(frame, cursor)
      if (cursor.frameOffset - paused < pauseBytes) continue
      yield cursor.frameOffset - paused
      paused = cursor.frameOffset
    }
    return cursor.end
  } finally {
    file.close()
  }
}

/** The same without pauses. */
export const walkFrames = (...walk: Parameters<typeof walkingFrames>): FrameEnd =>
  finish(walkingFrames(...walk))

/** Gets each DATA frame: its LSN, its stamp and its payload, a view. */
export type DataTaker = (lsn: number, time: number, payload: Uint8Array) => void

/** A taker of all frames that passes DATA frames on. */
export const dataFrames =
  (take: DataTaker): FrameTaker =>
  (frame, cursor) => {
    if (frame.type === frameTypes.data)
      take(frame.lsn, stampOf(frame, cursor), cursor.payloadBytes(frame))
  }

/** The time stamp of the DATA frame at the cursor, in ms. */
export const stampOf = (frame: FrameHeader, { payload: { buffer, at } }: FrameCursor): number =>
  readStamp(buffer.view, at, frame.payloadBytes)
