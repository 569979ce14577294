/**
 * Reads a replica in PostgreSQL, to restore from it: in order, in bounded memory. It is apart from
 * `postgres-session.ts`, because nothing here writes.
 */
import { KeelsonError } from '../../errors.ts'
import type {
  BlobSpot,
  ProjectedPosition,
  ReplicaReading,
  SnapshotRecord,
  StoredFrame,
  StoredLog,
} from '../../storage/index.ts'
import { bytesIn, type Columns, type Database, numberIn } from './database.ts'
import { frameSum, noSum, recordSum } from './replica-sums.ts'

/** The rows, and about the bytes, that one statement gets. */
const rowsAtOnce = 1_000
const bytesAtOnce = 4 * 1024 * 1024

/** Reads over a connection to a schema that is there. */
export const postgresReading = (database: Database): ReplicaReading => ({
  async logs() {
    const rows = await database.query(
      `select wal_id::text as wal_id, shard, shards, instance_id, epoch, lsn, sum, base, (extract(epoch from "time") * 1000)::bigint as ms,
         (select coalesce(max(segment) + 1, 0) from keelson.blobs where blobs.wal_id = progress.wal_id) as next_segment
       from keelson.progress where load is null order by instance_id, shard, at`,
    )
    return rows.map(logIn)
  },
  rows: (log) => storedRows(database, log),
  frames: (log) => storedFrames(database, log),
  blob: ({ walId }, ref) => storedBlob(database, walId, ref),
  close: () => database.close(),
})

/** The column `base`. */
type StoredBase = { readonly position: ProjectedPosition; readonly sum: number }

const logIn = (row: Columns): StoredLog => {
  const base = row.base as StoredBase | null
  return {
    walId: String(row.wal_id).replaceAll('-', ''),
    shard: numberIn(row, 'shard'),
    shards: numberIn(row, 'shards'),
    instanceId: String(row.instance_id),
    epoch: numberIn(row, 'epoch'),
    lsn: numberIn(row, 'lsn'),
    time: numberIn(row, 'ms'),
    nextSegment: numberIn(row, 'next_segment'),
    sums: { base: base?.sum ?? noSum, end: numberIn(row, 'sum') },
    ...(base ? { base: base.position } : {}),
  }
}

/** Rows of about `bytesAtOnce`, judged by the last ones. */
async function* paged(
  page: (limit: number) => Promise<readonly Columns[]>,
  sizeOf: (row: Columns) => number,
): AsyncIterable<Columns> {
  for (let limit = 64; ; ) {
    const rows = await page(limit)
    if (rows.length === 0) return
    yield* rows
    const size = rows.reduce((sum, row) => sum + sizeOf(row), 0) / rows.length
    limit = Math.max(1, Math.min(rowsAtOnce, 2 * limit, Math.floor(bytesAtOnce / (size + 1))))
  }
}

async function* storedRows(
  database: Database,
  { walId, sums }: StoredLog,
): AsyncIterable<SnapshotRecord> {
  let last = -1
  let sum = noSum
  const page = (limit: number) =>
    database.query(
      `select "row", sum, key, record from keelson.snapshot_rows where wal_id = $1 and "row" > $2 order by "row" limit ${limit}`,
      [walId, last],
    )
  for await (const row of paged(page, (each) => bytesIn(each, 'record').length)) {
    last = numberIn(row, 'row')
    const record = { key: bytesIn(row, 'key'), record: bytesIn(row, 'record') }
    sum = recordSum(sum, record)
    if (sum !== numberIn(row, 'sum')) throw altered(walId, { row: last })
    yield record
  }
  if (sum !== sums.base) throw altered(walId, { row: last + 1 })
}

async function* storedFrames(
  database: Database,
  { walId, base, lsn, sums }: StoredLog,
): AsyncIterable<StoredFrame> {
  let last = base?.lsn ?? 0
  let sum = sums.base
  const page = (limit: number) =>
    database.query(
      `select lsn, sum, payload from keelson.frames
       where wal_id = $1 and lsn > $2 and lsn <= $3 order by lsn limit ${limit}`,
      [walId, last, lsn],
    )
  for await (const row of paged(page, (each) => bytesIn(each, 'payload').length)) {
    last = numberIn(row, 'lsn')
    const frame = { lsn: last, payload: bytesIn(row, 'payload') }
    sum = frameSum(sum, frame)
    if (sum !== numberIn(row, 'sum')) throw altered(walId, { lsn: last })
    yield frame
  }
  if (sum !== sums.end) throw altered(walId, { lsn })
}

const altered = (
  walId: string,
  place: { readonly lsn: number } | { readonly row: number },
): KeelsonError => {
  const [[name, at] = []] = Object.entries(place)
  return new KeelsonError(
    'CORRUPT',
    `the replica was changed: at ${name} ${at}, or a row before it is missing`,
    { details: { walId, ...place } },
  )
}

async function* storedBlob(
  database: Database,
  walId: string,
  ref: BlobSpot,
): AsyncIterable<Uint8Array> {
  let left = ref.size
  for (let piece = 0; piece === 0 || left > 0; piece++) {
    const [row] = await database.query(
      'select bytes from keelson.blobs where wal_id = $1 and segment = $2 and place = $3 and piece = $4',
      [walId, ref.segment, ref.offset, piece],
    )
    const bytes = row && bytesIn(row, 'bytes')
    if (piece === 0 && bytes?.length === 0) return
    if (!bytes || bytes.length > left)
      throw new KeelsonError('CORRUPT', 'the replica has not all of a large value', {
        details: { walId, segment: ref.segment, offset: ref.offset, piece },
      })
    left -= bytes.length
    yield bytes
  }
}
