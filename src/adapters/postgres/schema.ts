/**
 * The schema `keelson` in PostgreSQL, and its versions. docs/replication-reference.md describes it for people
 * who know only SQL. A version that was released is never changed: a change is a further step. So
 * it is apart from the code that uses it.
 */
import { schemaVersions } from './schema-versions.ts'

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
    // Not unique: COPY stops at a row that is there, and people may have added an entry with an id
    // that comes later.
    'create index journal_id on keelson.journal (wal_id, id)',
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
    `create table keelson.entities (
       wal_id uuid not null,
       shard integer not null,
       kind text collate "C" not null,
       id text collate "C" not null,
       version bigint not null,
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

/** Brings the schema up to date, and gives its version: see `schemaVersions`. */
export const { migrate, versionOf } = schemaVersions('keelson', steps)
