/**
 * Identifies a frame among frames with the same LSN in diverged copies of a log. The mark depends
 * only on the frame's content, because recovery and salvage may rewrite a frame at another place,
 * with another salt and other CRCs.
 */

import { crc32 } from '../../bytes/crc32.ts'
import { stampBytes } from '../frames/control-payload.ts'
import { frameTypes } from '../frames/frame.ts'
import { segmentStart } from '../frames/frame-cursor.ts'
import { stampOf, walkFrames } from '../frames/frame-walk.ts'
import { type Disk, DiskError } from '../ports/disk.ts'
import type { FrameMark, ProjectedPosition } from '../ports/projection-store.ts'
import type { SegmentEntry } from './segment-chain.ts'

/**
 * The mark of the frame with this time stamp and payload. The first eight bytes of the payload are
 * ignored.
 */
export const markOf = (time: number, payload: Uint8Array): FrameMark => ({
  time,
  crc: crc32(payload.subarray(stampBytes)),
})

/**
 * Why a projection does not belong to the log of `segments`, in a sentence; `undefined` if it does.
 */
export const otherThanShown = (
  disk: Disk,
  dir: string,
  segments: readonly SegmentEntry[],
  { walId, lsn, frame }: ProjectedPosition,
): string | undefined => {
  if (walId !== segments[0]?.header.walId) return 'the projection shows another log, and is rebuilt'
  if (!frame || mayHoldFrame(disk, dir, segments, lsn, frame)) return undefined
  return `the projection belongs to a diverged copy of this log (another frame at lsn ${lsn}); it is rebuilt`
}

/**
 * Whether `segments` may hold the marked frame at `lsn`. False only if a valid frame with another
 * mark is there. A missing or unreadable frame cannot be compared; recovery judges it. Reads one
 * segment up to the frame.
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

/** A mark that no DATA frame has. */
const otherMark: FrameMark = { time: -1, crc: -1 }

const markIn = (
  disk: Disk,
  dir: string,
  { name, header }: SegmentEntry,
  offset: number,
  lsn: number,
): FrameMark | undefined => {
  let mark: FrameMark | undefined
  const stretch = { name, header, from: segmentStart(header), to: { offset, lsn } }
  walkFrames(disk, dir, stretch, (frame, cursor) => {
    if (frame.lsn !== lsn) return
    const isData = frame.type === frameTypes.data
    mark = isData ? markOf(stampOf(frame, cursor), cursor.payloadBytes(frame)) : otherMark
  })
  return mark
}
