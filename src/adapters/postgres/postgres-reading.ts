/** Reads a replica in PostgreSQL, to restore from it: in order, in bounded memory. */
import { KeelsonError } from '../../errors.ts'
import type {
  ReplicaReading,
  ReplicatedFrame,
  SnapshotRecord,
  StoredLog,
} from '../../storage/index.ts'
import { bytesIn, type Columns, type Database, numberIn } from './database.ts'

/** The rows, and about the bytes, that one statement gets. */
const rowsAtOnce = 1_000
const bytesAtOnce = 4 * 1024 * 1024

/** Reads over a connection to a schema that is there. */
export const postgresReading = (database: Database): ReplicaReading => ({
  async logs() {
    const rows = await database.query(
      `select wal_id::text as wal_id, shard, shards, instance_id, epoch, lsn, base, (extract(epoch from "time") * 1000)::bigint as ms
       from keelson.progress where load is null order by instance_id, shard, at`,
    )
    return rows.map(logIn)
  },
  rows: (log) => storedRows(database, log),
  frames: (log) => storedFrames(database, log),
  blob: ({ walId }, ref) => storedBlob(database, walId, ref),
  close: () => database.close(),
})

const logIn = (row: Columns): StoredLog => ({
  walId: String(row.wal_id).replaceAll('-', ''),
  shard: numberIn(row, 'shard'),
  shards: numberIn(row, 'shards'),
  instanceId: String(row.instance_id),
  epoch: numberIn(row, 'epoch'),
  lsn: numberIn(row, 'lsn'),
  time: numberIn(row, 'ms'),
  ...(row.base ? { base: row.base as NonNullable<StoredLog['base']> } : {}),
})

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
  { walId }: StoredLog,
): AsyncIterable<SnapshotRecord> {
  let last = -1
  const page = (limit: number) =>
    database.query(
      `select "row", key, record from keelson.snapshot_rows where wal_id = $1 and "row" > $2 order by "row" limit ${limit}`,
      [walId, last],
    )
  for await (const row of paged(page, (each) => bytesIn(each, 'record').length)) {
    last = numberIn(row, 'row')
    yield { key: bytesIn(row, 'key'), record: bytesIn(row, 'record') }
  }
}

async function* storedFrames(
  database: Database,
  { walId, base, lsn }: StoredLog,
): AsyncIterable<ReplicatedFrame> {
  let last = base?.lsn ?? 0
  const page = (limit: number) =>
    database.query(
      `select lsn, (extract(epoch from "time") * 1000)::bigint as ms, payload from keelson.frames
       where wal_id = $1 and lsn > $2 and lsn <= $3 order by lsn limit ${limit}`,
      [walId, last, lsn],
    )
  for await (const row of paged(page, (each) => bytesIn(each, 'payload').length)) {
    last = numberIn(row, 'lsn')
    yield { lsn: last, time: numberIn(row, 'ms'), payload: bytesIn(row, 'payload') }
  }
}

async function* storedBlob(
  database: Database,
  walId: string,
  ref: { readonly segment: number; readonly offset: number; readonly size: number },
): AsyncIterable<Uint8Array> {
  let left = ref.size
  for (let piece = 0; piece === 0 || left > 0; piece++) {
    const [row] = await database.query(
      'select bytes from keelson.blobs where wal_id = $1 and segment = $2 and place = $3 and piece = $4',
      [walId, ref.segment, ref.offset, piece],
    )
    const bytes = row && bytesIn(row, 'bytes')
    if (!bytes || bytes.length > left)
      throw new KeelsonError('CORRUPT', 'the replica has not all of a large value', {
        details: { walId, segment: ref.segment, offset: ref.offset, piece },
      })
    left -= bytes.length
    yield bytes
  }
}
