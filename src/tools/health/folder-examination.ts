/** Examines a data folder that nothing writes: `keelson.json`, then each shard. Changes nothing. */
import { join } from 'node:path'
import { isKeelsonError } from '../../errors.ts'
import {
  applyUnits,
  bytesOf,
  ChangedRows,
  type DataFolderReading,
  type Disk,
  decodeFrame,
  examineProjection,
  factsFileName,
  knownShards,
  type LockHolder,
  lmdbProjections,
  lmdbSnapshotSource,
  lmdbSnapshotTarget,
  loadingSnapshot,
  loadLmdb,
  lockFileName,
  type OpenDatabase,
  type Progress,
  type ProjectedPosition,
  ProjectionRows,
  type ProjectionStore,
  readBlobRange,
  readDataFolder,
  readHolder,
  readWhole,
  refusalOf,
  rowClassOf,
  SnapshotReader,
  type SnapshotRecord,
  shardsPresent,
  snapshotName,
  walkingLog,
} from '../../storage/index.ts'
import { examiningCache } from './cache-examination.ts'
import type { FolderFacts } from './folder-findings.ts'
import {
  examiningShard,
  type RowComparison,
  type ShardFacts,
  type SnapshotState,
} from './shard-facts.ts'
import { basesOf, isProjectionUsable, isRebuildable } from './shard-health.ts'

/** The folder to examine, and what is known of it from outside. */
export type FolderExamination = Pick<
  FolderFacts,
  'dir' | 'heldBy' | 'access' | 'exposure' | 'disk' | 'lastHolder'
> & {
  /**
   * A folder to make and remove: there the rows are replayed and compared, and blobs are read
   * whole. Without it neither is done.
   */
  readonly temporary?: string
}

/** What LOCK says of its present or last holder. @throws DiskError */
export const lastHolderOf = (disk: Disk, dir: string): LockHolder => {
  const path = join(dir, lockFileName)
  if (disk.entry(path)?.kind !== 'file') return {}
  return readHolder(new TextDecoder().decode(readWhole(disk, path)))
}

/**
 * Examines it, and yields its progress.
 * @throws DiskError that is not of one file
 */
export async function* examiningFolder(
  disk: Disk,
  { temporary, ...outside }: FolderExamination,
): AsyncGenerator<Progress, FolderFacts> {
  const { dir, heldBy } = outside
  const described = readingOf(disk, dir)
  const { reading } = described
  const present = shardsPresent(disk, dir)
  const isLive = heldBy !== undefined
  const isDeep = temporary !== undefined
  if (reading.state === 'sound' && reading.facts.cache) {
    const cached = yield* examiningCache(disk, knownShards(disk, dir, reading, present), isLive)
    return { ...outside, ...described, present, shards: [], cached, temporary: [] }
  }
  const shards: ShardFacts[] = []
  for (const known of knownShards(disk, dir, reading, present)) {
    const facts = yield* examiningShard(disk, { ...known, isLive, isDeep })
    if (!isDeep || isLive) shards.push(facts)
    else shards.push(yield* compared(disk, facts, temporary))
  }
  const spare = join(dir, `${factsFileName}.tmp`)
  const leftovers = heldBy === undefined && disk.entry(spare) ? [spare] : []
  return { ...outside, ...described, present, shards, temporary: leftovers }
}

const readingOf = (
  disk: Disk,
  dir: string,
): { readonly reading: DataFolderReading; readonly newer?: string } => {
  try {
    return { reading: readDataFolder(disk, dir) }
  } catch (error) {
    if (!isKeelsonError(error, 'UNSUPPORTED_VERSION')) throw error
    return { reading: { state: 'absent' }, newer: error.message }
  }
}

async function* compared(
  disk: Disk,
  facts: ShardFacts,
  temporary: string,
): AsyncGenerator<Progress, ShardFacts> {
  try {
    const comparison = yield* comparingRows(disk, facts, temporary)
    return { ...facts, ...(comparison && { comparison }) }
  } finally {
    disk.remove(temporary)
  }
}

// Compares a projection with what its snapshot and the log give: they are replayed into a projection
// of their own, in pieces, and both are walked in order. Rows that are not of the log alone are left
// out: those that actors and projections by users derive, and those of blobs that the log refers to.

/** Rows that a replay of the log does not give. */
const underived = new Set(['loggedBlob', 'unlistedBlobs', 'derived', 'projected', 'projectionMark'])

/** The changes of rows that are held before they are committed. */
const pieceRows = 10_000

/** The keys that a comparison names, at most. */
const keysNamed = 10

/**
 * Compares, with a projection in the new folder `temporary`, and yields its progress. `undefined` if
 * the projection or what it is built from is not whole. Without room the comparison has failed.
 */
