/**
 * Examines the files of a shard, which nothing writes to: the log with its MANIFEST, the
 * snapshots, the projection, the blobs, leftovers. Changes nothing and judges nothing. Of a shard
 * that an instance has open only log and snapshots are read.
 */
import { join } from 'node:path'
import { isKeelsonError } from '../../errors.ts'
import {
  type AppStateFile,
  type BlobRef,
  blobChunkBytes,
  blobPieces,
  blobSegmentPath,
  bytesOf,
  type Disk,
  decodeFrame,
  decodeRow,
  entityRowKey,
  examineAppStates,
  examiningProjection,
  floorFileName,
  isFileFailure,
  isSpareName,
  type KnownShard,
  type LostFile,
  labelled,
  listBlobs,
  lostSegments,
  type ManifestReading,
  type NamedSnapshot,
  type Progress,
  type ProjectedPosition,
  type ProjectionExamination,
  quarantineName,
  readBlobRange,
  readManifest,
  refsOf,
  refsOfUnit,
  rowHeadBytes,
  type ShardFolders,
  SnapshotReader,
  savedStateEntity,
  snapshotName,
  stepsAs,
  summed,
  unnamedIn,
  valueTags,
  walkingLog,
} from '../../storage/index.ts'
import { examiningLog, knowledgeOf, type LogFacts, segmentsIn } from './log-facts.ts'

/** The shard to examine. */
export type ShardExamination = KnownShard & {
  /** An instance has it open. */
  readonly isLive: boolean
  /** Blobs are read whole. */
  readonly isDeep: boolean
}

/** A snapshot: one that the MANIFEST names, or, if no names are left, a file. */
export type SnapshotState = {
  readonly file: string
  readonly snapshot: NamedSnapshot
  /** Why it cannot be used; absent if it was read whole. */
  readonly fault?: { readonly isMissing: boolean; readonly evidence: string }
  /** The log that it is of; absent with a fault. */
  readonly position?: ProjectedPosition
}

/** The outcome of a comparison of rows: how many differ, and some of their keys. */
export type RowComparison =
  | { readonly rows: number; readonly different: number; readonly keys: readonly string[] }
  | { readonly failure: string }

/** The facts about a shard. */
export type ShardFacts = Omit<ShardExamination, 'isDeep'> & {
  readonly manifest: ManifestReading
  readonly log: LogFacts
  readonly snapshots: readonly SnapshotState[]
  /** `absent` too if it was not examined. */
  readonly projection: ProjectionExamination
  readonly blobs: readonly BlobFault[]
  /** Segments of blobs with fewer bytes than noted. */
  readonly lostSegments: readonly LostFile[]
  readonly leftovers: Leftovers
  /** The saved states of the journal, oldest first. */
  readonly states: readonly AppStateFile[]
  /** Some row says that a state was saved. */
  readonly hadState: boolean
  readonly comparison?: RowComparison
}

/**
 * The same with its folder, and the ids of logs that `keelson.json` names; `undefined` without it.
 */
export type PlacedFacts = ShardFacts & {
  readonly dir: string
  readonly logs: readonly string[] | undefined
}

/** Examines a shard, and yields its progress. @throws DiskError that is not of one file */
export function* examiningShard(
  disk: Disk,
  { isDeep, isLive, ...known }: ShardExamination,
): Generator<Progress, ShardFacts> {
  const { folders } = known
  const name = `shard ${known.shard}`
  const refs = new BlobRefs()
  let hadState = false
  const noteRow = (key: Uint8Array, record: Uint8Array): void => {
    hadState ||= savedStateKey.equals(key)
    refs.addRow(key, record)
  }
  const manifest = manifestIn(disk, folders.wal)
  const met = yield* examiningSnapshots(disk, name, folders, manifest, noteRow)
  const snapshots = isLive ? stillNamed(disk, folders, met) : met
  const projection = isLive
    ? ({ state: 'absent' } as const)
    : yield* labelled(
        `the projection of ${name}`,
        examiningProjection(disk, folders.lmdb, 'all', noteRow),
      )
  const baseLsn = baseWithoutNames(disk, folders, snapshots)
  const knowledge = { ...knowledgeOf(known, projection, isLive), baseLsn }
  const log = yield* labelled(`the log of ${name}`, examiningLog(disk, folders.wal, knowledge))
  const states = examineAppStates(disk, folders.snapshots)
  const journal = { states, hadState: hadState || states.length > 0 }
  const facts = { ...known, isLive, manifest, log, snapshots, projection, ...journal }
  if (isLive)
    return { ...facts, blobs: [], lostSegments: [], leftovers: { temporary: [], quarantines: [] } }
  yield* addFrames(disk, facts, refs)
  const blobs = yield* labelled(
    `the blobs of ${name}`,
    examiningBlobs(disk, folders.blobs, refs, isDeep),
  )
  const named = manifest.manifest?.snapshots ?? []
  return {
    ...facts,
    blobs,
    lostSegments: lostSegments(disk, folders.blobs),
    leftovers: leftoversIn(disk, folders, named),
  }
}

