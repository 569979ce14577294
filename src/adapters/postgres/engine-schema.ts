/**
 * The schema `keelson_cluster` in PostgreSQL: the logs, the directory and the files of clusters.
 * Only members write it. To look is harmless: `select` waits for nothing. A version that was
 * released is never changed: a change is a further step. So it is apart from the code that uses it.
 */
import { schemaVersions } from './schema-versions.ts'

/** The statements that lead from each version to the next. */
const steps: readonly (readonly string[])[] = [
  [
    `create table keelson_cluster.clusters (
       name text collate "C" primary key,
       revision bigint not null
     )`,
    `comment on table keelson_cluster.clusters is 'Each cluster, with the revision of the last change of its directory.'`,
    `create table keelson_cluster.logs (
       number integer generated always as identity primary key,
       cluster text collate "C" not null,
       name text collate "C" not null,
       log_id text not null,
       epoch bigint not null,
       lsn bigint not null,
       id text not null,
       trimmed_lsn bigint not null,
       trimmed_mark text not null,
       snapshots jsonb not null,
       features integer not null,
       unique (cluster, name)
     ) with (fillfactor = 50)`,
    `comment on table keelson_cluster.logs is 'The head of each log: one log a shard. An append moves it, in the transaction that adds the group.'`,
    `comment on column keelson_cluster.logs.epoch is 'Grows with each change of the owner. An owner of an earlier epoch can append nothing.'`,
    `comment on column keelson_cluster.logs.lsn is 'The last position of the log.'`,
    `comment on column keelson_cluster.logs.id is 'The name that the owner gave to the last group.'`,
    `comment on column keelson_cluster.logs.trimmed_lsn is 'The groups up to this position were given back: a snapshot covers them.'`,
    `create table keelson_cluster.groups (
       log integer not null references keelson_cluster.logs,
       lsn bigint not null,
       epoch bigint not null,
       id text not null,
       after_lsn bigint not null,
       after_epoch bigint not null,
       after_id text not null,
       proven_lsn bigint not null,
       bytes bytea not null,
       primary key (log, lsn)
     )`,
    // Groups are read once, if at all, and may be large: to compress them costs more than it gives.
    `alter table keelson_cluster.groups alter column bytes set storage external`,
    `comment on table keelson_cluster.groups is 'The logs. A group has the positions after after_lsn up to lsn; the groups of a log have no gap.'`,
    `comment on column keelson_cluster.groups.proven_lsn is 'What was acknowledged when the owner made the group.'`,
    `comment on column keelson_cluster.groups.bytes is 'The frames. Empty where an idle owner only says proven_lsn.'`,
    `create table keelson_cluster.directory (
       cluster text collate "C" not null references keelson_cluster.clusters,
       name text collate "C" not null,
       value text not null,
       revision bigint not null,
       primary key (cluster, name)
     )`,
    `comment on table keelson_cluster.directory is 'Members, owners and leases. A lease ends when its revision has not changed for as long as it lasts.'`,
    `create table keelson_cluster.files (
       cluster text collate "C" not null,
       name text collate "C" not null,
       upload text not null,
       size bigint not null,
       digest text not null,
       primary key (cluster, name)
     )`,
    `comment on table keelson_cluster.files is 'Snapshots and large values. A file is there once it is whole.'`,
    `create table keelson_cluster.chunks (
       cluster text collate "C" not null,
       name text collate "C" not null,
       upload text not null,
       place bigint not null,
       begun timestamptz not null default now(),
       bytes bytea not null,
       primary key (cluster, name, upload, place)
     )`,
    `alter table keelson_cluster.chunks alter column bytes set storage external`,
    `comment on table keelson_cluster.chunks is 'The bytes of files, and of uploads that have not ended.'`,
  ],
]

/** Brings the schema of clusters up to date. As `migrate` of the replica's schema. */
export const { migrate: migrateClusters } = schemaVersions('keelson_cluster', steps)
