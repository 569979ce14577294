import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../../src/adapters/postgres/database.ts'
import { postgresEngine } from '../../../src/adapters/postgres/postgres-engine.ts'
import { systemClock } from '../../../src/clock.ts'
import { lacks } from '../../support/lacks.ts'
import { PostgresPooler } from '../../support/worlds/postgres-pooler.ts'
import { noPostgres, type PostgresServer } from '../../support/worlds/postgres-server.ts'
import { postgresForFile } from '../../support/worlds/postgres-suite.ts'

describe.skipIf(lacks(noPostgres()))('an engine in PostgreSQL', () => {
  let [dir, server, look]: [string, PostgresServer, Database] = [] as never
  beforeAll(async () => {
    const started = await postgresForFile()
    ;({ dir, server, look } = started)
    await look.query(`create role shop login`)
    await look.query('create role few login connection limit 1')
    await look.query('grant create on database postgres to few')
    return started.end
  })

  /** Opens a session with another part of the URL. */
  const opened = (from: string, to: string, copies = 1) =>
    postgresEngine({ connectionString: server.url.replace(from, to) }).open({
      cluster: 'c',
      copies,
    })

  test.each([
    ['a user that is not there', 'keelson@', 'nobody@', /role "nobody" does not exist \(28000\)/],
    ['a database that is not there', '/postgres?', '/shop?', /"shop" does not exist \(3D000\)/],
    ['a missing right', 'keelson@', 'shop@', /permission denied for database postgres \(42501\)/],
  ])('%s ends the opening with CONFIG', async (_, from, to, message) => {
    await expect(opened(from, to)).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(message),
      details: { path: 'cluster.engine' },
    })
  })

  test('a limit of the role may pass, and is named', async () => {
    const session = await opened('keelson@', 'few@')

    await expect(session.now()).rejects.toMatchObject({
      code: 'UNKNOWN_OUTCOME',
      message: expect.stringContaining('too many connections for role "few"'),
    })
    await session.close()
  })

  test('a commit that would wait for a standby that is away is not begun, and the standby is named', async () => {
    await look.query(`alter system set synchronous_standby_names = 'east'`)
    await look.query('select pg_reload_conf()')
    onTestFinished(async () => {
      await look.query('alter system reset synchronous_standby_names')
      await look.query('select pg_reload_conf()')
    })
    const clock = systemClock()
    const began = clock.monotonic()

    await expect(opened('', '')).rejects.toMatchObject({
      code: 'UNKNOWN_OUTCOME',
      message: expect.stringContaining(
        'it has 0 synchronous standbys of 1 (synchronous_standby_names is east',
      ),
    })
    // A statement without an answer is given up after 10 s.
    expect(clock.monotonic() - began).toBeLessThan(5_000)

    // A look waits for nobody.
    const session = await opened('', '', 0)
    await session.directory.peek()
    await session.close()
  })

  test.each([
    ['transaction', 'found "a pooler that mixes connections by transaction"'],
    ['session', 'ok'],
  ] as const)('through a pooler by %s: %s', async (mode, expected) => {
    const pooler = new PostgresPooler(join(dir, mode), server.socket, mode)
    await pooler.listen()
    onTestFinished(() => pooler.close())
    const connectionString = `postgres://keelson@localhost/postgres?host=${encodeURIComponent(pooler.folder)}`

    const session = await postgresEngine({ connectionString })
      .open({ cluster: 'pooled', copies: 1 })
      .catch((error: Error) => error)

    if (session instanceof Error) return expect(session.message).toContain(expected)
    expect(expected).toBe('ok')
    await session.directory.set('a', 0, 'b')
    expect((await session.directory.view()).entries.get('a')?.value).toBe('b')
    await session.close()
  })
})