const savedStateKey = Buffer.from(entityRowKey(savedStateEntity))

/** Whether the MANIFEST still says which snapshots count. */
export const hasNames = ({ manifest }: ManifestReading): boolean => manifest !== undefined

const noManifest = { manifest: undefined, exists: true, whole: false, damagedSlots: 2 } as const

const manifestIn = (disk: Disk, dir: string): ManifestReading => {
  try {
    return readManifest(disk, dir)
  } catch (error) {
    if (isFileFailure(error)) return noManifest
    throw error
  }
}

/** The LSN up to which a snapshot has the rows of the log, named or not. */
const baseWithoutNames = (
  disk: Disk,
  { wal }: ShardFolders,
  snapshots: readonly SnapshotState[],
): number => {
  const walId = segmentsIn(disk, wal)[0]?.header.walId
  const own = snapshots.flatMap(({ position }) => (position?.walId === walId ? position : []))
  return own.reduce((most, position) => Math.max(most, position?.lsn ?? 0), 0)
}

const snapshotFile = /^([0-9a-f]{16})\.snap$/

type NoteRow = (key: Uint8Array, record: Uint8Array) => void

function* examiningSnapshots(
  disk: Disk,
  name: string,
  { snapshots: dir }: ShardFolders,
  manifest: ManifestReading,
  noteRow: NoteRow,
): Generator<Progress, readonly SnapshotState[]> {
  const states: SnapshotState[] = []
  const there = disk.entry(dir)?.kind === 'folder' ? disk.list(dir) : []
  const lsns = manifest.manifest
    ? manifest.manifest.snapshots.map(({ lsn }) => lsn)
    : there.flatMap((each) => Number.parseInt(snapshotFile.exec(each)?.[1] ?? 'none', 16) || [])
  for (const lsn of lsns) {
    const named = manifest.manifest?.snapshots.find((each) => each.lsn === lsn)
    states.push(yield* examiningSnapshot(disk, `a snapshot of ${name}`, dir, lsn, named, noteRow))
  }
  return states
}

/** Without the segments that the owner of the log has released since. */
const stillNamed = (
  disk: Disk,
  { wal }: ShardFolders,
  met: readonly SnapshotState[],
): readonly SnapshotState[] => {
  const named = manifestIn(disk, wal).manifest?.snapshots ?? []
  return met.filter(
    ({ snapshot, fault }) => !fault || named.some(({ lsn }) => lsn === snapshot.lsn),
  )
}

function* examiningSnapshot(
  disk: Disk,
  what: string,
  dir: string,
  lsn: number,
  named: NamedSnapshot | undefined,
  noteRow: NoteRow,
): Generator<Progress, SnapshotState> {
  const file = join(dir, snapshotName(lsn))
  const unread = named ?? { lsn, bytes: 0, sum: 0 }
  try {
    const reader = new SnapshotReader(disk, dir, snapshotName(lsn))
    try {
      if (named) reader.refuseUnless(named)
      const { position, bytes, sum } = reader.facts
      const walk = reader.walk(({ key, record }) => noteRow(key, record))
      yield* stepsAs(walk, ({ offset }) => ({ what, bytes: offset, totalBytes: bytes }))
      return { file, snapshot: { lsn: reader.facts.lsn, bytes, sum }, position }
    } finally {
      reader.close()
    }
  } catch (error) {
    return { file, snapshot: unread, fault: faultOf(disk, file, error) }
  }
}

const faultOf = (disk: Disk, file: string, error: unknown) => {
  const isMissing = disk.entry(file) === undefined
  if (isFileFailure(error)) return { isMissing, evidence: `the disk cannot read it: ${error.code}` }
  if (isKeelsonError(error, 'CORRUPT'))
    return { isMissing, evidence: String(error.details.evidence ?? error.message) }
  if (isKeelsonError(error, 'UNSUPPORTED_VERSION')) return { isMissing, evidence: error.message }
  throw error
}

type FactsOfFiles = 'blobs' | 'lostSegments' | 'leftovers'

/** Adds the references of frames that no row shows yet. A damaged log is not read for that. */
function* addFrames(
  disk: Disk,
  { shard, folders, log, projection, snapshots }: Omit<ShardFacts, FactsOfFiles>,
  refs: BlobRefs,
): Generator<Progress, void> {
  const { found, segments } = log
  if (!found || found.verdict === 'corrupt') return
  const isOurs = projection.state === 'sound' && !found.showsOther
  const shown = isOurs ? projection.position?.lsn : undefined
  const from = shown ?? Math.max(0, ...snapshots.map(({ position }) => position?.lsn ?? 0))
  const what = `the frames of shard ${shard}`
  const totalBytes = bytesOf(segments)
  const range = { after: from, to: found.lastLsn }
  const steps = walkingLog(disk, folders.wal, segments, range, (lsn, _, payload) =>
    refs.addFrame(lsn, payload),
  )
  yield* summed(steps, (bytes) => ({ what, bytes, totalBytes }))
}

