/**
 * Makes a new shard, or a log alone, of what can be read of a damaged one: the frames of its log,
 * its snapshots and saved states, and the files beside them. The result is verified. The source is
 * only read.
 */
import { join } from 'node:path'
import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  bytesBelow,
  copyingFolder,
  copyingSnapshot,
  corruption,
  type Disk,
  DiskError,
  encodeLost,
  frameTypes,
  type GoodFrames,
  type LogKnowledge,
  type LogVerification,
  type LsnRange,
  labelled,
  type Manifest,
  makeFolders,
  makingSnapshot,
  type NamedSnapshot,
  overwriteManifest,
  type Progress,
  type ProjectedPosition,
  pathIn,
  replaceManifest,
  SealedLog,
  type ShardFolders,
  type SnapshotSource,
  salvageAppStates,
  snapshotName,
  stepsAs,
  summed,
  type UncopiedPlace,
  verifying,
  walkingFrames,
} from '../../storage/index.ts'

/** A log to salvage, and what is known of it. */
export type ShardSalvage = {
  readonly disk: Disk
  readonly clock: Clock
  /** The folders of the log and of the new one. The new one is empty except for its LOCK. */
  readonly from: string
  readonly to: string
  /** The folders around these logs; absent for a log alone. `rows` opens the projection of `from`. */
  readonly shard?:
    | {
        readonly from: ShardFolders
        readonly to: ShardFolders
        readonly rows: () => SnapshotSource
      }
    | undefined
  /** The verification of the source; absent if nothing was left of it. */
  readonly found: LogVerification | undefined
  readonly knowledge: LogKnowledge
}

/** A salvaged shard. */
export type SalvagedShard = {
  readonly salvaged: Salvaged
  /** The snapshots of the new log, oldest first. */
  readonly snapshots: readonly NamedSnapshot[]
  /** The parts of its blobs and archive that could not be read. */
  readonly uncopied: readonly UncopiedPlace[]
}

/**
 * Salvages a shard, and yields its progress.
 * @throws KeelsonError as `salvaging`; `CORRUPT` if the copy does not read back; DiskError
 */
export function* salvagingShard(request: ShardSalvage): Generator<Progress, SalvagedShard> {
  const { disk, clock, from, to, shard, found, knowledge } = request
  if (shard) makeFolders(disk, to)
  const known = { ...nothingFound(), ...found }
  // A log that lies beside the projection is its log, also if no file of it is left to say so.
  const named = { ...known, walId: known.walId || (knowledge.walId ?? '') }
  const snapshots = shard ? yield* salvagingSnapshots(disk, shard, named, knowledge.shown) : []
  const salvaged = yield* labelled(
    'salvaging',
    salvaging({ disk, clock, from, to, found: beginningBehind(named, snapshots), snapshots }),
  )
  const uncopied: UncopiedPlace[] = []
  if (shard) {
    salvageAppStates(disk, shard.from.snapshots, shard.to.snapshots, salvaged.lastLsn)
    for (const name of ['blobs', 'archive']) {
      const [source, target] = [join(from, '..', name), join(shard.to.path, name)]
      const [what, totalBytes] = [`copying ${name} of`, bytesBelow(disk, source)]
      const show = (bytes: number) => ({ what, bytes, totalBytes })
      uncopied.push(...(yield* summed(copyingFolder(disk, source, target), show)))
    }
  }
  const { holdsUnits = false } = knowledge
  const checked = yield* labelled('checking', verifying(disk, to, { holdsUnits }))
  if (checked.verdict === 'clean' && checked.lastLsn === salvaged.lastLsn)
    return { salvaged, snapshots, uncopied }
  throw new KeelsonError('CORRUPT', `the copy in ${to} does not read back`, {
    details: { file: to, damage: checked.damage },
  })
}

/** A log without frames begins with the frame after its rows. One with frames begins with its first one. */
const beginningBehind = (found: Found, snapshots: readonly NamedSnapshot[]): Found => ({
  ...found,
  provenLsn: Math.max(found.provenLsn, snapshots.at(-1)?.lsn ?? 0),
})

/**
 * The sound snapshots that the log names, and one that is made of the projection where that has rows
 * which neither they nor the frames that are left have. Without one, a log that does not have its
 * first frame would not start. `shown`: the position of the projection, if that is sound.
 */
