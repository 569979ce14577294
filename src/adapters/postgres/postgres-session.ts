/**
 * A session of a follower with its replica in PostgreSQL. Every change is one transaction, which
 * first locks the row of the log's progress. So two followers never mix, and a follower of an older
 * epoch of the log changes nothing. It is apart from `postgres.ts`, which makes connections,
 * because only this file moves the progress of a replica.
 */
import { plainJson } from '../../bytes/json.ts'
import { KeelsonError } from '../../errors.ts'
import {
  isSameSnapshot,
  type ProjectedPosition,
  type ReplicaLease,
  type ReplicaPiece,
  type ReplicaProgress,
  type ReplicaSession,
  type ReplicaSides,
  type ReplicatedFrame,
  type ReplicatedLog,
  type SnapshotRecord,
} from '../../storage/index.ts'
import { type CopyColumn, copyRows, uuidOf } from './copy-format.ts'
import { type Columns, type Database, inTransaction, numberIn } from './database.ts'
import { writeBlob, writeChanges, writeEntries } from './readable-rows.ts'
import { frameSum, noSum, recordSum, summed } from './replica-sums.ts'

/** Makes a session over a connection whose schema is up to date. */
export const postgresSession = (database: Database): ReplicaSession => ({
  look: async ({ walId }) => {
    const found = await lookAt(database, walId, '')
    if (!found) return undefined
    const { sum: _, ...progress } = found
    return progress
  },

  claim: (log, lease, seen, needsSnapshot = false) =>
    inTransaction(database, async () => {
      const found = await lookAt(database, log.walId, 'for update')
      if (found?.lsn !== seen?.lsn || found?.lease.holder !== seen?.lease.holder)
        throw new KeelsonError('CONFLICT', 'the progress of this log has changed')
      const due = needsSnapshot ? plainJson('due') : null
      if (!found) return await begin(database, log, lease, due)
      refuseOlder(found.lease, lease)
      await database.query(
        `update keelson.progress set epoch = $2, holder = $3, shard = $4, shards = $5, instance_id = $6, load = coalesce(load, case when lsn = 0 then $7::jsonb end), at = now()
         where wal_id = $1`,
        [log.walId, lease.epoch, lease.holder, log.shard, log.shards, log.instanceId, due],
      )
      await removeBehind(database, log, found)
    }),

  commit: (chunk) =>
    inTransaction(database, async () => {
      const { log, lease, lsn, mark, after, frames } = chunk
      const found = await held(database, log, lease)
      if (found.lsn === lsn) return
      if (found.lsn !== after || found.load) throw misplaced(found, after)
      const rows = summed(found.sum, frames, frameSum)
      const columns = frameColumns(uuidOf(log.walId), log.shard)
      await copyRows(database, 'frames', columns, rows)
      await writeEntries(database, log, chunk.entries)
      await writeSides(database, chunk)
      await database.query(
        `update keelson.progress set lsn = $2, mark = $3::jsonb, "time" = to_timestamp($4::bigint / 1000.0), sum = $5, at = now()
         where wal_id = $1`,
        [log.walId, lsn, plainJson(mark), mark.time, rows.at(-1)?.sum ?? found.sum],
      )
    }),

  load: (piece) => inTransaction(database, () => addPiece(database, piece)),

  close: () => database.close(),
})

/** The progress, and the sum of what is there: see `replica-sums.ts`. */
type Found = ReplicaProgress & { readonly sum: number }

const lookAt = async (
  database: Database,
  walId: string,
  lock: '' | 'for update',
): Promise<Found | undefined> => {
  const [row] = await database.query(
    `select lsn, sum, mark, epoch, holder, load from keelson.progress where wal_id = $1 ${lock}`,
    [walId],
  )
  return row && progressIn(row)
}

const progressIn = (row: Columns): Found => ({
  lsn: numberIn(row, 'lsn'),
  sum: numberIn(row, 'sum'),
  lease: { epoch: numberIn(row, 'epoch'), holder: String(row.holder) },
  ...(row.mark ? { mark: row.mark as NonNullable<ReplicaProgress['mark']> } : {}),
  ...(row.load ? { load: row.load as NonNullable<ReplicaProgress['load']> } : {}),
})

const begin = async (
  database: Database,
  log: ReplicatedLog,
  { epoch, holder }: ReplicaLease,
  load: string | null,
): Promise<void> => {
  const { walId, shard, shards, instanceId } = log
  await database.query(
    `insert into keelson.progress (wal_id, shard, shards, instance_id, epoch, holder, load, lsn, sum, at)
     values ($1, $2, $3, $4, $5, $6, $7::jsonb, 0, $8, now())`,
    [walId, shard, shards, instanceId, epoch, holder, load, noSum],
  )
  await removeBehind(database, log, { lsn: 0 })
}

/**
 * Removes rows after the progress, so that COPY meets none. Every row comes with its progress, so
 * these are not the log's: the row of the progress was removed by hand, or rows were added.
 */
const removeBehind = async (
  database: Database,
  { walId }: ReplicatedLog,
  { lsn, load }: Pick<Found, 'lsn' | 'load'>,
): Promise<void> => {
  for (const table of ['frames', 'journal'])
    await database.query(`delete from keelson.${table} where wal_id = $1 and lsn > $2`, [
      walId,
      lsn,
    ])
  if (load && load !== 'due')
    await database.query('delete from keelson.snapshot_rows where wal_id = $1 and "row" > $2', [
      walId,
      load.rows,
    ])
}

