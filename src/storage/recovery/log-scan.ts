/**
 * Reads the frames of a log's segments, from a given one to the newest, and sums up what recovery has to know. An
 * earlier segment must be whole up to where its successor says it ended; where the newest ends is for recovery to judge.
 */

import { KeelsonError } from '../../errors.ts'
import { frameFault } from '../commands/command-decoding.ts'
import {
  type FrameHeader,
  frameBuffer,
  frameBytes,
  frameHeaderBytes,
  frameTypes,
  readFrameHeader,
} from '../frames/frame.ts'
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
import { type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import { corruption, unsupported } from '../segments/log-errors.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'
import { examineTail, type SegmentTail } from './segment-tail.ts'

/** What the frames of a log said. */
export type LogScan = {
  /** The end of the last whole frame, in the newest segment. */
  readonly end: FrameEnd
  /** What stands behind it. */
  readonly tail: SegmentTail
  /** The last frame is CLEAN_CLOSE, at the place that it names. */
  readonly endsClosed: boolean
  /** The last frame is SEAL or CLEAN_CLOSE, at the place that it names. */
  readonly endsMarked: boolean
  /** The greatest stamp of a DATA frame; 0 without one. */
  readonly lastTime: number
  /** The greatest LSN that a CHECKPOINT names; 0 without one. */
  readonly checkpointLsn: number
  /** The greatest LSN that a frame, whole or behind the end, proves to have been durable. */
  readonly provenLsn: number
}

/**
 * Scans `segments`, of which the last is the newest, from the first on. The first damage ends it. DATA frames from the LSN
 * `unitsFrom` on must hold units that this version can read.
 * @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`; DiskError.
 */
export const scanLog = (
  disk: Disk,
  dir: string,
  segments: readonly SegmentEntry[],
  unitsFrom = Number.POSITIVE_INFINITY,
): LogScan => {
  const newest = segments.at(-1)
  if (!newest) throw new RangeError('A scan needs a segment')
  const sealed = sealedAmong(segments).map((segment) =>
    judged(segment, readSealed(disk, dir, segment, unitsFrom)),
  )
  return sumUp(sealed, scanNewest(disk, dir, newest, unitsFrom))
}

const readSealed = (
  disk: Disk,
  dir: string,
  { name, header, declared }: SealedSegment,
  unitsFrom: number,
): SegmentReading => {
  const file = disk.open(pathIn(dir, name), 'read')
  try {
    return readFrames(file, header, declared.endOffset, unitsFrom)
  } finally {
    file.close()
  }
}

/**
 * Checks that each of `segments` but the last is the file that its successor means, without reading more of it than that takes.
 * @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`.
 */
export const checkLinks = (disk: Disk, dir: string, segments: readonly SegmentEntry[]): void => {
  for (const segment of sealedAmong(segments)) {
    const { name, header, declared } = segment
    const file = disk.open(pathIn(dir, name), 'read')
    try {
      if (!endsAsNamed(file, header, declared))
        judged(segment, readFrames(file, header, declared.endOffset))
    } finally {
      file.close()
    }
  }
}

/** What was read of a segment, when it is whole up to where its successor says that it ended. */
const judged = ({ name, declared }: SealedSegment, reading: SegmentReading): SegmentReading => {
  refuseUnreadable(name, reading)
  const { end } = reading
  const isWhole = end.offset === declared.endOffset && end.lsn === declared.lastLsn
  if (isWhole && end.crc === declared.lastCrc) return reading
  const evidence = `the next segment says that this one goes to lsn ${declared.lastLsn} at offset ${declared.endOffset}`
  throw corruption({ file: name, offset: end.offset, lsn: end.lsn + 1, evidence })
}

const refuseUnreadable = (name: string, { end, unreadable, fault }: SegmentReading): void => {
  if (unreadable) throw unsupported(name, { offset: end.offset, ...unreadable })
  if (!fault) return
  const { offset, lsn, error } = fault
  if (error.code === 'UNSUPPORTED_VERSION')
    throw new KeelsonError(error.code, `${name}, lsn ${lsn}: ${error.message}`, {
      details: { file: name, offset, lsn, ...error.details },
    })
  throw corruption({ file: name, offset, lsn, evidence: error.message })
}

type NewestReading = SegmentReading & { readonly tail: SegmentTail }

const scanNewest = (
  disk: Disk,
  dir: string,
  { name, header, size }: SegmentEntry,
  unitsFrom: number,
): NewestReading => {
  const file = disk.open(pathIn(dir, name), 'read')
  try {
    const reading = readFrames(file, header, size, unitsFrom)
    refuseUnreadable(name, reading)
    return { ...reading, tail: examineTail(file, header, reading.end, size) }
  } finally {
    file.close()
  }
}

const sumUp = (sealed: readonly SegmentReading[], { end, tail, sums }: NewestReading): LogScan => {
  const most = (of: (sums: SegmentReading['sums']) => number): number =>
    sealed.reduce((greatest, reading) => Math.max(greatest, of(reading.sums)), of(sums))
  return {
    end,
    tail,
    endsClosed: sums.mark === 'closed',
    endsMarked: sums.mark !== 'none',
    lastTime: most(({ lastTime }) => lastTime),
    checkpointLsn: most(({ checkpointLsn }) => checkpointLsn),
    provenLsn: Math.max(
      most(({ provenLsn }) => provenLsn),
      tail.provenLsn,
    ),
  }
}

/** The end of the frame `lsn` of a segment; of its start, when `lsn` is the one before its first. */
export const findFrameEnd = (
  disk: Disk,
  dir: string,
  { name, header, size }: SegmentEntry,
  lsn: number,
): FrameEnd => {
  const start = segmentStart(header)
  if (start.lsn === lsn) return start
  const file = disk.open(pathIn(dir, name), 'read')
  try {
    const cursor = new FrameCursor(file, header, start, size)
    while (cursor.end.lsn < lsn && cursor.next());
    if (cursor.end.lsn === lsn) return cursor.end
    const evidence = 'a frame that was whole a moment ago is not any more'
    throw corruption({ file: name, offset: cursor.end.offset, lsn: cursor.end.lsn + 1, evidence })
  } finally {
    file.close()
  }
}

// Whether a segment that is not read whole is the one that its successor means. The successor repeats the header CRC of its
// last frame, and that CRC is seeded with the salt of the file it was written into: so one small read tells a
// segment of the same numbers and sizes that another life of a copied log wrote.

/** A last frame is looked for in so many bytes before the end: an end mark is in the first, an entry of a crash in the second. */
const reaches = [512, 256 * 1024] as const

/**
 * Whether the frame that `successor` names as the last stands where it says, with its CRC. False may also mean that the
 * frame is longer than what is looked at: then only reading the segment tells.
 */
const endsAsNamed = (file: DiskFile, header: SegmentHeader, successor: Predecessor): boolean =>
  reaches.some((reach) => hasLastFrame(file, header, successor, reach))

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
type SegmentReading = {
  /** The end of the last whole frame. */
  readonly end: FrameEnd
  /** The frame behind it, when only a newer version can read that. */
  readonly unreadable?: UnreadableType
  /** The first frame whose units cannot be read. */
  readonly fault?: UnitFault
  readonly sums: Readonly<FrameSums>
}

/** A whole frame whose units cannot be read, and why. */
type UnitFault = { readonly offset: number; readonly lsn: number; readonly error: KeelsonError }

/** What the header of a frame from a newer version says. */
type UnreadableType = {
  readonly lsn: number
  readonly type: number
  readonly typeVersion: number
}

/**
 * A segment that has a successor, and how that says it ended. The header is there whole: cursors that are given objects of
 * two shapes are compiled twice.
 */
type SealedSegment = {
  readonly name: string
  readonly header: SegmentHeader
  readonly declared: Predecessor
}

/** All of `segments` but the last, each with what the next one says of it. */
const sealedAmong = (segments: readonly SegmentEntry[]): SealedSegment[] =>
  segments.slice(1).flatMap(({ header: { prev: declared } }, index) => {
    const sealed = segments[index]
    return sealed ? [{ name: sealed.name, header: sealed.header, declared }] : []
  })

/**
 * Reads the frames of a segment that end at or before `limit`.
 * @throws DiskError.
 */
const readFrames = (
  file: DiskFile,
  header: SegmentHeader,
  limit: number,
  unitsFrom = Number.POSITIVE_INFINITY,
): SegmentReading => {
  const sums = noSums()
  const cursor = new FrameCursor(file, header, segmentStart(header), limit)
  let fault: UnitFault | undefined
  for (let frame = cursor.next(); frame; frame = cursor.next()) {
    addFrame(sums, cursor, frame)
    if (frame.lsn >= unitsFrom && frame.type === frameTypes.data) fault ??= unitFault(cursor, frame)
  }
  const { end, unreadable } = cursor
  const reading = { end, sums, ...(fault ? { fault } : {}) }
  if (!unreadable) return reading
  const { lsn, type, typeVersion } = unreadable
  return { ...reading, unreadable: { lsn, type, typeVersion } }
}

const unitFault = (cursor: FrameCursor, frame: FrameHeader): UnitFault | undefined => {
  const error = frameFault(cursor.payloadBytes(frame))
  return error && { offset: cursor.frameOffset, lsn: frame.lsn, error }
}
