/**
 * What tells a frame from another one that stands under the same LSN in another timeline of its log: in a copy of the
 * folder that lived on for itself. It is made of the frame's content alone, because recovery and salvage may write
 * a frame anew at another place, with other salts and sums.
 */

import { crc32 } from '../bytes/crc32.ts'
import { readStamp, stampBytes } from '../frames/control-payload.ts'
import { frameTypes } from '../frames/frame.ts'
import { FrameCursor, segmentStart } from '../frames/frame-cursor.ts'
import { type Disk, DiskError, pathIn } from '../ports/disk.ts'
import type { FrameMark, ProjectedPosition } from '../ports/projection-store.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'

/** The mark of the frame with this stamp and payload; the payload's own first eight bytes are not looked at. */
export const markOf = (time: number, payload: Uint8Array): FrameMark => ({
  time,
  crc: crc32(payload.subarray(stampBytes)),
})

/** Why a projection is not of the log of `segments` as it is, in a sentence; `undefined` when it is. */
export const otherThanShown = (
  disk: Disk,
  dir: string,
  segments: readonly SegmentEntry[],
  { walId, lsn, frame }: ProjectedPosition,
): string | undefined => {
  if (walId !== segments[0]?.header.walId)
    return 'the projection shows another log, and is built anew'
  if (!frame || mayHoldFrame(disk, dir, segments, lsn, frame)) return undefined
  return `the projection shows another timeline of this log (another frame at lsn ${lsn}), and is built anew`
}

/**
 * Whether `segments` have the marked frame under `lsn`. False only when a whole frame stands there that is another one:
 * what is missing or cannot be read cannot be compared, and recovery judges it. Reads one segment up to the frame.
 */
const mayHoldFrame = (
  disk: Disk,
  dir: string,
  segments: readonly SegmentEntry[],
  lsn: number,
  mark: FrameMark,
): boolean => {
  const index = segments.findLastIndex(({ header }) => header.baseLsn <= lsn)
  const segment = segments[index]
  if (!segment) return true
  const limit = segments[index + 1]?.header.prev.endOffset ?? segment.size
  try {
    const found = markIn(disk, dir, segment, limit, lsn)
    return found === undefined || (found.time === mark.time && found.crc === mark.crc)
  } catch (error) {
    if (error instanceof DiskError) return true
    throw error
  }
}

/** No DATA frame has this mark. */
const otherMark: FrameMark = { time: -1, crc: -1 }

const markIn = (
  disk: Disk,
  dir: string,
  { name, header }: SegmentEntry,
  limit: number,
  lsn: number,
): FrameMark | undefined => {
  const file = disk.open(pathIn(dir, name), 'read')
  try {
    const cursor = new FrameCursor(file, header, segmentStart(header), limit)
    let frame = cursor.next()
    while (frame && frame.lsn < lsn) frame = cursor.next()
    if (frame?.lsn !== lsn) return undefined
    if (frame.type !== frameTypes.data) return otherMark
    const { buffer, at } = cursor.payload
    return markOf(readStamp(buffer.view, at, frame.payloadBytes), cursor.payloadBytes(frame))
  } finally {
    file.close()
  }
}
