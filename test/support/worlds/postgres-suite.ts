/** A PostgreSQL server for all tests of a file, and a connection to look at its tables. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Database } from '../../../src/adapters/postgres/database.ts'
import { connectPg } from '../../../src/adapters/postgres/pg-database.ts'
import { PostgresServer } from './postgres-server.ts'

/** What `beforeAll` starts, and `end`, which it returns for the end of the file. */
export const postgresForFile = async (): Promise<{
  readonly dir: string
  readonly server: PostgresServer
  readonly look: Database
  end(): Promise<void>
}> => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-'))
  const server = new PostgresServer(join(dir, 'server'))
  await server.start()
  const look = await connectPg({ connectionString: server.url })
  const end = async (): Promise<void> => {
    await look.close()
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  }
  return { dir, server, look, end }
}
