/**
 * Splits shards: makes a data folder with more shards of one that is closed, whose shards each have a
 * snapshot of all their rows. Each new shard begins after its parent's snapshot, with its rows and an
 * empty log. All of it is read back. The caller writes `keelson.json` then, which comes last: a folder
 * without it is refused. The source is only read.
 */
import { plainJson } from '../../bytes/json.ts'
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import {
  copyAppStates,
  copyingBlob,
  type Disk,
  type NamedSnapshot,
  nextNumber,
  openSnapshot,
  type Progress,
  type ProjectedPosition,
  readManifest,
  type ShardFolders,
  type SnapshotRecord,
  shardFolder,
  statesIn,
  summed,
} from '../../storage/index.ts'
import { type MovedRow, rowMoved } from './row-moves.ts'
import { RowSums } from './row-sums.ts'
import { ShardBuilder } from './shard-building.ts'

/** A shard that is split. */
export type SplitShard = {
  readonly folders: ShardFolders
  /** Of all its rows; `undefined` for a shard in which nothing was ever written. */
  readonly snapshot: NamedSnapshot | undefined
}

/** The shards to split, and the folder to make of them. */
export type SplitRequest = {
  readonly from: readonly SplitShard[]
  readonly to: string
  /** A multiple of the shards of `from`. */
  readonly shards: number
}

/** The new shards. `sums`: of all rows that moved, equal before and after. */
export type SplitResult = {
  readonly shards: readonly {
    readonly walId: string
    readonly lsn: number
    readonly rows: number
  }[]
  readonly sums: RowSums['all']
}

/**
 * Splits the shards, and yields its progress. The folder `to` has no shards yet. They are whole and
 * durable on return, and `keelson.json` is to be written.
 * @throws KeelsonError `CORRUPT` if the source is damaged, or if it does not read back;
 * DiskError
 */
export function* splittingShards(
  disk: Disk,
  clock: Clock,
  request: SplitRequest,
): Generator<Progress, SplitResult> {
  const { from, to } = request
  const before = new RowSums()
  const made: SplitResult['shards'][number][] = []
  for (const [index, shard] of from.entries())
    for (const [at, child] of (yield* splittingShard(
      disk,
      clock,
      request,
      index,
      shard,
      before,
    )).entries())
      made[index + at * from.length] = child
  const after = new RowSums()
  for (const index of made.keys()) yield* readingBack(disk, request, index, after)
  const sums = before.all
  if (plainJson(after.all) !== plainJson(sums))
    throw new KeelsonError('CORRUPT', `what was written to ${to} does not read back`, {
      details: { dir: to, written: sums, found: after.all },
    })
  return { shards: made, sums }
}

/** The parts of one shard, in the order of their numbers. */
function* splittingShard(
  disk: Disk,
  clock: Clock,
  { from, to, shards }: SplitRequest,
  index: number,
  { folders, snapshot }: SplitShard,
  sums: RowSums,
): Generator<Progress, SplitResult['shards']> {
  const reader = snapshot && openSnapshot(disk, folders.snapshots, snapshot)
  const parts: { builder: ShardBuilder; walId: string; folders: ShardFolders; rows: number }[] = []
  try {
    const position = reader?.facts.position
    const epoch = position?.epoch ?? 1
    const nextSegment = nextNumber(disk, folders.blobs)
    for (let shard = index; shard < shards; shard += from.length) {
      const walId = Buffer.from(clock.randomBytes(16)).toString('hex')
      const own = shardFolder(to, shard)
      const base: ProjectedPosition | undefined = position && { ...position, walId }
      const plan = { disk, clock, folders: own, walId, epoch, base, nextSegment }
      parts.push({ builder: new ShardBuilder(plan), walId, folders: own, rows: 0 })
    }
    const give = (record: SnapshotRecord, { about, to: shard }: MovedRow): void => {
      if (shard === 'none') return
      if (shard !== 'all') sums.add(about, record)
      const taking = shard === 'all' ? parts : [parts[partOf(shard, index, from.length)]]
      for (const part of taking) {
        if (!part) throw strayRow(record, shard)
        part.builder.row(record)
        part.rows++
      }
    }
    if (reader)
      for (const { next, records } of reader.blocks()) {
        for (const record of records) give(record, rowMoved(textOf(record), index, shards))
        yield { what: `splitting shard ${index}`, bytes: next, totalBytes: reader.facts.bytes }
      }
    const done: { walId: string; lsn: number; rows: number }[] = []
    for (const { builder, walId, folders: own, rows } of parts) {
      yield* copyingBlobs(disk, folders, own, builder, `copying the blobs of shard ${index}`)
      if (own.path === shardFolder(to, index).path)
        copyAppStates(
          disk,
          folders.snapshots,
          own.snapshots,
          statesIn(disk, folders.snapshots),
          true,
        )
      const { lsn } = builder.finish()
      for (const dir of [own.wal, own.path, to]) disk.syncFolder(dir)
      done.push({ walId, lsn, rows })
    }
    return done
  } finally {
    // A finished one has nothing to abandon.
    for (const { builder } of parts) builder.abandon()
    reader?.close()
  }
}

/** The number of a part of shard `index`; below 0 or broken for a shard that is none of its parts. */
const partOf = (shard: number, index: number, parents: number): number => (shard - index) / parents

function* copyingBlobs(
  disk: Disk,
  from: ShardFolders,
  to: ShardFolders,
  { refs }: ShardBuilder,
  what: string,
): Generator<Progress, void> {
  const totalBytes = refs.reduce((sum, { size }) => sum + size, 0)
  let done = 0
  for (const ref of refs) {
    const steps = copyingBlob(disk, from.blobs, to.blobs, ref)
    yield* summed(steps, (bytes) => ({ what, bytes: done + bytes, totalBytes }))
    done += ref.size
  }
}

/** Reads the snapshot of a new shard, which its MANIFEST names. */
function* readingBack(
  disk: Disk,
  { from, to, shards }: SplitRequest,
  index: number,
  sums: RowSums,
): Generator<Progress, void> {
  const { wal, snapshots } = shardFolder(to, index)
  const [snapshot] = readManifest(disk, wal).manifest?.snapshots ?? []
  if (!snapshot) return
  const reader = openSnapshot(disk, snapshots, snapshot)
  try {
    for (const { next, records } of reader.blocks()) {
      for (const record of records) {
        const { about, to: shard } = rowMoved(textOf(record), index % from.length, shards)
        if (shard === 'all') continue
        if (shard !== index) throw strayRow(record, shard)
        sums.add(about, record)
      }
      yield { what: `verifying shard ${index}`, bytes: next, totalBytes: reader.facts.bytes }
    }
  } finally {
    reader.close()
  }
}

const textOf = ({ key }: SnapshotRecord): string =>
  Buffer.from(key.buffer, key.byteOffset, key.length).toString()

const strayRow = (record: SnapshotRecord, shard: number | 'all' | 'none'): KeelsonError =>
  new KeelsonError('CORRUPT', `a row of shard ${shard} is in another shard`, {
    details: { key: textOf(record), shard },
  })
