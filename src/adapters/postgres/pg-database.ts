/** A connection through `pg`, the client of PostgreSQL servers, and `pg-copy-streams`. */

import { type Duplex, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Client, ClientConfig } from 'pg'
import { type Cancel, systemClock } from '../../clock.ts'
import { configError, KeelsonError, reasonText } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { columnTypes } from './column-types.ts'
import { type CopiedColumns, copiedRows } from './copied-rows.ts'
import { type Columns, type Database, quoted } from './database.ts'

/** When a connection is cut, whatever is pending. */
export type Bounds = {
  /** A server that has sent nothing of an answer for so many ms is given up; 60,000. */
  readonly answerMs?: number
  readonly signal?: AbortSignal | undefined
  /** Gets the SQLSTATE and the text of each notice and warning of the server. */
  readonly onNotice?: (code: string, text: string) => void
  /** A statement is sent before those before it are answered. Then there is no `copy` and no `read`. */
  readonly isPipelined?: boolean
}

/** A connection to a server. */
export type PgDatabase = Database & {
  /**
   * As `query`, for rows with many bytes: they come as they are, and not as text. `columns`: those of
   * the statement, in its order. Parameters are texts and whole numbers.
   */
  read(
    sql: string,
    parameters: readonly unknown[],
    columns: CopiedColumns,
  ): Promise<readonly Columns[]>
  /** The server process as the greeting named it. A pooler names one that there is not. */
  readonly greetedPid: number | undefined
}

/**
 * Connects.
 * @throws KeelsonError `CONFIG` if a package is not installed, or several hosts are named; the error
 * of `pg` if the server is away or refuses; the reason of a `signal` that has aborted
 */
export const connectPg = async (
  config: Options,
  { answerMs = 60_000, signal, onNotice, isPipelined = false }: Bounds = noOptions,
): Promise<PgDatabase> => {
  const { pg, copyFrom, copyTo } = await loaded()
  signal?.throwIfAborted()
  const ours = { types: columnTypes, pipeline: isPipelined }
  const client = new pg.Client({ ...config, ...ours } as ClientConfig)
  takeBackDefaults(client, config, pg.defaults as Options)
  refuseSeveralHosts(client)
  // A connection that is lost between two statements fails the next one.
  client.on('error', () => undefined)
  if (onNotice) client.on('notice', ({ code = '', message = '' }) => onNotice(code, message))
  const aborted = (): void => cut(client, 'its user has ended')
  signal?.addEventListener('abort', aborted)
  let pending = 0
  const answeredBy = async <T>(answer: Promise<T>): Promise<T> => {
    pending++
    return answered(client, answerMs, answer).finally(() => pending--)
  }
  const close = (): Promise<void> => {
    signal?.removeEventListener('abort', aborted)
    // `end` would wait for statements that were sent in a pipeline.
    if (isPipelined && pending > 0) cut(client, 'its user has ended')
    return ended(client)
  }
  try {
    await answered(client, answerMs, client.connect())
  } catch (error) {
    await close()
    throw error
  }
  return {
    async query(text, parameters = [], name) {
      const values = parameters.map(asParameter)
      const asked = client.query<Columns>({ text, values, ...(name !== undefined && { name }) })
      const { rows } = await answeredBy(asked)
      return rows
    },
    async read(text, parameters, columns) {
      // COPY takes no parameters.
      const sql = text.replace(/\$(\d+)/g, (_, place) =>
        literal(client, parameters[Number(place) - 1]),
      )
      const rows = client.query(copyTo(`copy (${sql}) to stdout (format binary)`))
      return copiedRows(Buffer.concat(await answeredBy(rows.toArray())), columns)
    },
    copy(table, columns, pieces) {
      const sql = `copy ${table} (${quoted(columns)}) from stdin (format binary)`
      const copied = pipeline(Readable.from(inTurns(pieces)), client.query(copyFrom(sql)))
      return answeredBy(copied)
    },
    close,
    greetedPid: (client as unknown as { readonly processID?: number }).processID,
  }
}

type Options = Readonly<Record<string, unknown>>

/** Options that decide what a connection does, and not where it leads. */
const sessionOptions = [
  'fallback_application_name',
  'options',
  'replication',
  'idle_in_transaction_session_timeout',
  'lock_timeout',
  'query_timeout',
  'statement_timeout',
]

