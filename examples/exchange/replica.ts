/** The replica of the exchange in PostgreSQL: how the service names it, and what SQL finds in it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { pglite, postgres } from 'keelson/postgres'
import { Digest, type Said } from './digest.ts'

/** A connection string, or the folder of a PostgreSQL within the process. */
export type Where = string

const isServer = (where: Where): boolean => /^postgres(ql)?:/.test(where)

/** The option `replication` of `start`. */
export const replicaAt = (where: Where) => [
  {
    client: isServer(where) ? postgres({ connectionString: where }) : pglite(where),
    required: true,
  },
]

/** Waits until the replica has all that the folder of a day has: a last write, and so all before. */
export const caughtUp = async (dir: string, where: Where): Promise<void> => {
  const app = await start({ dir, replication: replicaAt(where) })
  await app.store.put('evening', true, { ack: 'replicated', deadlineMs: 600_000 })
  await app.close()
}

type Query = (sql: string, values: readonly unknown[]) => Promise<{ rows: unknown[] }>

/** Connects as anybody may who knows SQL. */
const connected = async (where: Where): Promise<{ query: Query; end: () => Promise<unknown> }> => {
  if (!isServer(where)) {
    const { PGlite } = await import('@electric-sql/pglite')
    const lite = await PGlite.create({ dataDir: where })
    return { query: (sql, values) => lite.query(sql, [...values]), end: () => lite.close() }
  }
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: where })
  await client.connect()
  return { query: (sql, values) => client.query(sql, [...values]), end: () => client.end() }
}

/** The log of a folder, in a database that may have others too. */
export type Log = { readonly where: Where; readonly walId: string }

/** The only log of the folder `dir`. */
export const logIn = (dir: string, where: Where): Log => {
  const [walId] = JSON.parse(readFileSync(join(dir, 'keelson.json'), 'utf8')).logs
  return { where, walId }
}

const page = `select id, type, command, response, events, effects, lsn::text as place, index from keelson.journal
  where wal_id = $1 and (lsn, index) > ($2, $3) order by lsn, index limit 10000`

/** The digest of the rows of `keelson.journal`, in their order. */
export const rowsOf = async ({ where, walId }: Log): Promise<Digest> => {
  const { query, end } = await connected(where)
  const digest = new Digest()
  let last: { place: string; index: number } | undefined = { place: '0', index: -1 }
  while (last) {
    const { rows } = await query(page, [walId, last.place, last.index])
    for (const row of rows as Said[]) digest.add(row)
    last = rows.at(-1) as typeof last
  }
  await end()
  return digest
}

/** The place of an entry in the journal. */
export type Place = { readonly lsn: number; readonly index: number }

const body = 'select body from keelson.journal where wal_id = $1 and lsn = $2 and index = $3'
const change = `update keelson.journal set body = set_byte(body, 40, get_byte(body, 40) # 1)
  where wal_id = $1 and lsn = $2 and index = $3 returning body`

const bodyOf = async ({ where, walId }: Log, sql: string, place: Place): Promise<Uint8Array> => {
  const { query, end } = await connected(where)
  const { rows } = await query(sql, [walId, place.lsn, place.index])
  await end()
  return (rows[0] as { body: Uint8Array }).body
}

/** The bytes of an entry in `keelson.journal`. */
export const bodyAt = (log: Log, place: Place) => bodyOf(log, body, place)

/** The same after one bit of the row was changed, as a forger would. */
export const changedBody = (log: Log, place: Place) => bodyOf(log, change, place)
