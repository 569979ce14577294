/**
 * `keelson/postgres`: replicas in PostgreSQL, and the engine of a cluster (`postgresEngine`).
 * `postgres` reaches a server through the package `pg`;
 * `pglite` keeps one in a folder, on a thread of this process, through `@electric-sql/pglite`.
 * Neither package is loaded before it is needed.
 */

import {
  anything,
  argument,
  type Check,
  noMore,
  object,
  optional,
  or,
  secret,
  text,
  wholeFrom,
} from '../../check.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { Replica } from '../../storage/index.ts'
import { clientOptions } from './client-options.ts'
import type { Database } from './database.ts'
import { connectPg, describedServer } from './pg-database.ts'
import { connectPglite } from './pglite-database.ts'
import { postgresReading } from './postgres-reading.ts'
import { postgresSession } from './postgres-session.ts'
import { migrate, versionOf } from './schema.ts'

export { type PostgresEngineOptions, postgresEngine } from './postgres-engine.ts'
export {
  type RestoreOptions,
  type RestoreProgress,
  type RestoreReport,
  restore,
} from './restoring.ts'

/** The options of `postgres`. */
export type PostgresOptions = {
  /** `postgres://user:password@host:port/database`; by default the environment's (`PGHOST` …). */
  readonly connectionString?: string
  /** Further options of `Client` of `pg`, such as `ssl` or `password`. */
  readonly client?: Readonly<Record<string, unknown>>
  /**
   * How long one statement may take, in ms; 60,000. A longer one fails, and is tried again. If the
   * server does not even say so, the connection is cut a second later.
   */
  readonly statementMs?: number
}

/** The greatest `statement_timeout` of a server is a little above. */
const statementMsMax = 2_000_000_000

/** No refusal shows a text: it may be a URL with a password. */
const postgresOptions = secret(
  object({
    connectionString: optional(text),
    client: anything as Check<Readonly<Record<string, unknown>> | undefined>,
    statementMs: or(wholeFrom(1, statementMsMax), 60_000),
  }),
)

/** The ms that the news of a server that has given up a statement may take. */
const graceMs = 1_000

/**
 * A replica on a PostgreSQL server, in the schema `keelson`. The user needs the right to create it.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const postgres = (options: PostgresOptions = noOptions, ...surplus: []): Replica => {
  noMore(surplus, 'postgres({ connectionString, … })')
  const { connectionString, client, statementMs } = postgresOptions(options, argument())
  const config = clientOptions(connectionString, client)
  // A statement that waits for a lock, or a follower that is held up, must not hold others up.
  const bound = async (database: Database): Promise<void> => {
    await database.query(`set statement_timeout = ${statementMs}`)
    await database.query(`set idle_in_transaction_session_timeout = ${statementMs}`)
  }
  return replicaOver(describedServer(connectionString), (signal) =>
    opened(() => connectPg(config, { answerMs: statementMs + graceMs, signal }), bound),
  )
}

/**
 * A replica in the folder `dir`, without a server, on a thread of this process; in memory without
 * `dir`. To try replication: another process cannot read it at the same time.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const pglite = (dir?: string, ...surplus: []): Replica => {
  noMore(surplus, 'pglite(dir)')
  if (dir !== undefined && (typeof dir !== 'string' || dir === ''))
    throw invalidArgument('dir', 'the path of a folder', dir)
  return replicaOver(`pglite ${dir ?? 'in memory'}`, () => connectPglite(dir))
}

/** A replica over any connection: each session has its own. */
export const replicaOver = (description: string, connect: Connect, ...surplus: []): Replica => {
  noMore(surplus, 'replicaOver(description, connect)')
  return {
    description,
    open: (signal) => opened(() => connect(signal), migrate).then(postgresSession),
    read: () => opened(connect, refuseEmpty).then(postgresReading),
  }
}

/** Makes a connection; aborting `signal` cuts it. */
type Connect = (signal?: AbortSignal) => Promise<Database>

/** A connection that is prepared. One that cannot be is ended. */
const opened = async (
  connect: Connect,
  prepare: (database: Database) => Promise<void>,
): Promise<Database> => {
  const database = await connect()
  try {
    await prepare(database)
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}

const refuseEmpty = async (database: Database): Promise<void> => {
  if ((await versionOf(database)) > 0) return
  throw new KeelsonError(
    'INVALID_ARGUMENT',
    'nothing is replicated there: it has no schema keelson',
  )
}
