/** Rows with many bytes come from a real server as they are. */
import { beforeAll, describe, expect, test } from 'vitest'
import { connectPg, type PgDatabase } from '../../../src/adapters/postgres/pg-database.ts'
import { lacks } from '../../support/lacks.ts'
import { noPostgres } from '../../support/worlds/postgres-server.ts'
import { postgresForFile } from '../../support/worlds/postgres-suite.ts'

describe.skipIf(lacks(noPostgres()))('a read by COPY', () => {
  let database: PgDatabase
  beforeAll(async () => {
    const { server, end } = await postgresForFile()
    database = await connectPg({ connectionString: server.url })
    return async () => {
      await database.close()
      await end()
    }
  })

  const columns = { number: 'bigint', words: 'text', content: 'bytea' } as const

  test('gives numbers, texts and bytes, also at their bounds and without any', async () => {
    const most = Number.MAX_SAFE_INTEGER
    const rows = await database.read(
      `select * from (values (${most}::bigint, 'täglich 🎉', '\\x00ff'::bytea),
         (-${most}, '', ''), (null, null, null), (0, repeat('é', 70000), decode(repeat('0a', 300000), 'hex')))
         as rows (number, words, content)`,
      [],
      columns,
    )
    expect(rows).toEqual([
      { number: most, words: 'täglich 🎉', content: Buffer.of(0, 255) },
      { number: -most, words: '', content: Buffer.alloc(0) },
      { number: null, words: null, content: null },
      { number: 0, words: 'é'.repeat(70_000), content: Buffer.alloc(300_000, 10) },
    ])
    expect(await database.read('select 1::bigint where false', [], columns)).toEqual([])
  })

  test.each([["it's", "a'; drop table x; --", '\\', "\\'", '$1', '', 'a\nb', '😀']])(
    'takes texts as they are, whatever they contain: %s',
    async (...texts) => {
      for (const text of texts) {
        const rows = await database.read(
          "select $1::bigint as number, $2::text as words, convert_to($2::text, 'UTF8') as content",
          [-7, text],
          columns,
        )
        expect(rows).toEqual([{ number: -7, words: text, content: Buffer.from(text) }])
      }
    },
  )

  test('that the server refuses leaves the connection as it was', async () => {
    await expect(database.read('select 1 / 0', [], columns)).rejects.toMatchObject({
      code: '22012',
    })
    await expect(database.read('select no_such', [], columns)).rejects.toMatchObject({
      code: '42703',
    })
    expect(await database.query('select 1 as one')).toEqual([{ one: 1 }])
  })

  test('whose connection is closed rejects, at once and while rows come', async () => {
    const { server, end } = await postgresForFile()
    const other = await connectPg({ connectionString: server.url })
    const reading = other.read('select pg_sleep(60)::text as words', [], { words: 'text' })
    const outcome = reading.then(
      () => 'rows',
      () => 'rejected',
    )
    await other.close()
    expect(await outcome).toBe('rejected')
    await expect(other.read('select 1::bigint', [], columns)).rejects.toThrow()
    await end()
  })
})
