/**
 * Copies a segment up to a frame, and verifies the copy: every frame, its place in the chain, and
 * the end that was to be copied. A copy that is there and sound is left as it is.
 */
import { writeAll } from '../disk/disk-failure.ts'
import { roundUp } from '../frames/frame.ts'
import { type FrameEnd, segmentStart } from '../frames/frame-cursor.ts'
import { type DataTaker, dataFrames, walkingFrames } from '../frames/frame-walk.ts'
import { encodeSegmentHeader } from '../frames/segment-header.ts'
import { type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import type { CopiedSegment } from '../ports/shard-copier.ts'
import { corruption } from '../segments/log-errors.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'
import { copyingBytes } from './file-copy.ts'

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

/**
 * Copies it, and yields the bytes examined or copied.
 * @throws KeelsonError `CORRUPT` if a frame of the source is damaged; DiskError
 */
export function* copyingSegment(
  disk: Disk,
  request: SegmentCopyRequest,
  take: DataTaker,
): Generator<number, { readonly copied: CopiedSegment; readonly copiedBytes: number }> {
  const { from, to, segment, lastLsn, walId } = request
  const { name } = segment
  const end = request.end ?? (yield* endAt(disk, from, segment, lastLsn))
  const copied = { name, bytes: end.offset, lastLsn: end.lsn, lastCrc: end.crc }
  if (yield* isWhole(disk, to, segment, end, take)) return { copied, copiedBytes: 0 }
  const spare = { ...segment, name: `${name}.tmp` }
  yield* copyingBytes(disk, pathIn(from, name), pathIn(to, spare.name), end.offset, (file) => {
    if (walId !== undefined) rename(file, segment, end, walId)
  })
  if (!(yield* isWhole(disk, to, spare, end, take))) throw yield* damageOf(disk, from, segment)
  disk.rename(pathIn(to, spare.name), pathIn(to, name))
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
  walkingFrames(disk, dir, { ...segment, from: segmentStart(segment.header), to: { lsn } })

/** Whether the file has every frame up to `end`. A missing file has none. */
function* isWhole(
  disk: Disk,
  dir: string,
  { name, header }: Pick<SegmentEntry, 'name' | 'header'>,
  end: FrameEnd,
  take: DataTaker,
): Generator<number, boolean> {
  const size = disk.entry(pathIn(dir, name))?.size
  if (size === undefined || size < end.offset) return false
  const stretch = { name, header, from: segmentStart(header), to: end }
  const found = yield* walkingFrames(disk, dir, stretch, dataFrames(take))
  return found.lsn === end.lsn && found.offset === end.offset && found.crc === end.crc
}

function* damageOf(disk: Disk, dir: string, segment: SegmentEntry): Generator<number, Error> {
  return damageAfter(segment, yield* lastGood(disk, dir, segment, Number.MAX_SAFE_INTEGER))
}

const damageAfter = ({ name }: SegmentEntry, { offset, lsn }: FrameEnd): Error =>
  corruption({ file: name, offset, lsn: lsn + 1, evidence: 'the next frame is missing or damaged' })
