/**
 * The schema `keelson` in PostgreSQL, and its versions. docs/replication.md describes it for people
 * who know only SQL. A version that was released is never changed: a change is a further step.
 */
import { KeelsonError } from '../../errors.ts'
import { type Database, inTransaction, numberIn } from './database.ts'

/** The statements that lead from each version to the next. */
const steps: readonly (readonly string[])[] = [
  [
    `create table keelson.progress (
       wal_id uuid primary key,
       shard integer not null,
       instance_id text not null,
       shards integer not null,
       epoch bigint not null,
       holder text not null,
       lsn bigint not null,
       "time" timestamptz,
       sum bigint not null,
       mark jsonb,
       base jsonb,
       load jsonb,
       at timestamptz not null
     )`,
    `comment on table keelson.progress is 'How far each log is replicated. One row a log: a shard of a data folder has one.'`,
    `comment on column keelson.progress.lsn is 'Everything up to this position is here.'`,
    `comment on column keelson.progress."time" is 'When the write at that position was made.'`,
    `comment on column keelson.progress.at is 'When this row was last changed.'`,
    `create table keelson.frames (
       wal_id uuid not null,
       lsn bigint not null,
       shard integer not null,
       "time" timestamptz not null,
       sum bigint not null,
       payload bytea not null,
       primary key (wal_id, lsn)
     )`,
    `alter table keelson.frames alter column payload set storage external`,
    `comment on table keelson.frames is 'The log itself, frame by frame. keelson restore reads it.'`,
    `comment on column keelson.frames.sum is 'The CRC-32 of this frame and of all that is before it.'`,
    `create table keelson.snapshot_rows (
       wal_id uuid not null,
       "row" bigint not null,
       sum bigint not null,
       key bytea not null,
       record bytea not null,
       primary key (wal_id, "row")
     )`,
    `comment on table keelson.snapshot_rows is 'The state below the first frame, where replication began late. keelson restore reads it.'`,
    `create table keelson.blobs (
       wal_id uuid not null,
       segment bigint not null,
       place bigint not null,
       piece integer not null,
       bytes bytea not null,
       primary key (wal_id, segment, place, piece)
     )`,
    `alter table keelson.blobs alter column bytes set storage external`,
    `comment on table keelson.blobs is 'Large values that frames and rows refer to, in pieces. keelson restore reads it.'`,
    `create table keelson.journal (
       wal_id uuid not null,
       shard integer not null,
       lsn bigint not null,
       index integer not null,
       id text not null,
       type text not null,
       "time" timestamptz not null,
       command jsonb,
       response jsonb,
       events jsonb,
       effects jsonb,
       body bytea not null,
       primary key (wal_id, lsn, index)
     )`,
    `create unique index journal_id on keelson.journal (wal_id, id)`,
    `comment on table keelson.journal is 'The entries of the journal in order (wal_id, lsn, index).'`,
    `comment on column keelson.journal.body is 'Everything that the entry says, byte for byte as in the log.'`,
    `create table keelson.kv (
       wal_id uuid not null,
       shard integer not null,
       key text collate "C" not null,
       type text not null,
       value jsonb,
       bytes bytea,
       size bigint not null,
       expires_at timestamptz,
       lsn bigint not null,
       primary key (wal_id, key)
     )`,
    `comment on table keelson.kv is 'Each key with its value, as of lsn or later.'`,
    `comment on column keelson.kv.value is 'The value, where JSON can say it and it is not large.'`,
  ],
  [
    // COPY stops at a row that is there: people may have added an entry with an id that comes later.
    'drop index keelson.journal_id',
    'create index journal_id on keelson.journal (wal_id, id)',
    `create table keelson.entities (
       wal_id uuid not null,
       shard integer not null,
       kind text collate "C" not null,
       id text collate "C" not null,
       version integer not null,
       state jsonb,
       fields jsonb not null,
       size bigint not null,
       lsn bigint not null,
       primary key (wal_id, kind, id)
     )`,
    `comment on table keelson.entities is 'Each durable actor with its state, as of lsn or later.'`,
    `comment on column keelson.entities.state is 'The state, where JSON can say it and it is not large.'`,
  ],
]

/** The version that this code writes, and the newest that it reads. */
const schemaVersion = steps.length

/**
 * Brings the schema up to date, and makes it where it is missing. Safe beside others that do the
 * same.
 * @throws KeelsonError `UNSUPPORTED_VERSION` if a newer version made it
 */
export const migrate = async (database: Database): Promise<void> => {
  if ((await versionOf(database)) === schemaVersion) return
  await inTransaction(database, async () => {
    await database.query('select pg_advisory_xact_lock($1)', [lockKey])
    const version = await versionOf(database)
    if (version === 0) {
      await database.query('create schema if not exists keelson')
      await database.query('create table keelson.version (version integer not null)')
      await database.query('insert into keelson.version values (0)')
    }
    for (const statement of steps.slice(version).flat()) await database.query(statement)
    await database.query('update keelson.version set version = $1', [schemaVersion])
  })
}

/** A number of our own: PostgreSQL's advisory locks have no names. */
const lockKey = 0x6b65656c

/**
 * The version of the schema; 0 without one.
 * @throws KeelsonError `UNSUPPORTED_VERSION` if a newer version made it
 */
export const versionOf = async (database: Database): Promise<number> => {
  // After a wait for the lock, `to_regclass` could still answer from this session's cache.
  const [found] = await database.query(
    `select 1 as there from pg_class join pg_namespace on pg_namespace.oid = relnamespace
     where nspname = 'keelson' and relname = 'version'`,
  )
  if (!found) return 0
  const [row] = await database.query('select version from keelson.version')
  const version = row ? numberIn(row, 'version') : 0
  if (version > schemaVersion)
    throw new KeelsonError(
      'UNSUPPORTED_VERSION',
      `the schema keelson has version ${version}, and this is ${schemaVersion}: a newer keelson made it`,
      { details: { version, supported: schemaVersion } },
    )
  return version
}
