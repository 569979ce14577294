/** What an application sets in `pg` for all clients of its process changes none of our connections. */
import pg from 'pg'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { connectPg } from '../../../src/adapters/postgres/pg-database.ts'
import { lacks } from '../../support/lacks.ts'
import { noPostgres, type PostgresServer } from '../../support/worlds/postgres-server.ts'
import { postgresForFile } from '../../support/worlds/postgres-suite.ts'

/** The types that our statements select. */
const types = [16, 17, 20, 23, 25, 701, 2950, 3802] as const

const spoilTypes = (): void => {
  const before = types.map((type) => pg.types.getTypeParser(type))
  for (const type of types) pg.types.setTypeParser(type, () => 'of the application')
  onTestFinished(() => {
    for (const [index, type] of types.entries())
      pg.types.setTypeParser(type, (text) => before[index]?.(text))
  })
}

const spoilDefaults = (defaults: Readonly<Record<string, unknown>>): void => {
  const before = { ...pg.defaults }
  Object.assign(pg.defaults, defaults)
  onTestFinished(() => {
    // Also names that were not there: other files of this process connect too.
    for (const name of Object.keys(defaults)) Reflect.deleteProperty(pg.defaults, name)
    Object.assign(pg.defaults, before)
  })
}

describe.skipIf(lacks(noPostgres()))('a connection', () => {
  let server: PostgresServer
  beforeAll(async () => {
    const file = await postgresForFile()
    server = file.server
    return file.end
  })

  const connected = async (config: Readonly<Record<string, unknown>> = {}) => {
    const database = await connectPg({ connectionString: server.url, ...config })
    onTestFinished(() => database.close())
    return database
  }

  const select = `select true as bool, '\\x00ff'::bytea as bytes, 5::bigint as large, 7 as small,
    'a'::text as text, 1.5::float8 as float, '{"a":1}'::jsonb as json where $1 = 1`
  const row = {
    ...{ bool: true, bytes: Buffer.of(0, 255), large: '5', small: 7, text: 'a', float: 1.5 },
    json: { a: 1 },
  }

  test('reads columns with its own parsers', async () => {
    spoilTypes()
    const database = await connected()

    expect(await database.query(select, [1])).toEqual([row])
  })

  test.each([
    ['binary', true],
    ['fallback_application_name', 'shop'],
    ['idle_in_transaction_session_timeout', 5],
    ['lock_timeout', 5],
    ['options', '-c statement_timeout=5'],
    ['query_timeout', 1],
    ['replication', 'database'],
    ['statement_timeout', 5],
  ])('takes %s from nobody else', async (name, value) => {
    const settings = `select current_setting('application_name') as name, current_setting('lock_timeout') as lock,
      current_setting('statement_timeout') as statement,
      current_setting('idle_in_transaction_session_timeout') as idle from pg_sleep(0.02)`
    const usual = await (await connected()).query(settings)
    spoilDefaults({ [name]: value })
    const database = await connected()

    expect(await database.query(settings)).toEqual(usual)
    expect(await database.query(select, [1])).toEqual([row])
  })

  test('keeps what its own options and its URL say', async () => {
    spoilDefaults({ lock_timeout: 5, statement_timeout: 5 })
    const url = `${server.url}${server.url.includes('?') ? '&' : '?'}statement_timeout=5`
    const database = await connected({ connectionString: url, lock_timeout: 5 })

    const [found] = await database.query(
      `select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement`,
    )

    expect(found).toEqual({ lock: '5ms', statement: '5ms' })
  })
})
