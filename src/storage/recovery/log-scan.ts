/**
 * Reads the frames of a log's segments, from a given one to the newest, and sums up what recovery has to know. An
 * earlier segment must be whole up to where its successor says it ended; where the newest ends is for recovery to judge.
 */

import { FrameCursor, type FrameEnd, segmentStart } from '../frames/frame-cursor.ts'
import type { Disk } from '../ports/disk.ts'
import { corruption, unsupported } from '../segments/log-errors.ts'
import { pathIn } from '../segments/log-folder.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'
import { noAssistant, type ScanAssistant, type ScanHelp } from './scan-board.ts'
import {
  endsAsNamed,
  readFrames,
  readSealed,
  type SealedSegment,
  type SegmentReading,
  sealedAmong,
} from './segment-reading.ts'
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
 * Scans `segments`, of which the last is the newest, from the first on. What an `assistant` has read of those at the back is used,
 * what it has not is read here: damage is found, and named, as without one.
 * @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`; DiskError.
 */
export const scanLog = (
  disk: Disk,
  dir: string,
  segments: readonly SegmentEntry[],
  assistant: ScanAssistant = noAssistant,
): LogScan => {
  const newest = segments.at(-1)
  if (!newest) throw new RangeError('A scan needs a segment')
  const sealed = sealedAmong(segments)
  const help = assistant(dir, sealed)
  const place = { disk, dir, help }
  const readings: SegmentReading[] = []
  try {
    for (const segment of sealed) {
      if (!help.take(readings.length)) break
      readings.push(judged(segment, readUnlessAnswered(place, segment, readings.length)))
    }
    // The assistant may still be at the segment that comes next: time for the newest, which is judged when those before it are.
    const scanned = kept(() => scanNewest(disk, dir, newest))
    for (const segment of sealed.slice(readings.length))
      readings.push(judged(segment, readUnlessAnswered(place, segment, readings.length)))
    return sumUp(readings, scanned())
  } finally {
    help.end()
  }
}

/** Runs `action` at once; what it answers, or throws, comes when that is asked for. */
const kept = <T>(action: () => T): (() => T) => {
  try {
    const answer = action()
    return () => answer
  } catch (error) {
    return () => {
      throw error
    }
  }
}

type Place = { readonly disk: Disk; readonly dir: string; readonly help: ScanHelp }

/** Nobody waits for the assistant: when both read a segment, the first has done it. */
const readUnlessAnswered = (
  { disk, dir, help }: Place,
  segment: SealedSegment,
  index: number,
): SegmentReading => {
  const isAnswered = () => help.answer(index) !== undefined
  for (;;) {
    const reading = help.answer(index) ?? readSealed(disk, dir, segment, isAnswered)
    if (reading) return reading
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

const refuseUnreadable = (name: string, { end, unreadable }: SegmentReading): void => {
  if (unreadable) throw unsupported(name, { offset: end.offset, ...unreadable })
}

type NewestReading = SegmentReading & { readonly tail: SegmentTail }

const scanNewest = (
  disk: Disk,
  dir: string,
  { name, header, size }: SegmentEntry,
): NewestReading => {
  const file = disk.open(pathIn(dir, name), 'read')
  try {
    const reading = readFrames(file, header, size)
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