/**
 * Files that nothing reads: unfinished ones of work that was cut off, which the next start removes
 * too, and folders with bytes that were set aside.
 */
export type Leftovers = {
  readonly temporary: readonly string[]
  readonly quarantines: readonly string[]
}

/** The folder for what a repair sets aside. */
export const quarantineOf = ({ path }: ShardFolders): string => join(path, quarantineName)

/** Lists them. `named`: the snapshots that count. @throws DiskError */
const leftoversIn = (
  disk: Disk,
  folders: ShardFolders,
  named: readonly NamedSnapshot[],
): Leftovers => {
  const { path, wal, lmdb, blobs, snapshots } = folders
  const namesIn = (dir: string): string[] =>
    disk.entry(dir)?.kind === 'folder' ? disk.list(dir) : []
  const of = (dir: string, isOver: (name: string) => boolean): string[] =>
    namesIn(dir)
      .filter(isOver)
      .map((name) => join(dir, name))
  const unnamed = new Set(unnamedIn(disk, snapshots, named))
  const quarantines = [join(wal, quarantineName), quarantineOf(folders)]
  return {
    temporary: [
      ...of(path, (name) => name === `${floorFileName}.tmp`),
      ...of(wal, isSpareName),
      ...of(lmdb, (name) => name === 'trial.tmp'),
      ...of(snapshots, (name) => unnamed.has(name) || name.endsWith('.snap.tmp')),
      ...listBlobs(disk, blobs).leftovers.map((name) => join(blobs, name)),
    ],
    quarantines: quarantines.filter((dir) => namesIn(dir).length > 0),
  }
}

// The blobs that rows and frames refer to, and which of them are not there. A reference of a row
// must be good. One of a frame that no row shows yet may be of a command that will be refused.

/** A blob that is missing or damaged, and what refers to it: the key of a row, or an LSN. */
export type BlobFault = {
  readonly file: string
  readonly offset: number
  readonly isMissing: boolean
  readonly evidence: string
  readonly of: string | number
}

/** The references that were met, each place once. */
export class BlobRefs {
  readonly #refs = new Map<string, { readonly ref: BlobRef; readonly of: string | number }>()

  /** Takes those of a row. @throws KeelsonError `CORRUPT` for an unreadable one */
  addRow(key: Uint8Array, record: Uint8Array): void {
    if (record[rowHeadBytes - 1] !== valueTags.blob) return
    const of = Buffer.from(key).toString('utf8')
    for (const ref of refsOf(decodeRow(key, record).value)) this.#add(ref, of)
  }

  /** Takes those of a frame, unless a row has them. */
  addFrame(lsn: number, payload: Uint8Array): void {
    for (const unit of decodeFrame(payload).units)
      for (const ref of refsOfUnit(unit)) this.#add(ref, lsn)
  }

  #add(ref: BlobRef, of: string | number): void {
    const place = `${ref.segment}:${ref.offset}`
    if (typeof of === 'string' || !this.#refs.has(place)) this.#refs.set(place, { ref, of })
  }

  /** The references by segment and offset. */
  get inOrder(): readonly { readonly ref: BlobRef; readonly of: string | number }[] {
    return [...this.#refs.values()].sort(
      (a, b) => a.ref.segment - b.ref.segment || a.ref.offset - b.ref.offset,
    )
  }
}

/**
 * Examines the blobs in `dir` and yields its progress. Without `isDeep` only the beginning and the
 * end of each is read. @throws DiskError
 */
export function* examiningBlobs(
  disk: Disk,
  dir: string,
  refs: BlobRefs,
  isDeep: boolean,
): Generator<Progress, readonly BlobFault[]> {
  const { inOrder } = refs
  const weight = ({ size }: BlobRef): number => (isDeep ? size : Math.min(size, blobChunkBytes))
  const totalBytes = inOrder.reduce((sum, { ref }) => sum + weight(ref), 0)
  const what = 'the blobs'
  const faults: BlobFault[] = []
  let bytes = 0
  for (const { ref, of } of inOrder) {
    try {
      if (isDeep) {
        let done = bytes
        for (const piece of blobPieces(disk, dir, ref)) {
          done += piece.length
          yield { what, bytes: done, totalBytes }
        }
      } else readBlobRange(disk, dir, ref, Math.max(0, ref.size - 1), ref.size)
    } catch (error) {
      if (!isKeelsonError(error, 'CORRUPT')) throw error
      const file = blobSegmentPath(dir, ref.segment)
      const evidence = String(error.details.evidence)
      faults.push({ file, offset: ref.offset, isMissing: !disk.entry(file), evidence, of })
    }
    bytes += weight(ref)
    yield { what, bytes, totalBytes }
  }
  return faults
}
