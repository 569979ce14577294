/**
 * An engine for several members in PostgreSQL, in the schema `keelson_cluster`. A member connects
 * directly, or through a pooler by session: another one would lose the settings of a connection.
 */
import { anything, argument, object, optional, recordOf, secret, that } from '../../check.ts'
import { type Clock, systemClock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type {
  Directory,
  DirectoryView,
  SharedEngine,
  SharedLog,
  SharedSession,
} from '../../storage/index.ts'
import { clientOptions } from './client-options.ts'
import { inTransaction, numberIn } from './database.ts'
import { postgresFiles } from './engine-files.ts'
import { EngineLane } from './engine-lane.ts'
import { lookPause, postgresLog } from './engine-log.ts'
import { migrateClusters } from './engine-schema.ts'
import { describedServer } from './pg-database.ts'

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

/**
 * After so many ms without an answer a connection is given up, and its call has no answer. The
 * server goes on with the statement: only the server may end the wait for a standby.
 */
const answerMs = 10_000

/**
 * The engine of a cluster on a PostgreSQL server, for `cluster.engine` of `start`. It connects when
 * the instance starts: one connection for each shard, and four more. The user needs the right to
 * create the schema `keelson_cluster`. `docs/cluster.md` says what the server must be.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const postgresEngine = (options: PostgresEngineOptions = {}): SharedEngine => {
  const { connectionString, client } = engineOptions(options, argument('', 'postgresEngine'))
  const config = clientOptions(connectionString, client)
  return {
    description: describedServer(connectionString),
    open: async ({ cluster, copies }) => {
      const lanes: EngineLane[] = []
      const lane = (): EngineLane => {
        const made = new EngineLane(config, copies, answerMs)
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
          // Uploads whose members ended in the middle.
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

const sessionOf = (
  cluster: string,
  lane: () => EngineLane,
  clock: Clock,
): Omit<SharedSession, 'close'> => {
  const reads = lane()
  return {
    log: (name): SharedLog => postgresLog(cluster, name, { writes: lane(), reads }, clock),
    directory: postgresDirectory(cluster, lane(), clock),
    files: postgresFiles(cluster, lane(), clock),
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
  const look = (before = ''): Promise<DirectoryView> =>
    lane.run(async (database) => {
      const rows = await database.query(
        `${before} select clusters.revision as last, directory.name, value, directory.revision
         from keelson_cluster.clusters left join keelson_cluster.directory on cluster = clusters.name
         where clusters.name = $1`,
        [cluster],
      )
      const entries = rows
        .filter((row) => row.name !== null)
        .map((row) => {
          const entry = { value: String(row.value), revision: numberIn(row, 'revision') }
          return [String(row.name), entry] as const
        })
      return { revision: numberIn(rows[0] ?? {}, 'last'), entries: new Map(entries) }
    })

  return {
    // It writes, so its commit waits for the standby as those did that it sees. It sees the state
    // before its own update.
    view: () =>
      look(
        `with written as (
           update keelson_cluster.clusters set revision = revision where name = $1)`,
      ),
    peek: () => look(),
    set: (name, revision, value) =>
      lane.run((database) =>
        inTransaction(database, async () => {
          // The lock of this row puts all changes of the directory in one order.
          const [last = {}] = await database.query(
            `update keelson_cluster.clusters set revision = revision + 1 where name = $1
             returning revision`,
            [cluster],
          )
          const [row] = await database.query(
            'select revision from keelson_cluster.directory where cluster = $1 and name = $2',
            [cluster, name],
          )
          const present = row ? numberIn(row, 'revision') : 0
          if (present !== revision) throw changedMeanwhile(name, present)
          const next = numberIn(last, 'revision')
          if (value === undefined)
            await database.query(
              'delete from keelson_cluster.directory where cluster = $1 and name = $2',
              [cluster, name],
            )
          else
            await database.query(
              `insert into keelson_cluster.directory values ($1, $2, $3, $4)
               on conflict (cluster, name) do update set value = $3, revision = $4`,
              [cluster, name, value, next],
            )
          return next
        }),
      ),
    moved: async (revision, signal) => {
      const seen = await look().catch(() => undefined)
      if ((seen?.revision ?? 0) <= revision) await lookPause(clock, signal)
    },
  }
}

const changedMeanwhile = (name: string, revision: number): KeelsonError =>
  new KeelsonError('CONFLICT', `the entry ${name} has changed meanwhile`, { details: { revision } })
