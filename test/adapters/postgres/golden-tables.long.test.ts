/**
 * The tables that 1.0 has written, those of an engine and of a replica, are read for ever. A later build adds no column that 1.0
 * does not know.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { start } from 'keelson'
import { postgres, postgresEngine, restore } from 'keelson/postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { goldenLog, goldenOptions, verifyGolden } from '../../support/golden/golden-life.ts'
import { columnsOf } from '../../support/golden/golden-tables.ts'
import { lacks } from '../../support/lacks.ts'
import { binaries, noPostgres, PostgresServer } from '../../support/worlds/postgres-server.ts'

const home = 'test/golden/1.0'
const known = readFileSync(join(home, 'formats.txt'), 'utf8').trim().split('\n')

describe.skipIf(lacks(noPostgres()))('the tables of 1.0', () => {
  let server: PostgresServer
  let folder: string

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'keelson-golden-'))
    server = new PostgresServer(join(folder, 'server'))
    await server.start()
    const input = brotliDecompressSync(readFileSync(join(home, 'tables.sql.br')))
    execFileSync(join(binaries() ?? '', 'psql'), ['-q', '-d', server.url], { input })
  })
  afterAll(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  test('of an engine have all of its content', async () => {
    const engine = postgresEngine({ connectionString: server.url })
    const cluster = { name: 'golden', member: 'a', engine }
    const app = await start({ dir: join(folder, 'cache'), ...goldenOptions(true), cluster })
    await verifyGolden(app)
    await app.close()
  })

  test('of a replica can be restored, and have all of its content', async () => {
    const client = postgres({ connectionString: server.url })
    const dir = join(folder, 'restored')
    await restore({ client, dir })
    const replication = [{ client: postgres({ connectionString: server.url }), required: true }]
    const options = { ...goldenOptions(true), wal: goldenLog, acts: true, replication }
    const app = await start({ dir, ...options })
    await verifyGolden(app, { hasStates: false })
    await app.store.put('replicated', 1, { ack: 'replicated' })
    await app.close()
  })

  test('have no column and no version that 1.0 does not know, after both were written to', async () => {
    const columns = await columnsOf(server.url)

    expect(columns.filter((fact) => !known.includes(fact))).toEqual([])
  })
})
