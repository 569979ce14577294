/** The options of `keelson/postgres`: what is wrong is refused before anything is connected to or made. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { clientOptions } from '../../../src/adapters/postgres/client-options.ts'
import { pglite, postgres, restore } from '../../../src/adapters/postgres/postgres.ts'
import { postgresEngine } from '../../../src/adapters/postgres/postgres-engine.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const url = 'postgres://user:secret@db/shop'

describe('postgres', () => {
  test.each([
    ['a name that it does not know', { conectionString: url }, 'conectionString'],
    ['a URL in place of the options', url, 'options'],
    ['a number as connectionString', { connectionString: 1 }, 'connectionString'],
    ['no time for a statement', { connectionString: url, statementMs: 0 }, 'statementMs'],
    [
      'more time than a server counts',
      { connectionString: url, statementMs: 2 ** 31 },
      'statementMs',
    ],
  ])('refuses %s, without what was given', (_, options, path) => {
    const refused = () => postgres(options as never)

    expect(refused).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(refused).toThrow(expect.objectContaining({ details: expect.objectContaining({ path }) }))
    expect(refused).not.toThrow(/secret/)
  })

  test('describes its server without the password', () => {
    expect(postgres({ connectionString: url }).description).toBe('postgres db/shop')
  })
})

describe('postgresEngine', () => {
  test.each([
    ['a name that it does not know', { conectionString: url }, 'conectionString'],
    ['an empty URL', { connectionString: '' }, 'connectionString'],
    ['a URL of nothing', { connectionString: 'secret' }, 'connectionString'],
    [
      'a port that is none',
      { connectionString: `${url}:99999`.replace('/shop', '') },
      'connectionString',
    ],
    ['a number as client', { client: 5 }, 'client'],
  ])('refuses %s, without what was given', (_, options, path) => {
    const refused = () => postgresEngine(options as never)

    expect(refused).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(refused).toThrow(expect.objectContaining({ details: expect.objectContaining({ path }) }))
    expect(refused).not.toThrow(/secret/)
  })

  test('takes a socket, and the environment of the process without options', () => {
    for (const options of [{}, { connectionString: 'postgres://me@localhost/db?host=%2Ftmp' }])
      expect(postgresEngine(options).description).toContain('postgres')
  })
})

describe('a URL beside options of the client', () => {
  const from = async (connectionString: string, client: object) => {
    const { default: pg } = await import('pg')
    const { user, password, host, port, database, ssl } = new pg.Client(
      clientOptions(connectionString, client as never),
    )
    return { user, password, host, port, database, ssl }
  }

  test('has what the client adds, and loses nothing of it', async () => {
    const ssl = { ca: 'certificate' }
    expect(await from('postgres://me@db/shop', { password: 's%c:ret', port: 5433, ssl })).toEqual({
      ...{ user: 'me', password: 's%c:ret', host: 'db', port: 5433, database: 'shop', ssl },
    })
    expect(await from('postgres://', { host: '/tmp', user: 'me', database: 'a b' })).toMatchObject({
      ...{ user: 'me', host: '/tmp', database: 'a b' },
    })
  })

  test.each([
    ['client.ssl', `${url}?sslmode=require`, { ssl: { ca: 'certificate' } }],
    ['client.ssl', `${url}?sslrootcert=/ca.pem`, { ssl: true }],
    ['client.password', url, { password: 'other' }],
    ['client.host', url, { host: 'other' }],
    ['client.application_name', `${url}?application_name=one`, { application_name: 'two' }],
    ['client.password', 'postgres://me@db/shop', { password: () => 'secret' }],
  ])('is refused with %s if both decide it', (path, connectionString, client) => {
    for (const make of [postgres, postgresEngine]) {
      const refused = () => make({ connectionString, client })

      expect(refused).toThrow(
        expect.objectContaining({
          code: 'INVALID_ARGUMENT',
          details: expect.objectContaining({ path }),
        }),
      )
      expect(refused).not.toThrow(/secret/)
    }
  })

  test.each(['postgres://me@a,b/shop', 'postgres:///shop?host=a,b,c'])(
    'is refused with several hosts: %s',
    async (connectionString) => {
      const opened = postgresEngine({ connectionString }).open({ cluster: 'c', copies: 1 })

      await expect(opened).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringContaining('one host'),
      })
    },
  )
})

describe('restore', () => {
  test.each([
    ['without a folder', { dir: undefined }, 'dir', 'the path of a folder'],
    ['into a folder without a name', { dir: '' }, 'dir', 'the path of a folder'],
    ['from a URL', { client: url }, 'client', 'what postgres or pglite made'],
    ['with a name that it does not know', { instance: 'one' }, 'instance', 'instanceId'],
  ])(
    'is refused %s, without what was given, and makes nothing',
    async (_, wrong, path, expected) => {
      const here = tempFolder()

      const refused = restore({ client: pglite(), dir: join(here, 'to'), ...wrong } as never)

      const refusal = await refused.catch((error: unknown) => error)
      expect(refusal).toMatchObject({
        code: 'INVALID_ARGUMENT',
        details: { path, expected: expect.stringContaining(expected) },
      })
      expect(String(refusal)).not.toContain('secret')
      expect(readdirSync(here)).toEqual([])
    },
  )
})
