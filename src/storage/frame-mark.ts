/**
 * What tells a frame from another one that stands under the same LSN in another timeline of its log: in a copy of the
 * folder that lived on for itself. It is made of the frame's content alone, because recovery and salvage may write
 * a frame anew at another place, with other salts and sums.
 */

import { readStamp, stampBytes } from './control-payload.ts'
import { crc32 } from './crc32.ts'
import { type Disk, DiskError } from './disk.ts'
import { frameTypes } from './frame.ts'
import { FrameCursor, segmentStart } from './frame-cursor.ts'
import { pathIn } from './log-folder.ts'
import type { SegmentEntry } from './segment-chain.ts'

/** The stamp of a DATA frame in ms, and the CRC-32 of what follows the stamp in its payload. */
export type FrameMark = { readonly time: number; readonly crc: number }

/** The mark of the frame with this stamp and payload; the payload's own first eight bytes are not looked at. */
export const markOf = (time: number, payload: Uint8Array): FrameMark => ({
  time,
  crc: crc32(payload.subarray(stampBytes)),
})

/**
 * Whether `segments` have the marked frame under `lsn`. False only when a whole frame stands there that is another one:
 * what is missing or cannot be read cannot be compared, and recovery judges it. Reads one segment up to the frame.
 */
export const mayHoldFrame = (
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
