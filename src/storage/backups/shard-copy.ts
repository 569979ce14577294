/**
 * Copies a shard as of an LSN: snapshots, states of the application, segments, and the blobs that
 * they refer to. All of it is verified, and durable in the end. Files appear under their names when they are whole, so an
 * interrupted copy goes on where it was.
 */
import { dirname } from 'node:path'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { blobSegmentPath, listBlobs } from '../blobs/blob-folder.ts'
import { decodeFrame } from '../commands/command-decoding.ts'
import { refsOfUnit } from '../commands/command-values.ts'
import { roundUp } from '../frames/frame.ts'
import { type FrameEnd, segmentStart } from '../frames/frame-cursor.ts'
import { type DataTaker, dataFrames, walkingFrames } from '../frames/frame-walk.ts'
import { corruption } from '../frames/log-errors.ts'
import { encodeSegmentHeader } from '../frames/segment-header.ts'
import { type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import { writeAll } from '../ports/disk-failure.ts'
import type { NamedSnapshot } from '../ports/named-snapshot.ts'
import { makeFolders } from '../ports/new-folders.ts'
import type { Progress } from '../ports/progress.ts'
import type {
  CopiedFolders,
  CopiedSegment,
  ShardCopy,
  ShardCopyRequest,
} from '../ports/shard-copier.ts'
import { parseSegmentName } from '../segments/log-folder.ts'
import { soundSurvey } from '../segments/log-survey.ts'
import { bytesOf } from '../segments/log-walk.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'
import { copyAppStates, newestUpTo, removeStatesBut } from '../snapshots/app-state.ts'
import { removeUnnamed } from '../snapshots/snapshot-folder.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import { copyingBlob, keepNumbers, syncSegment } from './blob-copy.ts'
import { copyingBytes, copyingChain } from './file-copy.ts'
import { copyingSnapshot } from './snapshot-copy.ts'

/** A blob to copy. A needed one must be there: a row refers to it. */
type WantedBlob = { readonly ref: BlobRef; readonly isNeeded: boolean }

/**
 * Copies a shard, and yields its progress.
 * @throws KeelsonError `CORRUPT` if something that is copied is damaged; `NO_SEGMENTS`; DiskError
 */
export function* copyingShard(
  disk: Disk,
  request: ShardCopyRequest,
): Generator<Progress, ShardCopy> {
  const { from, to, lsn, walId } = request
  const segments = segmentsOf(disk, from.wal, request.segments).filter(
    ({ header }) => header.baseLsn <= lsn + 1,
  )
  refuseMissing(segments, request)
  const [first, last] = [segments[0], segments.at(-1)]
  if (!first || !last)
    throw new KeelsonError('NO_SEGMENTS', 'there is no log here', { details: { dir: from.wal } })
  for (const dir of [to.wal, to.snapshots, to.blobs]) makeFolders(disk, dir)
  const wanted = new Map<string, WantedBlob>()
  const meter = new Meter(
    bytesOf(segments) + request.snapshots.reduce((sum, { bytes }) => sum + bytes, 0),
  )
  const snapshots = yield* copyingSnapshots(disk, request, meter, (ref) =>
    wanted.set(placeOf(ref), { ref, isNeeded: true }),
  )
  let time = 0
  const copied: CopiedSegment[] = []
  for (const [index, segment] of segments.entries()) {
    const prev = segments[index + 1]?.header.prev
    const end = prev && { offset: prev.endOffset, lsn: prev.lastLsn, crc: prev.lastCrc }
    const steps = copyingSegment(
      disk,
      { from: from.wal, to: to.wal, segment, end, lastLsn: lsn, walId },
      (_, stamp, payload) => {
        time = Math.max(time, stamp)
        for (const ref of decodeFrame(payload).units.flatMap(refsOfUnit))
          if (!wanted.has(placeOf(ref))) wanted.set(placeOf(ref), { ref, isNeeded: false })
      },
    )
    const copy = yield* meter.through(steps, segment.size)
    copied.push(copy.copied)
    meter.copiedBytes += copy.copiedBytes
  }
  const { count = 0 } = last.header.chain ?? {}
  const chain = copyingChain(disk, from.wal, to.wal, count)
  meter.copiedBytes += yield* meter.through(chain, 0)
  const saved = (request.states ?? newestUpTo(disk, from.snapshots, lsn)).filter((at) => at <= lsn)
  const states = copyAppStates(disk, from.snapshots, to.snapshots, saved, !!request.states)
  const blobs = yield* copyingBlobs(disk, request, [...wanted.values()], meter)
  // A copy that was killed may have made the folders without a sync of their names.
  for (const dir of [to.wal, to.snapshots, to.blobs, dirname(to.wal)]) disk.syncFolder(dir)
  return {
    walId: walId ?? first.header.walId,
    epoch: last.header.epoch,
    firstLsn: first.header.baseLsn,
    lsn,
    time,
    snapshots,
    states,
    segments: copied,
    ...blobs,
    copiedBytes: meter.copiedBytes,
  }
}

/** Copies the snapshots. `need` gets the blobs that their rows refer to. */
function* copyingSnapshots(
  disk: Disk,
  { from, to, walId, snapshots }: ShardCopyRequest,
  meter: Meter,
  need: (ref: BlobRef) => void,
): Generator<Progress, readonly NamedSnapshot[]> {
  const copied: NamedSnapshot[] = []
  for (const snapshot of snapshots) {
    const places = { from: from.snapshots, to: to.snapshots, snapshot, walId }
    const copy = yield* meter.through(copyingSnapshot(disk, places, need), snapshot.bytes)
    copied.push(copy.snapshot)
    meter.copiedBytes += copy.copiedBytes
  }
  return copied
}

/** The segments in a folder, or those of them that a backup lists. */
export const segmentsOf = (
  disk: Disk,
  dir: string,
  listed?: readonly CopiedSegment[],
): readonly SegmentEntry[] =>
  soundSurvey(disk, dir, (name) => !listed || listed.some((each) => each.name === name)).segments

/** @throws KeelsonError `CORRUPT` if a segment that a backup lists is needed, and is not there */
const refuseMissing = (
  segments: readonly SegmentEntry[],
  { segments: listed = [], lsn }: ShardCopyRequest,
): void => {
  for (const [at, { name: file }] of listed.entries()) {
    const before = listed[at - 1]?.lastLsn ?? 0
    if (before > lsn || segments.some(({ name }) => name === file)) continue
    throw corruption({ file, offset: 0, lsn: before + 1, evidence: 'it is missing' })
  }
}

const placeOf = ({ segment, offset }: BlobRef): string => `${segment}:${offset}`

function* copyingBlobs(
  disk: Disk,
  { from, to }: ShardCopyRequest,
  wanted: readonly WantedBlob[],
  meter: Meter,
): Generator<Progress, Pick<ShardCopy, 'blobs' | 'missing'>> {
  const missing: string[] = []
  const segments = new Set<number>()
  let bytes = 0
  meter.totalBytes += wanted.reduce((sum, { ref }) => sum + ref.size, 0)
  for (const { ref, isNeeded } of wanted) {
    try {
      const steps = copyingBlob(disk, from.blobs, to.blobs, ref)
      if (yield* meter.through(steps, ref.size)) meter.copiedBytes += ref.size
      segments.add(ref.segment)
      bytes += ref.size
    } catch (error) {
      if (isNeeded || !isKeelsonError(error, 'CORRUPT')) throw error
      missing.push(`${blobSegmentPath(from.blobs, ref.segment)}:${ref.offset}`)
    }
  }
  // A blob that was there may be of a copy that was killed before its sync.
  for (const segment of segments) syncSegment(disk, to.blobs, segment)
  const next = wanted.reduce((most, { ref }) => Math.max(most, ref.segment + 1), 0)
  keepNumbers(disk, to.blobs, next)
  const count = wanted.length - missing.length
  return { blobs: { count, bytes, segments: [...segments].sort((a, b) => a - b) }, missing }
}

/** Counts what was examined and copied. */
class Meter {
  totalBytes: number
  copiedBytes = 0
  #done = 0

  constructor(totalBytes: number) {
    this.totalBytes = totalBytes
  }

  /** Takes all steps of a piece of work that counts as `bytes` in the end. */
  *through<T>(steps: Generator<number, T>, bytes: number): Generator<Progress, T> {
    const from = this.#done
    for (;;) {
      const step = steps.next()
      this.#done = step.done ? from + bytes : Math.min(this.#done + step.value, from + bytes)
      yield { what: 'the shard', bytes: this.#done, totalBytes: this.totalBytes }
      if (step.done) return step.value
    }
  }
}

/**
 * Removes what earlier backups left of a shard: files that its copy does not list, durably. Foreign
 * files stay. Only after `backup.json` is durable.
 * @throws DiskError
 */
export const tidyShard = (disk: Disk, folders: CopiedFolders, copy: ShardCopy): void => {
  const { wal, snapshots, blobs } = folders
  const names = new Set(copy.segments.map(({ name }) => name))
  const isOver = (name: string): boolean =>
    !names.has(name) && parseSegmentName(name.replace(/\.tmp$/, '')) !== undefined
  for (const name of disk.list(wal)) if (isOver(name)) disk.remove(pathIn(wal, name))
  removeUnnamed(disk, snapshots, copy.snapshots)
  // A member of an older build lists none.
  if (copy.states) removeStatesBut(disk, snapshots, copy.states)
  for (const name of disk.list(snapshots))
    if (name.endsWith('.snap.tmp')) disk.remove(pathIn(snapshots, name))
  const { segments, leftovers } = listBlobs(disk, blobs)
  for (const { segment } of segments)
    if (!copy.blobs.segments.includes(segment)) disk.remove(blobSegmentPath(blobs, segment))
  for (const name of leftovers) disk.remove(pathIn(blobs, name))
  for (const dir of [wal, snapshots, blobs]) disk.syncFolder(dir)
}

/** A segment to copy. */
type SegmentCopyRequest = {
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
 * Copies a segment up to a frame, and verifies the copy: every frame, its place in the chain, and
 * the end that was to be copied. A copy that is there and sound is left as it is. Yields the bytes
 * examined or copied.
 * @throws KeelsonError `CORRUPT` if a frame of the source is damaged; DiskError
 */
function* copyingSegment(
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
