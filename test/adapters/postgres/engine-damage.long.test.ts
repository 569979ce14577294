/**
 * Damage in the tables of a real server: each row deleted, and each column of each row changed, one at a time. A member with
 * an empty cache has every acknowledged value then, or ends with CORRUPT, and the next one marks what it read too as lost.
 * The tables and columns are asked of the server, so that a new one is in the test.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type App, start } from 'keelson'
import { postgresEngine } from 'keelson/postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Columns, Database } from '../../../src/adapters/postgres/database.ts'
import { connectPg } from '../../../src/adapters/postgres/pg-database.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { lacks } from '../../support/lacks.ts'
import { sampled } from '../../support/tier.ts'
import { noPostgres, PostgresServer } from '../../support/worlds/postgres-server.ts'

const values = new Map<string, unknown>([
  ['k0', 'first'],
  ['k1', 'second'],
  ['large', 'x'.repeat(300_000)],
])

/** What a damaged part may lead to. Each other end is a fault, such as a start that waits for ever. */
const rightEnds: Readonly<Record<string, RegExp>> = {
  version: /^(whole|CORRUPT|UNSUPPORTED_VERSION)$/,
  clusters: /^(whole|CORRUPT)$/,
  directory: /^(whole|CORRUPT)$/,
  logs: /^(whole|CORRUPT lost\/0|UNSUPPORTED_VERSION)$/,
  groups: /^(whole|CORRUPT lost\/0)$/,
  files: /^(whole|CORRUPT lost\/0|CORRUPT large)$/,
  chunks: /^(whole|CORRUPT lost\/0|CORRUPT large)$/,
}

/** The expressions that change a column of a type, of which those that change nothing are left out. */
const changesOf = (column: string, type: string): readonly string[] => {
  const [first, middle, last] = ['1', `length(${column}) / 2 + 1`, `length(${column})`]
  const numbers = [`${column} + 1`, `${column} - 1`, '0']
  const flipped = (at = '') =>
    `overlay(${column} placing chr(ascii(substr(${column}, ${at}, 1)) # 1) from ${at})`
  const flippedByte = (at = '') =>
    `set_byte(${column}, ${at} - 1, get_byte(${column}, ${at} - 1) # 1)`
  const changes: Readonly<Record<string, readonly string[]>> = {
    bigint: numbers,
    integer: numbers,
    text: [flipped(middle), flipped(last)],
    bytea: [`''`, ...[first, middle, last].map(flippedByte)],
    jsonb: [`'[]'`, `'{}'`, `'[1]'`],
    'timestamp with time zone': [`${column} + interval '1 hour'`],
  }
  const found = changes[type]
  if (!found) throw new Error(`the test has no change of a column of type ${type}`)
  return found
}

