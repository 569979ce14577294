/** A connection through `pg`, the client of PostgreSQL servers. */
import type { Client, ClientConfig } from 'pg'
import type { Columns, Database } from './database.ts'

/**
 * Connects. @throws the error of `pg`: the server is away, refuses, or the package is not installed
 */
export const connectPg = async (config: Readonly<Record<string, unknown>>): Promise<Database> => {
  const { default: pg } = await import('pg')
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
    close: () => ended(client),
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
