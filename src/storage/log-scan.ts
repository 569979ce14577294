/**
 * Reads the frames of a log's segments, from a given one to the newest, and sums up what recovery has to know. An
 * earlier segment must be whole up to where its successor says it ended; where the newest ends is for recovery to judge.
 */
import type { Disk, DiskFile } from './disk.ts'
import type { FrameHeader } from './frame.ts'
import { FrameCursor, type FrameEnd, segmentStart } from './frame-cursor.ts'
import { addFrame, type FrameSums, noSums } from './frame-sums.ts'
import { corruption, unsupported } from './log-errors.ts'
import { pathIn } from './log-folder.ts'
import type { SegmentEntry } from './segment-chain.ts'
import { endsAsNamed } from './segment-link.ts'
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

/** Scans `segments`, of which the last is the newest. @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`. */
export const scanLog = (disk: Disk, dir: string, segments: readonly SegmentEntry[]): LogScan => {
  const sums = noSums()
  let scanned: Pick<LogScan, 'end' | 'tail'> | undefined
  for (const [index, segment] of segments.entries()) {
    const successor = segments[index + 1]
    const file = disk.open(pathIn(dir, segment.name), 'read')
    try {
      if (successor) scanSealed(file, segment, successor, sums)
      else scanned = scanNewest(file, segment, sums)
    } finally {
      file.close()
    }
  }
  if (!scanned) throw new RangeError('A scan needs a segment')
  return {
    ...scanned,
    endsClosed: sums.mark === 'closed',
    endsMarked: sums.mark !== 'none',
    lastTime: sums.lastTime,
    checkpointLsn: sums.checkpointLsn,
    provenLsn: Math.max(sums.provenLsn, scanned.tail.provenLsn),
  }
}

/**
 * Checks that each of `segments` but the last is the file that its successor means, without reading more of it than that takes.
 * @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`.
 */
export const checkLinks = (disk: Disk, dir: string, segments: readonly SegmentEntry[]): void => {
  for (const [index, segment] of segments.entries()) {
    const successor = segments[index + 1]
    if (!successor) return
    const file = disk.open(pathIn(dir, segment.name), 'read')
    try {
      if (!endsAsNamed(file, segment.header, successor.header.prev))
        scanSealed(file, segment, successor, noSums())
    } finally {
      file.close()
    }
  }
}

const scanSealed = (
  file: DiskFile,
  { name, header }: SegmentEntry,
  successor: SegmentEntry,
  sums: FrameSums,
): void => {
  const { prev } = successor.header
  const end = walk(file, { name, header }, prev.endOffset, sums)
  if (end.offset === prev.endOffset && end.lsn === prev.lastLsn && end.crc === prev.lastCrc) return
  const evidence = `the next segment says that this one goes to lsn ${prev.lastLsn} at offset ${prev.endOffset}`
  throw corruption({ file: name, offset: end.offset, lsn: end.lsn + 1, evidence })
}

const scanNewest = (
  file: DiskFile,
  { name, header, size }: SegmentEntry,
  sums: FrameSums,
): Pick<LogScan, 'end' | 'tail'> => {
  sums.mark = 'none'
  const end = walk(file, { name, header }, size, sums)
  return { end, tail: examineTail(file, header, end, size) }
}

const walk = (
  file: DiskFile,
  { name, header }: Pick<SegmentEntry, 'name' | 'header'>,
  limit: number,
  sums: FrameSums,
): FrameEnd => {
  const cursor = new FrameCursor(file, header, segmentStart(header), limit)
  for (let frame = cursor.next(); frame; frame = cursor.next()) addFrame(sums, cursor, frame)
  if (cursor.stop === 'unsupported')
    throw unsupported(name, { offset: cursor.end.offset, ...typeOf(cursor.unreadable) })
  return cursor.end
}

const typeOf = (header: FrameHeader | undefined) =>
  header && { lsn: header.lsn, type: header.type, typeVersion: header.typeVersion }

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