function* salvagingSnapshots(
  disk: Disk,
  { from, to, rows }: NonNullable<ShardSalvage['shard']>,
  found: SalvagedLogFacts,
  shown: ProjectedPosition | undefined,
): Generator<Progress, readonly NamedSnapshot[]> {
  const kept: NamedSnapshot[] = []
  const places = { from: from.snapshots, to: to.snapshots, walId: undefined }
  if (found.snapshots.length > 0) makeFolders(disk, places.to)
  for (const snapshot of found.snapshots) {
    const { lsn, bytes: totalBytes } = snapshot
    const what = `copying snapshot ${lsn} of`
    const show = (bytes: number) => ({ what, bytes: Math.min(bytes, totalBytes), totalBytes })
    try {
      yield* summed(
        copyingSnapshot(disk, { ...places, snapshot }, () => undefined),
        show,
      )
      kept.push(snapshot)
    } catch (error) {
      if (!isUnreadable(error, places.from)) throw error
      disk.remove(pathIn(places.to, `${snapshotName(lsn)}.tmp`))
    }
  }
  if (kept.length > 0) disk.syncFolder(places.to)
  if (!shown || !hasMore(shown, kept.at(-1)?.lsn ?? 0, found)) return kept
  return [...kept, yield* makingOne(disk, rows(), to)]
}

/** Whether the projection has rows that neither a snapshot up to `base` nor a frame has. */
const hasMore = (
  { walId, lsn }: ProjectedPosition,
  base: number,
  { walId: own, showsOther, frames, firstLsn, lost }: SalvagedLogFacts,
): boolean =>
  walId === own &&
  !showsOther &&
  lsn > base &&
  (frames === 0 ||
    firstLsn > base + 1 ||
    lost.some((range) => range.to > base && range.from <= lsn))

function* makingOne(
  disk: Disk,
  source: SnapshotSource,
  to: ShardFolders,
): Generator<Progress, NamedSnapshot> {
  try {
    makeFolders(disk, to.snapshots)
    const making = makingSnapshot(disk, to.snapshots, source, Number.POSITIVE_INFINITY)
    const { lsn, bytes, sum } = yield* stepsAs(making, (step) => {
      const totalBytes = Math.round((step.bytes / Math.max(step.rows, 1)) * source.rows)
      return { what: 'making a snapshot of', bytes: step.bytes, totalBytes }
    })
    return { lsn, bytes, sum }
  } finally {
    source.close()
  }
}

/** The snapshot is damaged, of a newer version, or the disk cannot read it. */
const isUnreadable = (error: unknown, dir: string): boolean =>
  isKeelsonError(error, 'CORRUPT') ||
  isKeelsonError(error, 'UNSUPPORTED_VERSION') ||
  (error instanceof DiskError && error.path.startsWith(dir))

// Makes a new log of the readable frames of a damaged one. Frames keep their LSNs, types and
// payloads, and the log keeps its id. A lost frame is replaced by a LOST frame with its LSN, so
// stored positions still name the same frames. Bytes that only look like frames, and a torn tail,
// are left out. The source is only read.
//
// The MANIFEST is written first and names every frame. Until all of them are there, the folder is
// refused as a log that lost data. So an interrupted salvage is never taken for the log.

/**
 * The verified source of a salvage, and its target: an existing folder that is empty except for its
 * LOCK.
 */
export type SalvageRequest = {
  readonly disk: Disk
  readonly clock: Clock
  readonly from: string
  readonly found: Pick<
    LogVerification,
    'walId' | 'epoch' | 'frames' | 'provenLsn' | 'checkpointLsn' | 'lastTime' | 'lost' | 'good'
  >
  readonly to: string
  /** The snapshots that the new log names, oldest first; none by default. */
  readonly snapshots?: readonly NamedSnapshot[]
}

/** The result of a salvage: the copied frames, the LSNs and the files of the new log. */
export type Salvaged = {
  readonly walId: string
  readonly frames: number
  readonly lost: readonly LsnRange[]
  readonly firstLsn: number
  readonly lastLsn: number
  readonly segments: number
  readonly bytes: number
}

/** The findings about a log, for its salvage. */
type SalvagedLogFacts = SalvageRequest['found'] &
  Pick<LogVerification, 'showsOther' | 'firstLsn' | 'snapshots'>

/** The findings for a log of which nothing is left; an empty log is made of them. */
export const nothingFound = (): SalvagedLogFacts => ({
  showsOther: false,
  firstLsn: 1,
  snapshots: [],
  walId: '',
  epoch: 0,
  frames: 0,
  provenLsn: 0,
  checkpointLsn: 0,
  lastTime: 0,
  lost: [],
  good: [],
})

/** The greatest number of lost frames that are written one by one: they take 4 GiB. */
const lostMax = 2 ** 27

/**
 * Salvages a log and yields its progress. On return the new log is complete, durable and closed.
 * @throws KeelsonError `TOO_LARGE` if too many frames are lost; `CORRUPT` if the source has
 * changed; DiskError
 */
