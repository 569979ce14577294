/**
 * Reads the frames of a log's segments, from a given one to the newest, and collects the facts for
 * recovery. An earlier segment must be valid up to the end that its successor names. Recovery
 * judges the end of the newest.
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

/** The facts from the frames of a log. */
export type LogScan = {
  /** The end of the last valid frame, in the newest segment. */
  readonly end: FrameEnd
  /** The bytes after it. */
  readonly tail: SegmentTail
  /** The last frame is a CLEAN_CLOSE that names its own place. */
  readonly endsClosed: boolean
  /** The last frame is a SEAL or CLEAN_CLOSE that names its own place. */
  readonly endsMarked: boolean
  /** The greatest time stamp of a DATA frame; 0 without one. */
  readonly lastTime: number
  /** The greatest LSN in a CHECKPOINT; 0 without one. */
  readonly checkpointLsn: number
  /** The greatest LSN that a frame, valid or after the end, proves to have been durable. */
  readonly provenLsn: number
}

/**
 * Scans `segments` in order; the last is the newest. The first damage ends the scan. DATA frames
 * from the LSN `unitsFrom` on must have units that this version can read.
 * @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`; DiskError
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
 * Checks that each of `segments` except the last is the file that its successor names, with as few
 * reads as possible.
 * @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`
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

/**
 * Returns the reading of a segment if it is valid up to the end that its successor names; throws
 * otherwise.
 */
const judged = ({ name, declared }: SealedSegment, reading: SegmentReading): SegmentReading => {
  refuseUnreadable(name, reading)
  const { end } = reading
  const isWhole = end.offset === declared.endOffset && end.lsn === declared.lastLsn
  if (isWhole && end.crc === declared.lastCrc) return reading
  const evidence = `the next segment says that this one ends with lsn ${declared.lastLsn} at offset ${declared.endOffset}`
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

/**
 * The end of frame `lsn` of a segment, or the start of the segment if `lsn` is before its first.
 */
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
    const evidence = 'a frame was whole at the first reading and damaged at the second'
    throw corruption({ file: name, offset: cursor.end.offset, lsn: cursor.end.lsn + 1, evidence })
  } finally {
    file.close()
  }
}

// Decides whether a segment is the one that its successor names, without reading all of it. The
// successor repeats the header CRC of its last frame, and that CRC is seeded with the salt of its
// file. So one small read detects a segment with the same numbers and sizes from another life of a
// copied log.

/**
 * The last frame is searched in this many bytes before the end: an end mark is in the first, the
 * last entry before a crash in the second.
 */
const reaches = [512, 256 * 1024] as const

/**
 * Whether the last frame that `successor` names is at its place with its CRC. False may also mean
 * that the frame is longer than the searched bytes; then only a read of the whole segment decides.
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
  // Frames begin and end on multiples of 8.
  for (let at = buffer.bytes.length - frameHeaderBytes; at >= 0; at -= 8) {
    if (buffer.view.getUint32(at, true) !== lastCrc) continue
    const frame = readFrameHeader(buffer, at, salt)
    const isLast = frame?.lsn === lastLsn
    if (isLast && at + frameBytes(frame.payloadBytes) === buffer.bytes.length) return true
  }
  return false
}

/** The reading of a segment. */
type SegmentReading = {
  /** The end of the last valid frame. */
  readonly end: FrameEnd
  /** The next frame, if only a newer version can read it. */
  readonly unreadable?: UnreadableType
  /** The first frame whose units cannot be read. */
  readonly fault?: UnitFault
  readonly sums: Readonly<FrameSums>
}

/** A valid frame whose units cannot be read, and the error. */
type UnitFault = { readonly offset: number; readonly lsn: number; readonly error: KeelsonError }

/** The header of a frame of a newer version. */
type UnreadableType = {
  readonly lsn: number
  readonly type: number
  readonly typeVersion: number
}

/**
 * A segment and the end that its successor names. It always has the complete header: cursors that
 * get objects of two shapes are compiled twice.
 */
type SealedSegment = {
  readonly name: string
  readonly header: SegmentHeader
  readonly declared: Predecessor
}

/** All `segments` except the last, each with the end that the next one names. */
const sealedAmong = (segments: readonly SegmentEntry[]): SealedSegment[] =>
  segments.slice(1).flatMap(({ header: { prev: declared } }, index) => {
    const sealed = segments[index]
    return sealed ? [{ name: sealed.name, header: sealed.header, declared }] : []
  })

/** Reads the frames of a segment that end at or before `limit`. @throws DiskError */
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
