/**
 * What recovery has to know of the frames in a segment: where they end, and what they say in sum. It is a pure function of the
 * file and of what headers say of it, and plain data: whichever thread works it out, the judgement (`log-scan.ts`) is the
 * same.
 */

import { frameBuffer, frameBytes, frameHeaderBytes, readFrameHeader } from '../frames/frame.ts'
import {
  addFrame,
  FrameCursor,
  type FrameEnd,
  type FrameSums,
  noSums,
  segmentStart,
} from '../frames/frame-cursor.ts'
import {
  type Predecessor,
  type SegmentHeader,
  segmentHeaderBytes,
} from '../frames/segment-header.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import { pathIn } from '../segments/log-folder.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'

// Whether a segment that is not read whole is the one that its successor means. The successor repeats the header CRC of its
// last frame, and that CRC is seeded with the salt of the file it was written into: so one small read tells a
// segment of the same numbers and sizes that another life of a copied log wrote.

/** A last frame is looked for in so many bytes before the end: an end mark is in the first, an entry of a crash in the second. */
const reaches = [512, 256 * 1024] as const

/**
 * Whether the frame that `successor` names as the last stands where it says, with its CRC. False may also mean that the
 * frame is longer than what is looked at: then only reading the segment tells.
 */
export const endsAsNamed = (
  file: DiskFile,
  header: SegmentHeader,
  successor: Predecessor,
): boolean => reaches.some((reach) => hasLastFrame(file, header, successor, reach))

const hasLastFrame = (
  file: DiskFile,
  { salt }: SegmentHeader,
  { endOffset, lastLsn, lastCrc }: Predecessor,
  reach: number,
): boolean => {
  const from = Math.max(segmentHeaderBytes, endOffset - reach)
  if (endOffset - from < frameHeaderBytes) return false
  const buffer = frameBuffer(new Uint8Array(endOffset - from))
  if (file.read(buffer.bytes, from) < buffer.bytes.length) return false
  // Frames begin on multiples of 8, and so do the ends from which is counted.
  for (let at = buffer.bytes.length - frameHeaderBytes; at >= 0; at -= 8) {
    if (buffer.view.getUint32(at, true) !== lastCrc) continue
    const frame = readFrameHeader(buffer, at, salt)
    const isLast = frame?.lsn === lastLsn
    if (isLast && at + frameBytes(frame.payloadBytes) === buffer.bytes.length) return true
  }
  return false
}

/** What was read of a segment. */
export type SegmentReading = {
  /** The end of the last whole frame. */
  readonly end: FrameEnd
  /** The frame behind it, when only a newer version can read that. */
  readonly unreadable?: UnreadableType
  readonly sums: Readonly<FrameSums>
}

/** What the header of a frame from a newer version says. */
export type UnreadableType = {
  readonly lsn: number
  readonly type: number
  readonly typeVersion: number
}

/**
 * A segment that has a successor, and how that says it ended. The header is there whole: cursors that are given objects of
 * two shapes are compiled twice.
 */
export type SealedSegment = {
  readonly name: string
  readonly header: SegmentHeader
  readonly declared: Predecessor
}

/** All of `segments` but the last, each with what the next one says of it. */
export const sealedAmong = (segments: readonly SegmentEntry[]): SealedSegment[] =>
  segments.slice(1).flatMap(({ header: { prev: declared } }, index) => {
    const sealed = segments[index]
    return sealed ? [{ name: sealed.name, header: sealed.header, declared }] : []
  })

const never = (): boolean => false

/**
 * Reads a sealed segment up to its declared end; `undefined` when `isDone` said meanwhile that nobody needs it any more.
 * @throws DiskError.
 */
export const readSealed = (
  disk: Disk,
  dir: string,
  { name, header, declared }: SealedSegment,
  isDone = never,
): SegmentReading | undefined => {
  const file = disk.open(pathIn(dir, name), 'read')
  try {
    let isLeft = false
    const reading = readFrames(file, header, declared.endOffset, () => {
      isLeft = isDone()
      return isLeft
    })
    return isLeft ? undefined : reading
  } finally {
    file.close()
  }
}

/** How many bytes of frames are read between two looks at whether they are still needed. */
const lookBytes = 256 * 1024

/**
 * Reads the frames of a segment that end at or before `limit`. `isDone`, asked now and then, may end that early; what is
 * answered then is of no use.
 * @throws DiskError.
 */
export const readFrames = (
  file: DiskFile,
  header: SegmentHeader,
  limit: number,
  isDone = never,
): SegmentReading => {
  const sums = noSums()
  const cursor = new FrameCursor(file, header, segmentStart(header), limit)
  while (readUpTo(cursor, sums, cursor.frameOffset + lookBytes) && !isDone());
  const { end, unreadable } = cursor
  if (!unreadable) return { end, sums }
  const { lsn, type, typeVersion } = unreadable
  return { end, sums, unreadable: { lsn, type, typeVersion } }
}

/** Adds frames until one begins at or behind `offset`; false when the cursor stopped before. */
const readUpTo = (cursor: FrameCursor, sums: FrameSums, offset: number): boolean => {
  for (let frame = cursor.next(); frame; frame = cursor.next()) {
    addFrame(sums, cursor, frame)
    if (cursor.frameOffset >= offset) return true
  }
  return false
}
