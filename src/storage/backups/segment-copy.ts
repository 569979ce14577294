/**
 * Copies a segment up to a frame, and verifies the copy: every frame, its place in the chain, and
 * the end that was to be copied. A copy that is there and sound is left as it is.
 */
import { writeAll } from '../disk/disk-failure.ts'
import { readStamp } from '../frames/control-payload.ts'
import { type FrameHeader, frameTypes, roundUp } from '../frames/frame.ts'
import { FrameCursor, type FrameEnd, segmentStart } from '../frames/frame-cursor.ts'
import { encodeSegmentHeader } from '../frames/segment-header.ts'
import { type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import type { CopiedSegment } from '../ports/shard-copier.ts'
import { corruption } from '../segments/log-errors.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'
import { copyingBytes } from './raw-copy.ts'

/** A segment to copy. */
export type SegmentCopyRequest = {
  readonly from: string
  readonly to: string
  readonly segment: SegmentEntry
  /** The end that the next segment names; without it, the frame `lastLsn` is looked for. */
  readonly end: FrameEnd | undefined
  readonly lastLsn: number
  /** The id that the copy gets, in hex. Its file then ends where its frames do. */
  readonly walId: string | undefined
}

/** Gets each DATA frame of the copy: its LSN, its stamp and its payload, a view. */
export type FrameTaker = (lsn: number, time: number, payload: Uint8Array) => void

/**
 * Copies it, and yields the bytes examined or copied.
 * @throws KeelsonError `CORRUPT` if a frame of the source is damaged; DiskError
 */
export function* copyingSegment(
  disk: Disk,
  request: SegmentCopyRequest,
  take: FrameTaker,
): Generator<number, { readonly copied: CopiedSegment; readonly copiedBytes: number }> {
  const { from, to, segment, lastLsn, walId } = request
  const { name } = segment
  const end = request.end ?? (yield* endAt(disk, from, segment, lastLsn))
  const copied = { name, bytes: end.offset, lastLsn: end.lsn, lastCrc: end.crc }
  const target = pathIn(to, name)
  if (yield* isWhole(disk, target, segment, end, take)) return { copied, copiedBytes: 0 }
  const spare = `${target}.tmp`
  yield* copyingBytes(disk, pathIn(from, name), spare, end.offset, (file) => {
    if (walId !== undefined) rename(file, segment, end, walId)
  })
  if (!(yield* isWhole(disk, spare, segment, end, take))) throw yield* damageOf(disk, from, segment)
  disk.rename(spare, target)
  return { copied, copiedBytes: end.offset }
}

/** Gives the copy its id. Frames do not depend on it. */
const rename = (file: DiskFile, { header }: SegmentEntry, end: FrameEnd, walId: string): void => {
  const allocatedBytes = roundUp(end.offset, header.sectorBytes)
  writeAll(file, encodeSegmentHeader({ ...header, walId, allocatedBytes }), 0)
  file.truncate(allocatedBytes)
}

/** The end of the frame `lsn`. */
function* endAt(
  disk: Disk,
  dir: string,
  segment: SegmentEntry,
  lsn: number,
): Generator<number, FrameEnd> {
  const end = yield* lastGood(disk, dir, segment, lsn)
  if (end.lsn === lsn) return end
  throw damageAfter(segment, end)
}

/** The end of the last good frame, at most `lsn`. */
const lastGood = (
  disk: Disk,
  dir: string,
  segment: SegmentEntry,
  lsn: number,
): Generator<number, FrameEnd> =>
  walkingFrames(disk, pathIn(dir, segment.name), segment, { lsn }, () => undefined)

/** Whether the file has every frame up to `end`. A missing file has none. */
function* isWhole(
  disk: Disk,
  path: string,
  segment: SegmentEntry,
  end: FrameEnd,
  take: FrameTaker,
): Generator<number, boolean> {
  const size = disk.entry(path)?.size
  if (size === undefined || size < end.offset) return false
  const found = yield* walkingFrames(disk, path, segment, end, take)
  return found.lsn === end.lsn && found.offset === end.offset && found.crc === end.crc
}

function* damageOf(disk: Disk, dir: string, segment: SegmentEntry): Generator<number, Error> {
  return damageAfter(segment, yield* lastGood(disk, dir, segment, Number.MAX_SAFE_INTEGER))
}

const damageAfter = ({ name }: SegmentEntry, { offset, lsn }: FrameEnd): Error =>
  corruption({ file: name, offset, lsn: lsn + 1, evidence: 'the next frame is missing or damaged' })

const pauseBytes = 1024 * 1024

/**
 * Walks up to the frame `to`, or to the first that is not good, and yields the bytes of each stretch.
 * Returns the end of the last good frame. @throws DiskError
 */
export function* walkingFrames(
  disk: Disk,
  path: string,
  { header }: SegmentEntry,
  to: { readonly lsn: number; readonly offset?: number },
  take: FrameTaker,
): Generator<number, FrameEnd> {
  const file = disk.open(path, 'read')
  try {
    const cursor = new FrameCursor(file, header, segmentStart(header), to.offset ?? file.size())
    let paused = cursor.end.offset
    while (cursor.end.lsn < to.lsn) {
      const frame = cursor.next()
      if (!frame) break
      if (frame.type === frameTypes.data) give(cursor, frame, take)
      if (cursor.end.offset - paused < pauseBytes) continue
      yield cursor.end.offset - paused
      paused = cursor.end.offset
    }
    return cursor.end
  } finally {
    file.close()
  }
}

const give = (cursor: FrameCursor, frame: FrameHeader, take: FrameTaker): void => {
  const { buffer, at } = cursor.payload
  take(frame.lsn, readStamp(buffer.view, at, frame.payloadBytes), cursor.payloadBytes(frame))
}
