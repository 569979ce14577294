/**
 * What recovery has to know of the frames in a segment: where they end, and what they say in sum. It is a pure function of the
 * file and of what headers say of it, and plain data: whichever thread works it out, the judgement (`log-scan.ts`) is the
 * same.
 */
import type { Disk, DiskFile } from './disk.ts'
import { FrameCursor, type FrameEnd, segmentStart } from './frame-cursor.ts'
import { addFrame, type FrameSums, noSums } from './frame-sums.ts'
import { pathIn } from './log-folder.ts'
import type { SegmentEntry } from './segment-chain.ts'
import type { Predecessor, SegmentHeader } from './segment-header.ts'

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