/**
 * An application may set options of all clients of its process in `pg.defaults`. Those are its own:
 * a time for its queries would end a statement of ours. `pg` takes no option that is false in the
 * place of a default, so this is done to a client that has not connected yet.
 */
const takeBackDefaults = (client: Client, config: Options, defaults: Options): void => {
  const its = client as unknown as Record<string, unknown> & {
    readonly connectionParameters: Record<string, unknown>
  }
  const parameters = its.connectionParameters
  const said = new Set([...Object.keys(config), ...parametersOf(config.connectionString)])
  for (const name of sessionOptions)
    if (parameters[name] === defaults[name] && !said.has(name) && !isInEnvironment(name))
      parameters[name] = undefined
  // Columns would come in another format than `columnTypes` reads.
  its.binary = false
}

const parametersOf = (url: unknown): Iterable<string> =>
  typeof url === 'string' && URL.canParse(url) ? new URL(url).searchParams.keys() : []

const isInEnvironment = (name: string): boolean => Boolean(process.env[`PG${name.toUpperCase()}`])

/** libpq takes a list, and `pg` asks for the address of a host with that name, for ever. */
const refuseSeveralHosts = ({ host }: Client): void => {
  if (!host.includes(',') || host.startsWith('/')) return
  const expected = 'one host: a name or an address that leads to the primary'
  throw configError('connectionString', expected, `${host.split(',').length} hosts`)
}

/** Where a server is, without what must not be shown. */
export const describedServer = (connectionString: string | undefined): string => {
  if (connectionString === undefined) return 'postgres'
  try {
    const { host, pathname } = new URL(connectionString)
    return `postgres ${host}${pathname}`
  } catch {
    return 'postgres'
  }
}

/** The server bounds its statements itself. One that is frozen, or cut off, says nothing. */
const answered = async <T>(client: Client, ms: number, answer: Promise<T>): Promise<T> => {
  let read: number | undefined
  const look = (): void => {
    // A long answer over a slow link is an answer.
    if (read === streamOf(client).bytesRead) cut(client, `the server did not answer in ${ms} ms`)
    else wait()
  }
  let cancel: Cancel = () => undefined
  const wait = (): void => {
    read = streamOf(client).bytesRead
    cancel = clock.after(ms, look, { holdsProcess: false })
  }
  wait()
  try {
    return await answer
  } finally {
    cancel()
  }
}

/**
 * Statements that wait for the server reject. `pg` has no call for this: its `end` waits for the
 * server.
 */
const cut = (client: Client, reason: string): void => {
  streamOf(client).destroy(new Error(reason))
}

/** The socket of a connection. */
const streamOf = (client: Client): Duplex & { readonly bytesRead: number } =>
  (client as unknown as { connection: { stream: ReturnType<typeof streamOf> } }).connection.stream

/** @throws KeelsonError `CONFIG` if a package is not installed */
const loaded = async () => {
  try {
    const [{ default: pg }, { from, to }] = await Promise.all([
      import('pg'),
      import('pg-copy-streams'),
    ])
    return { pg, copyFrom: from, copyTo: to }
  } catch (error) {
    const message = `a package is missing, \`npm install pg pg-copy-streams\`: ${reasonText(error)}`
    throw new KeelsonError('CONFIG', message, { cause: error })
  }
}

const clock = systemClock()

async function* inTurns(pieces: Iterable<Uint8Array>): AsyncIterableIterator<Uint8Array> {
  for (const piece of pieces) {
    yield piece
    await new Promise<void>((resolve) => clock.soon(resolve))
  }
}

/** `pg` takes only a Buffer for bytes. */
const asParameter = (parameter: unknown): unknown =>
  parameter instanceof Uint8Array
    ? Buffer.from(parameter.buffer, parameter.byteOffset, parameter.byteLength)
    : parameter

const literal = (client: Client, parameter: unknown): string =>
  Number.isSafeInteger(parameter) ? String(parameter) : client.escapeLiteral(String(parameter))

/** The time that a server has to say goodbye. */
const endMs = 1_000

/** With a pending statement, `end` cuts the connection. Never rejects. */
const ended = async (client: Client): Promise<void> => {
  let cancel = (): void => undefined
  const late = new Promise<void>((resolve) => {
    cancel = clock.after(endMs, resolve, { holdsProcess: false })
  })
  const end = client.end().catch(() => undefined)
  await Promise.race([end, late.then(() => cut(client, 'the server did not end the connection'))])
  cancel()
}
