/**
 * An engine for several members in PostgreSQL, in the schema `keelson_cluster`. A member connects
 * directly, or through a pooler by session: another one would lose the settings of a connection. It
 * is apart from `postgres.ts` because an engine and a replica share no table.
 */

import {
  anything,
  argument,
  noMore,
  object,
  optional,
  recordOf,
  secret,
  that,
} from '../../check.ts'
import { type Clock, systemClock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import {
  type ClusterEngine,
  type Directory,
  DirectoryEntry,
  type DirectoryView,
  type EngineLog,
  type EngineSession,
  untilLooked,
} from '../../storage/index.ts'
import { clientOptions } from './client-options.ts'
import { type Columns, type Database, numberIn } from './database.ts'
import { PostgresFiles } from './engine-files.ts'
import { EngineLane, type LaneOptions } from './engine-lane.ts'
import { postgresLog } from './engine-log.ts'
import { describedServer } from './pg-database.ts'
import { schemaVersions } from './schema-versions.ts'

/** The options of `postgresEngine`. */
export type PostgresEngineOptions = {
  /** `postgres://user:password@host:port/database`; by default the environment's (`PGHOST` …). */
  readonly connectionString?: string
  /** Further options of `Client` of `pg`, such as `ssl` or `password`. */
  readonly client?: Readonly<Record<string, unknown>>
}

/** `pg` takes other texts for the name of a database, or fails at each connection. */
const url = that<string>(
  'a URL as postgres://user:password@host:port/database, with one host',
  (found) => typeof found === 'string' && /^postgres(ql)?:/.test(found) && URL.canParse(found),
)

/** No refusal shows a text: it may be a URL with a password. */
const engineOptions = secret(
  object({
    connectionString: optional(url),
    client: optional(recordOf(anything)),
  }),
)

/** The lease that limits how long the server waits for those who have none. */
const leaseMsDefault = 5_000

/**
 * The engine of a cluster on a PostgreSQL server, for `cluster.engine` of `start`. It connects when
 * the instance starts: one connection for each shard that it has, and four more. The user needs the right to
 * create the schema `keelson_cluster`. `docs/cluster-postgres.md` says what the server must be.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const postgresEngine = (
  options: PostgresEngineOptions = noOptions,
  ...surplus: []
): ClusterEngine => {
  noMore(surplus, 'postgresEngine({ connectionString, … })')
  const { connectionString, client } = engineOptions(options, argument('', 'postgresEngine'))
  const config = clientOptions(connectionString, client)
  return {
    description: describedServer(connectionString),
    open: async ({ cluster, copies, leaseMs = leaseMsDefault }) => {
      const lanes: EngineLane[] = []
      const lane: LaneMaker = (how) => {
        const made = new EngineLane({ config, copies, leaseMs, ...how })
        lanes.push(made)
        return made
      }
      const session = sessionOf(cluster, lane, systemClock())
      const close = async (): Promise<void> => {
        await Promise.all(lanes.map((each) => each.close()))
      }
      try {
        await lane().run(async (database) => {
          await migrateClusters(database)
          await database.query(
            'insert into keelson_cluster.clusters values ($1, 0) on conflict do nothing',
            [cluster],
          )
          // Uploads that became no file: their members ended in the middle, or had no answer.
          await database.query(
            `delete from keelson_cluster.chunks where begun < now() - interval '1 day' and not exists (
               select from keelson_cluster.files where files.upload = chunks.upload)`,
          )
        })
        return { ...session, close }
      } catch (error) {
        await close()
        throw error
      }
    },
  }
}

type LaneMaker = (how?: Pick<LaneOptions, 'reads'>) => EngineLane

const sessionOf = (
  cluster: string,
  lane: LaneMaker,
  clock: Clock,
): Omit<EngineSession, 'close'> => {
  const reads = lane({ reads: true })
  return {
    log: (name): EngineLog => postgresLog(cluster, name, { writes: lane(), reads }),
    directory: postgresDirectory(cluster, lane(), clock),
    files: new PostgresFiles(cluster, lane({ reads: true }), clock),
    now: () =>
      reads.run(async (database) => {
        const [row = {}] = await database.query(
          'select (extract(epoch from clock_timestamp()) * 1000)::float8 as now',
        )
        return numberIn(row, 'now')
      }),
  }
}

const postgresDirectory = (cluster: string, lane: EngineLane, clock: Clock): Directory => {
  return {
    view: () => lane.change((database) => viewOf(database, cluster, provenView)),
    peek: () => lane.run((database) => viewOf(database, cluster)),
    set: (name, revision, value) =>
      lane.change(async (database) => {
        const made = await changed(database, [cluster, name], revision, value)
        if (made !== undefined) return made
        const [row] = await database.query(
          'select revision from keelson_cluster.directory where cluster = $1 and name = $2',
          [cluster, name],
        )
        throw changedMeanwhile(name, row ? numberIn(row, 'revision') : 0)
      }),
    // A view writes a message that the standby syncs: it is made when there is something to see.
    moved: (revision, signal) =>
      untilLooked(
        async () => {
          const rows = await lane.run((database) =>
            database.query('select revision from keelson_cluster.clusters where name = $1', [
              cluster,
            ]),
          )
          return rows[0] !== undefined && numberIn(rows[0], 'revision') !== revision
        },
        clock,
        signal,
      ),
  }
}

type Queries = Pick<Database, 'query'>

/**
 * A view writes a message to the server's log, so its commit waits for the standby as those did that
 * it sees. It waits for no row: an owner that has stopped may hold one.
 */
const provenView = `, (select pg_logical_emit_message(true, 'keelson', '')::text) as written`

const viewOf = async (database: Queries, cluster: string, more = ''): Promise<DirectoryView> => {
  const rows = await database.query(
    `select clusters.revision as last, directory.name, value, directory.revision ${more}
     from keelson_cluster.clusters left join keelson_cluster.directory on cluster = clusters.name
     where clusters.name = $1`,
    [cluster],
  )
  const entries = rows
    .filter((row) => row.name !== null)
    .map((row) => {
      const entry = new DirectoryEntry(String(row.value), numberIn(row, 'revision'))
      return [String(row.name), entry] as const
    })
  const last = rows[0] ? numberIn(rows[0], 'last') : -1
  for (const [name, { revision }] of entries)
    if (revision < 1 || revision > last) throw damagedDirectory(name, revision, last)
  // Its row is there since the first connection.
  if (last < 0) throw damagedDirectory(cluster, 0, last)
  return { revision: last, entries: new Map(entries) }
}

/** Each change of an entry counts on the row of `clusters`. */
const damagedDirectory = (entry: string, revision: number, last: number): KeelsonError => {
  const evidence = `the entry ${entry} has revision ${revision}, and its row in clusters ${last}`
  return new KeelsonError('CORRUPT', `the engine's directory is damaged: ${evidence}`, {
    details: { entry, evidence },
  })
}

/** The lock of the row of `clusters` puts all changes in one order. */
const nextRevision = `update keelson_cluster.clusters set revision = revision + 1`

/** Locks the entry at its revision, before the row of `clusters`. */
const lastOf = `with entry as (
    select name from keelson_cluster.directory
    where cluster = $1 and name = $2 and revision = $3 for update),
  last as (
    ${nextRevision} from entry where clusters.name = $1 returning clusters.revision)`

/**
 * Changes an entry in one statement, so that no member that stops holds a lock in between. Returns
 * the new revision; `undefined` if the entry has another one than `revision`.
 */
const changed = async (
  database: Queries,
  entry: readonly string[],
  revision: number,
  value: string | undefined,
): Promise<number | undefined> => {
  const rows =
    revision === 0
      ? await made(database, entry, value)
      : await replaced(database, entry, revision, value)
  return rows[0] && numberIn(rows[0], 'revision')
}

const replaced = (
  database: Queries,
  entry: readonly string[],
  revision: number,
  value: string | undefined,
): Promise<readonly Columns[]> =>
  value === undefined
    ? database.query(
        `${lastOf} delete from keelson_cluster.directory using last
         where cluster = $1 and name = $2 returning last.revision`,
        [...entry, revision],
      )
    : database.query(
        `${lastOf} update keelson_cluster.directory set value = $4, revision = last.revision
         from last where cluster = $1 and name = $2 returning last.revision`,
        [...entry, revision, value],
      )

const made = async (
  database: Queries,
  entry: readonly string[],
  value = '',
): Promise<readonly Columns[]> => {
  try {
    return await database.query(
      `with last as (
         ${nextRevision} where name = $1 and not exists (
           select from keelson_cluster.directory where cluster = $1 and directory.name = $2)
         returning clusters.revision)
       insert into keelson_cluster.directory select $1, $2, $3, revision from last
       returning revision`,
      [...entry, value],
    )
  } catch (error) {
    // Another member has made it at the same moment.
    if (Object(error).code === '23505') return []
    throw error
  }
}

const changedMeanwhile = (name: string, revision: number): KeelsonError =>
  new KeelsonError('CONFLICT', `the entry ${name} has changed`, { details: { revision } })

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
    `comment on column keelson_cluster.logs.trimmed_lsn is 'The groups up to this position were freed: a snapshot covers them.'`,
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