export function* salvaging(request: SalvageRequest): Generator<Progress, Salvaged> {
  const { disk, clock, found, to } = request
  const parts = partsOf(found)
  // A log without frames stays empty: its next LSN is the one after the proven LSN.
  const firstLsn = parts[0]?.from ?? found.provenLsn + 1
  const promise = promiseOf(request, (parts.at(-1)?.to ?? firstLsn - 1) + 1)
  replaceManifest(disk, to, promise)
  const writer = new SealedLog({ disk, clock, dir: to }, layoutOf(found), {
    walId: promise.walId,
    epoch: promise.epoch,
    baseLsn: firstLsn,
  })
  try {
    let bytes = 0
    const totalBytes = found.good.reduce((sum, { run }) => sum + run.to.offset - run.from.offset, 0)
    for (const part of parts) {
      const progress = { what: 'the log', bytes, totalBytes }
      if ('run' in part) {
        yield* copy(disk, request.from, writer, part, progress)
        bytes += part.run.to.offset - part.run.from.offset
      } else yield* writeLost(writer, part, progress)
    }
    const { checkpointLsn } = found
    const { lastTime, snapshots } = promise
    const generation = promise.generation + 1
    const ended = { generation, checkpointLsn, lastTime, snapshots }
    const { chain, manifest } = writer.finish(ended)
    overwriteManifest(disk, to, manifest)
    return {
      walId: promise.walId,
      frames: found.frames,
      lost: found.lost,
      firstLsn,
      lastLsn: promise.recoveredLsn,
      segments: chain.length,
      bytes: chain.reduce((sum, { header }) => sum + header.allocatedBytes, 0),
    }
  } finally {
    writer.abandon()
  }
}

type Found = SalvageRequest['found']

type Part = GoodFrames | LsnRange

/** Good and lost frames in the order of their LSNs. */
const partsOf = ({ good, lost }: Found): Part[] => {
  const gone = lost.reduce((sum, { from, to }) => sum + to - from + 1, 0)
  if (gone > lostMax)
    throw new KeelsonError('TOO_LARGE', `${gone} frames are lost, too many to record`, {
      details: { lost, limit: lostMax },
    })
  return [...good, ...lost].sort((a, b) => a.from - b.from)
}

/** Room for the payloads that a salvage writes itself: LOST frames and CLEAN_CLOSE. */
const ownPayloadMax = 256

const layoutOf = ({ good }: Found) => ({
  features: good.reduce((all, { segment }) => all | segment.header.features, 0),
  sectorBytes: good.reduce((most, { segment }) => Math.max(most, segment.header.sectorBytes), 512),
  payloadMax: good.reduce(
    (most, { segment }) => Math.max(most, segment.header.payloadMax),
    ownPayloadMax,
  ),
  fileBytes: good.reduce((most, { segment }) => Math.max(most, segment.size), 1024 * 1024),
})

/** The salvaged log is a new epoch of the same log: its number increases by one. */
const promiseOf = (
  { found, clock, snapshots = [] }: SalvageRequest,
  lastLsn: number,
): Manifest => ({
  generation: 2,
  // If no readable file names the log, it gets a new id.
  walId: found.walId || Buffer.from(clock.randomBytes(16)).toString('hex'),
  epoch: found.epoch + 1,
  newest: { seq: 0, baseLsn: 1, salt: { low: 0, high: 0 } },
  recoveredLsn: lastLsn,
  checkpointLsn: 0,
  checkpointSegment: 1,
  lastTime: found.lastTime,
  snapshots,
})

/** The lost frames between two pauses. */
const pauseFrames = 65_536

function* writeLost(
  writer: SealedLog,
  range: LsnRange,
  progress: Progress,
): Generator<Progress, void> {
  const none = new Uint8Array(0)
  for (let lsn = range.from; lsn <= range.to; lsn++) {
    writer.add(frameTypes.lost, lsn === range.from ? encodeLost(range) : none)
    if ((lsn - range.from) % pauseFrames === pauseFrames - 1) yield progress
  }
}

function* copy(
  disk: Disk,
  dir: string,
  writer: SealedLog,
  { segment, run, from, to }: GoodFrames,
  progress: Progress,
): Generator<Progress, void> {
  const { name, header } = segment
  const stretch = { name, header, from: run.from, to: { offset: run.to.offset, lsn: to } }
  const steps = walkingFrames(disk, dir, stretch, (frame, cursor) => {
    if (frame.lsn >= from) writer.add(frame.type, cursor.payloadBytes(frame))
  })
  const show = (bytes: number) => ({ ...progress, bytes })
  const { offset, lsn, crc } = yield* summed(steps, show, progress.bytes)
  if (lsn === to && (to < run.to.lsn || crc === run.to.crc)) return
  const evidence = 'a frame that was valid at the verification is damaged now'
  throw corruption({ file: name, offset, lsn: lsn + 1, evidence })
}
