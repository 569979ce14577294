/** A connection through `pg`, the client of PostgreSQL servers, and `pg-copy-streams`. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Client, ClientConfig } from 'pg'
import { systemClock } from '../../clock.ts'
import { KeelsonError, reasonText } from '../../errors.ts'
import { type Columns, type Database, quoted } from './database.ts'

/**
 * Connects.
 * @throws KeelsonError `CONFIG` if a package is not installed; the error of `pg` if the server is
 * away or refuses
 */
export const connectPg = async (config: Readonly<Record<string, unknown>>): Promise<Database> => {
  const { pg, copyFrom } = await loaded()
  const client = new pg.Client(config as ClientConfig)
  // A connection that is lost between two statements fails the next one.
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (error) {
    await ended(client)
    throw error
  }
  return {
    async query(sql, parameters = []) {
      const { rows } = await client.query<Columns>(sql, parameters.map(asParameter))
      return rows
    },
    copy(table, columns, pieces) {
      const sql = `copy ${table} (${quoted(columns)}) from stdin (format binary)`
      return pipeline(Readable.from(inTurns(pieces)), client.query(copyFrom(sql)))
    },
    close: () => ended(client),
  }
}

/** @throws KeelsonError `CONFIG` if a package is not installed */
const loaded = async () => {
  try {
    const [{ default: pg }, { from }] = await Promise.all([import('pg'), import('pg-copy-streams')])
    return { pg, copyFrom: from }
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

/** With a statement under way, `end` cuts the connection. */
const ended = (client: Client): Promise<void> =>
  client.end().then(
    () => undefined,
    () => undefined,
  )