describe.skipIf(lacks(noPostgres()))('damage in the tables of PostgreSQL', () => {
  let [dir, server, database]: [string, PostgresServer, Database] = [] as never
  let tables: readonly string[] = []

  const engine = () => postgresEngine({ connectionString: server.url })

  const begin = (member: string): Promise<App> =>
    start({
      ...{ dir: join(dir, member), logger: silentLogger },
      cluster: { name: 'shop', member, engine: engine(), leaseMs: 10_000, startTimeoutMs: 8_000 },
    })

  const names = async (sql: string, ...parameters: string[]): Promise<readonly Columns[]> =>
    database.query(sql, parameters)

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-'))
    server = new PostgresServer(join(dir, 'server'))
    await server.start()
    const app = await begin('a')
    for (const [key, value] of values) await app.store.put(key, value)
    await app.control.snapshotAll()
    for (const [key, value] of values) if (key !== 'large') await app.store.put(key, value)
    await app.control.snapshotAll()
    for (const [key, value] of values) if (key !== 'large') await app.store.put(key, value)
    await app.close()
    database = await connectPg({ connectionString: server.url })
    // As in a damaged table: references hold nothing back.
    await database.query('set session_replication_role = replica')
    await database.query('create schema sound')
    const found = await names(
      `select table_name from information_schema.tables where table_schema = 'keelson_cluster'`,
    )
    tables = found.map((row) => String(row.table_name))
    for (const table of tables)
      await database.query(`create table sound.${table} as select * from keelson_cluster.${table}`)
  }, 60_000)
  afterAll(async () => {
    await database?.close()
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const restore = async (): Promise<void> => {
    await database.query(`truncate ${tables.map((table) => `keelson_cluster.${table}`).join()}`)
    for (const table of tables)
      await database.query(
        `insert into keelson_cluster.${table} overriding system value select * from sound.${table}`,
      )
  }

  const marksLike = async (pattern: string): Promise<readonly unknown[]> =>
    (await names('select name from keelson_cluster.directory where name like $1', pattern)).map(
      ({ name }) => name,
    )

  /** How a member without a cache ends: `whole`, `wrong …`, or the code and what the next member marks. */
  const outcome = async (member = 'b'): Promise<string> => {
    rmSync(join(dir, member), { recursive: true, force: true })
    const app = await begin(member).catch((error: { code?: string }) => error)
    if (!('store' in app)) {
      const isDoubted = (await marksLike('doubt/%')).length > 0 && member === 'b'
      return isDoubted ? outcome('c') : [app.code, ...(await marksLike('lost/%'))].join(' ')
    }
    try {
      for (const [key, value] of values) {
        const found = await app.store.load(key).catch((error: { code?: string }) => error.code)
        if (found === 'CORRUPT' && key === 'large') return 'CORRUPT large'
        if (found !== value) return `wrong ${key}: ${String(found).slice(0, 40)}`
      }
      return 'whole'
    } finally {
      await app.close()
    }
  }

  /** The changes of a table, as statements that return a row if they change something. */
  const harmsOf = async (table: string): Promise<readonly string[]> => {
    const columns = await names(
      `select column_name, data_type from information_schema.columns
       where table_schema = 'keelson_cluster' and table_name = $1 order by ordinal_position`,
      table,
    )
    const sets = columns.flatMap(({ column_name: column, data_type: type }) =>
      changesOf(String(column), String(type)).map(
        (change) => [`${column} = ${change}`, `${column} is distinct from ${change}`] as const,
      ),
    )
    const rows = await names(`select ctid::text as place from keelson_cluster.${table}`)
    // The order is that of the copy after each restore, and so are the places.
    return rows.flatMap(({ place }) => [
      `delete from keelson_cluster.${table} where ctid = '${place}' returning 1`,
      ...sets.map(
        ([set, differs]) =>
          `update keelson_cluster.${table} set ${set} where ctid = '${place}' and ${differs} returning 1`,
      ),
    ])
  }

  /** Does harm. False: it changes nothing, or the server itself refuses it. */
  const harmed = async (harm: string): Promise<boolean> => {
    try {
      return (await database.query(harm)).length === 1
    } catch (error) {
      // The key of another row; a row without a table; a byte that is not there.
      if (['23505', '428C9', '2202E', '22003'].includes(String(Object(error).code))) return false
      throw error
    }
  }

  test.each(Object.keys(rightEnds))(
    'each row of %s that is deleted or changed costs no acknowledged value in silence',
    async (table) => {
      await restore()
      const faults: string[] = []
      const ends = new Set<string>()
      for (const harm of sampled(await harmsOf(table), 4)) {
        await restore()
        if (!(await harmed(harm))) continue
        const end = await outcome()
        ends.add(end)
        if (!rightEnds[table]?.test(end)) faults.push(`${end}: ${harm}`)
      }
      expect(faults).toEqual([])
      // Some of it is needed, and its damage was noticed.
      expect([...ends].filter((end) => end !== 'whole')).not.toEqual([])
    },
    900_000,
  )

  test('no table is left out', () => {
    expect(Object.keys(rightEnds).sort()).toEqual([...tables].sort())
  })
})