export async function* comparingRows(
  disk: Disk,
  facts: ShardFacts,
  temporary: string,
): AsyncGenerator<Progress, RowComparison | undefined> {
  const { projection, folders, shard } = facts
  if (projection.state !== 'sound' || !projection.position) return undefined
  if (!isProjectionUsable(facts) || !isRebuildable(facts)) return undefined
  const { position } = projection
  const base = basesOf(facts).findLast(({ snapshot }) => snapshot.lsn <= position.lsn)
  const openDatabase = await loadLmdb()
  try {
    if (base) yield* loading(disk, openDatabase, base, facts, temporary)
    yield* replaying(disk, openDatabase, base?.snapshot.lsn ?? 0, facts, position, temporary)
  } catch (error) {
    const failure = refusalOf(error)
    if (!isKeelsonError(failure)) throw error
    return { failure: `${failure.code}: ${failure.message}` }
  }
  const what = `the rows of shard ${shard}`
  return yield* differing(disk, { what, totalBytes: projection.bytes }, temporary, folders.lmdb)
}

async function* loading(
  disk: Disk,
  openDatabase: OpenDatabase,
  { snapshot }: SnapshotState,
  { folders, shard }: ShardFacts,
  temporary: string,
): AsyncGenerator<Progress, void> {
  const reader = new SnapshotReader(disk, folders.snapshots, snapshotName(snapshot.lsn))
  try {
    const within = (transaction: () => void): void => transaction()
    const target = lmdbSnapshotTarget({ openDatabase, disk, within }, temporary, () => false)
    try {
      for (const { offset } of loadingSnapshot(reader, target))
        yield { what: `replaying shard ${shard}`, bytes: offset, totalBytes: snapshot.bytes }
    } finally {
      await target.close()
    }
  } finally {
    reader.close()
  }
}

async function* replaying(
  disk: Disk,
  openDatabase: OpenDatabase,
  from: number,
  { folders, log, shard }: ShardFacts,
  position: ProjectedPosition,
  temporary: string,
): AsyncGenerator<Progress, void> {
  const examine = async (dir: string) => examineProjection(disk, dir)
  const store = lmdbProjections(openDatabase, disk, examine).open(temporary)
  try {
    const replay = new Replay(disk, folders.blobs, store)
    const range = { after: from, to: position.lsn }
    const steps = walkingLog(disk, folders.wal, log.segments, range, (...frame) =>
      replay.take(...frame),
    )
    const totalBytes = bytesOf(log.segments)
    let bytes = 0
    for (const step of steps) {
      bytes += step
      if (replay.isFull) await replay.commit(position)
      yield { what: `replaying shard ${shard}`, bytes, totalBytes }
    }
    await replay.commit(position)
  } finally {
    await store.close()
  }
}

/** Applies frames to the rows of a store. */
class Replay {
  readonly #store: ProjectionStore
  readonly #below: () => ProjectionRows
  #rows: ChangedRows

  constructor(disk: Disk, blobs: string, store: ProjectionStore) {
    this.#store = store
    this.#below = () =>
      new ProjectionRows(store, (ref, from, to) => readBlobRange(disk, blobs, ref, from, to))
    this.#rows = new ChangedRows(this.#below())
  }

  get isFull(): boolean {
    return this.#rows.changes.size >= pieceRows
  }

  take(lsn: number, time: number, payload: Uint8Array): void {
    // The rows keep their values, and the payload is a view of memory that is used again.
    applyUnits(decodeFrame(payload.slice()).units, this.#rows, { lsn, time }, this.#rows)
  }

  async commit(position: ProjectedPosition): Promise<void> {
    await this.#store.commit(this.#rows.changes, position)
    this.#rows = new ChangedRows(this.#below())
  }
}

function* differing(
  disk: Disk,
  work: Pick<Progress, 'what' | 'totalBytes'>,
  expected: string,
  found: string,
): Generator<Progress, RowComparison> {
  const [one, other] = [lmdbSnapshotSource(disk, expected), lmdbSnapshotSource(disk, found)]
  try {
    const keys: string[] = []
    let rows = 0
    let different = 0
    let bytes = 0
    const [left, right] = [comparable(one.records()), comparable(other.records())]
    let [a, b] = [left.next(), right.next()]
    while (!a.done || !b.done) {
      const order = a.done ? 1 : b.done ? -1 : Buffer.compare(a.value.key, b.value.key)
      const isSame = order === 0 && isEqual(a.value, b.value)
      const { key, record } = (order <= 0 ? a.value : b.value) as SnapshotRecord
      bytes += key.length + record.length
      if (!isSame) different++
      if (!isSame && keys.length < keysNamed) keys.push(Buffer.from(key).toString('utf8'))
      if (order <= 0) a = left.next()
      if (order >= 0) b = right.next()
      if (++rows % 1_000 === 0) yield { ...work, bytes }
    }
    return { rows, different, keys }
  } finally {
    one.close()
    other.close()
  }
}

const isEqual = (a: SnapshotRecord | undefined, b: SnapshotRecord | undefined): boolean =>
  a !== undefined && b !== undefined && Buffer.compare(a.record, b.record) === 0

function* comparable(records: Iterable<SnapshotRecord>): Generator<SnapshotRecord, undefined> {
  for (const record of records) {
    const kind = rowClassOf(Buffer.from(record.key).toString('utf8'))
    if (kind === undefined || !underived.has(kind)) yield record
  }
  return undefined
}
