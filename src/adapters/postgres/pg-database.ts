/** A connection through `pg`, the client of PostgreSQL servers, and `pg-copy-streams`. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Client, ClientConfig } from 'pg'
import { systemClock } from '../../clock.ts'
import { type Columns, type Database, quoted } from './database.ts'

/**
 * Connects. @throws the error of `pg`: the server is away, refuses, or a package is not installed
 */
export const connectPg = async (config: Readonly<Record<string, unknown>>): Promise<Database> => {
  const [{ default: pg }, { from: copyFrom }] = await Promise.all([
    import('pg'),
    import('pg-copy-streams'),
  ])
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
