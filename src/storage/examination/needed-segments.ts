/**
 * Reads of a log what an opening needs, and refuses the first damage: the frames from a segment on,
 * and before it that each segment is the one that its successor names.
 *
 * The successor repeats the header CRC of a segment's last frame, and that CRC is seeded with the
 * salt of its file. So one small read detects a segment with the same numbers and sizes from another
 * life of a copied log.
 *
 * Apart from `recovery/log-inspection.ts`, which decides what an opening needs: this file reads it,
 * and judges it by the rules that `verify` uses.
 */
import { KeelsonError } from '../../errors.ts'
import { frameBuffer, frameBytes, frameHeaderBytes, readFrameHeader } from '../frames/frame.ts'
import { segmentStart } from '../frames/frame-cursor.ts'
import {
  type Predecessor,
  type SegmentHeader,
  segmentHeaderBytes,
} from '../frames/segment-header.ts'
import { closing, type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'
import { damageIn, type SegmentSurvey } from './log-damage.ts'
import { refuseNewer } from './log-judgement.ts'
import { refuseFirst } from './log-survey.ts'
import { mapStart } from './segment-map.ts'

/**
 * Reads all frames of `segments` from number `first` on, up to the last, the newest. DATA frames
 * from the LSN `unitsFrom` on must have units that this version can read.
 * @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`; DiskError
 */
export const readNeeded = (
  disk: Disk,
  dir: string,
  segments: readonly SegmentEntry[],
  first: number,
  unitsFrom = Number.POSITIVE_INFINITY,
): SegmentSurvey[] => {
  for (const [index, segment] of segments.slice(0, first).entries()) {
    const declared = segments[index + 1]?.header.prev
    if (declared && !isAsNamed(disk, dir, segment, declared)) read(disk, dir, segment, declared)
  }
  return segments.slice(first).map((segment, index) => {
    const declared = segments[first + index + 1]?.header.prev
    return read(disk, dir, segment, declared, unitsFrom)
  })
}

const read = (
  disk: Disk,
  dir: string,
  segment: SegmentEntry,
  declared: Predecessor | undefined,
  unitsFrom = Number.POSITIVE_INFINITY,
): SegmentSurvey => {
  const { name, header, size } = segment
  return closing(disk.open(pathIn(dir, name), 'read'), (file) => {
    const hasTail = declared === undefined
    const limit = declared?.endOffset ?? size
    const map = mapStart(file, header, segmentStart(header), limit, { unitsFrom, hasTail })
    const survey = { segment, declared, map, runsOver: false }
    refuseNewer([survey])
    refuseNewerUnits(survey)
    refuseFirst(damageIn(survey))
    return survey
  })
}

/** Units of a newer version are no damage. */
const refuseNewerUnits = ({ segment: { name }, map }: SegmentSurvey): void => {
  for (const { offset, lastLsn, error } of map.holes) {
    if (error?.code !== 'UNSUPPORTED_VERSION') continue
    const lsn = lastLsn + 1
    throw new KeelsonError(error.code, `${name}, lsn ${lsn}: ${error.message}`, {
      details: { file: name, offset, lsn, ...error.details },
    })
  }
}

const isAsNamed = (
  disk: Disk,
  dir: string,
  { name, header }: SegmentEntry,
  successor: Predecessor,
): boolean =>
  closing(disk.open(pathIn(dir, name), 'read'), (file) => endsAsNamed(file, header, successor))

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