/** @throws KeelsonError `FENCED` */
const refuseOlder = (present: ReplicaLease, lease: ReplicaLease): void => {
  if (lease.epoch > present.epoch) return
  if (lease.epoch === present.epoch && lease.holder === present.holder) return
  throw fenced(present, lease)
}

const fenced = (present: ReplicaLease, lease: ReplicaLease): KeelsonError =>
  new KeelsonError(
    'FENCED',
    lease.epoch < present.epoch
      ? `epoch ${present.epoch} of this log is replicated; this one has epoch ${lease.epoch}`
      : `another copy of this log, with the same epoch ${lease.epoch}, is replicated`,
    { details: { epoch: lease.epoch, present: present.epoch } },
  )

/** The progress, locked. @throws KeelsonError `FENCED` if the lease is not `lease` */
const held = async (
  database: Database,
  { walId }: ReplicatedLog,
  lease: ReplicaLease,
): Promise<Found> => {
  const found = await lookAt(database, walId, 'for update')
  if (!found) throw new KeelsonError('CONFLICT', 'the progress of this log was removed')
  const { epoch, holder } = found.lease
  if (epoch !== lease.epoch || holder !== lease.holder) throw fenced(found.lease, lease)
  return found
}

const misplaced = ({ lsn, load }: ReplicaProgress, after: number): KeelsonError =>
  new KeelsonError('CONFLICT', `the replica is at lsn ${lsn}, and not at ${after}`, {
    details: { lsn, after, loading: load !== undefined },
  })

/** A frame with the sum up to it. */
type SummedFrame = ReplicatedFrame & { readonly sum: number }

const frameColumns = (walId: Uint8Array, shard: number): readonly CopyColumn<SummedFrame>[] => [
  { name: 'wal_id', put: (field) => field.bytes(walId) },
  { name: 'lsn', put: (field, { lsn }) => field.int8(lsn) },
  { name: 'shard', put: (field) => field.int4(shard) },
  { name: 'time', put: (field, { time }) => field.time(time) },
  { name: 'sum', put: (field, { sum }) => field.int8(sum) },
  { name: 'payload', put: (field, { payload }) => field.bytes(payload) },
]

const writeSides = async (
  database: Database,
  { log, blobs, changes }: ReplicaSides & { readonly log: ReplicatedLog },
): Promise<void> => {
  for (const blob of blobs) await writeBlob(database, log, blob)
  await writeChanges(database, log, changes)
}

const addPiece = async (database: Database, piece: ReplicaPiece): Promise<void> => {
  const { log, lease, snapshot, rows, records, next } = piece
  const { load, lsn, sum } = await held(database, log, lease)
  const begun = load === 'due' ? undefined : load
  const isThis = begun !== undefined && isSameSnapshot(begun.snapshot, snapshot)
  const there = isThis ? begun.rows : 0
  // The answer to this piece was lost.
  if (there === rows + records.length && isThis && next.kind === 'more') return
  if (!begun && lsn === snapshot.lsn && next.kind === 'complete') return
  if (rows !== 0 && there !== rows)
    throw new KeelsonError('CONFLICT', `the replica has ${there} rows of the snapshot`)
  if (rows === 0)
    await database.query('delete from keelson.snapshot_rows where wal_id = $1', [log.walId])
  const before = rows === 0 ? noSum : sum
  const added = summed(before, records, recordSum)
  const end = added.at(-1)?.sum ?? before
  const numbered = added.map((record, at) => ({ ...record, row: rows + at + 1 }))
  await copyRows(database, 'snapshot_rows', recordColumns(uuidOf(log.walId)), numbered)
  await writeSides(database, piece)
  if (next.kind === 'complete') return await complete(database, piece, next.position, end)
  const reached = { snapshot, offset: next.offset, rows: rows + records.length }
  await database.query(
    'update keelson.progress set load = $2::jsonb, base = null, sum = $3, at = now() where wal_id = $1',
    [log.walId, plainJson(reached), end],
  )
}

/** Ends a load: the snapshot shows `position`, and `sum` is that of all its rows. */
const complete = async (
  database: Database,
  { log, snapshot }: ReplicaPiece,
  position: ProjectedPosition,
  sum: number,
): Promise<void> => {
  // Entities that have ended were in no piece.
  for (const table of ['kv', 'entities'])
    await database.query(`delete from keelson.${table} where wal_id = $1 and lsn < $2`, [
      log.walId,
      snapshot.lsn,
    ])
  await database.query(
    `update keelson.progress set lsn = $2, mark = $3::jsonb, base = $4::jsonb, load = null, "time" = to_timestamp($5::bigint / 1000.0), sum = $6, at = now()
     where wal_id = $1`,
    [
      log.walId,
      snapshot.lsn,
      position.frame ? plainJson(position.frame) : null,
      plainJson({ position, sum }),
      position.frame?.time ?? null,
      sum,
    ],
  )
}

/** A row of the snapshot with its number, from 1 on, and the sum up to it. */
type NumberedRecord = SnapshotRecord & { readonly row: number; readonly sum: number }

const recordColumns = (walId: Uint8Array): readonly CopyColumn<NumberedRecord>[] => [
  { name: 'wal_id', put: (field) => field.bytes(walId) },
  { name: 'row', put: (field, { row }) => field.int8(row) },
  { name: 'sum', put: (field, { sum }) => field.int8(sum) },
  { name: 'key', put: (field, { key }) => field.bytes(key) },
  { name: 'record', put: (field, { record }) => field.bytes(record) },
]
