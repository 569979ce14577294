/**
 * Parts of a segment, from its end to its beginning: so that a search may end after any of them. A
 * part begins with a group, which is found at a sector boundary by its header. Bytes of a user may
 * look like one, so a part counts only if its frames lead to the beginning of the part after it.
 */

import { viewedBytes } from '../../bytes/u64.ts'
import { groupFlag, readFrameHeader, roundUp } from '../frames/frame.ts'
import { type FrameEnd, segmentStart } from '../frames/frame-cursor.ts'
import type { SegmentHeader } from '../frames/segment-header.ts'
import type { DiskFile } from '../ports/disk.ts'

/** The bytes that are read at once to find a group. */
const windowBytes = 64 * 1024

/** The place after a part: its last LSN, and where its frames end at the latest. */
export type PartEnd = {
  readonly lsn: number
  readonly offset: number
  /** The CRC of its last header, where it is known. */
  readonly crc?: number
}

/** Where a part of about `partBytes` begins that ends at `end`. */
export const partBefore = (
  file: DiskFile,
  header: SegmentHeader,
  end: PartEnd,
  partBytes: number,
): FrameEnd => {
  const start = segmentStart(header)
  const from = end.offset - partBytes
  if (from <= start.offset) return start
  const place = groupFrom(file, header, from, end.offset)
  return place && place.lsn < end.lsn ? place : start
}

/**
 * A place not long after frame `lsn`: the first group after it, or `end`. Groups are found by halving
 * the segment.
 */
export const endAfter = (
  file: DiskFile,
  header: SegmentHeader,
  end: PartEnd,
  lsn: number,
): PartEnd => {
  let after = end
  let low = segmentStart(header).offset
  let high = end.offset
  while (high - low > windowBytes) {
    const middle = Math.floor((low + high) / 2)
    const place = groupFrom(file, header, middle, high)
    if (place && place.lsn < lsn) low = place.offset + 1
    else {
      high = middle
      if (place) after = place
    }
  }
  return after
}

/** The place before the first group from `offset` on. */
const groupFrom = (
  file: DiskFile,
  { salt, sectorBytes }: SegmentHeader,
  offset: number,
  end: number,
): FrameEnd | undefined => {
  const window = viewedBytes(new Uint8Array(windowBytes))
  for (let at = roundUp(offset, sectorBytes); at < end; at += windowBytes) {
    const size = file.read(window.bytes.subarray(0, Math.min(windowBytes, end - at)), at)
    for (let index = 0; index < size; index += sectorBytes) {
      const header = readFrameHeader(window, index, salt)
      if (header && header.flags & groupFlag)
        return { offset: at + index, lsn: header.lsn - 1, crc: header.prevCrc }
    }
  }
  return undefined
}
