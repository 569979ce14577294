/** `keelson cluster` on a real server, with two members in this process. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Columns } from '../../../src/adapters/postgres/database.ts'
import { connectPg } from '../../../src/adapters/postgres/pg-database.ts'
import { postgresEngine } from '../../../src/adapters/postgres/postgres-engine.ts'
import { start } from '../../../src/index.ts'
import { runClusterOn } from '../../../src/inspect/cli/cluster-command.ts'
import { parseClusterCommand } from '../../../src/inspect/cluster/cluster-command-line.ts'
import { processEnvironment } from '../../../src/inspect/command/environment.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { lacks } from '../../support/lacks.ts'
import { noPostgres, PostgresServer } from '../../support/worlds/postgres-server.ts'

const leaseMs = 1_000

describe.skipIf(lacks(noPostgres()))('keelson cluster on PostgreSQL', () => {
  let [dir, server]: [string, PostgresServer] = [] as never
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-'))
    server = new PostgresServer(join(dir, 'server'))
    await server.start()
  })
  let name = 'shop'
  afterAll(async () => {
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const engine = () => postgresEngine({ connectionString: server.url })

  const query = async (sql: string): Promise<readonly Columns[]> => {
    const database = await connectPg({ connectionString: server.url })
    return database.query(sql).finally(() => database.close())
  }

  const begin = (member: string, onStandby = (): void => undefined) =>
    start({
      ...{ dir: join(dir, member), logger: silentLogger },
      onProgress: ({ step }) => {
        if (step === 'standby') onStandby()
      },
      cluster: { name, member, engine: engine(), leaseMs },
    })

  const run = async (...words: string[]) => {
    const command = parseClusterCommand([...words, '--json'])
    if (command.kind === 'help') throw new Error('it is help')
    let output = ''
    const stream = new PassThrough().on('data', (text: Buffer) => (output += text))
    const environment = {
      ...{ ...processEnvironment(), output: stream, errors: new PassThrough() },
      onSignal: () => () => undefined,
    }
    const cluster = { name, member: 'x', engine: engine() }
    await runClusterOn({ cluster }, command, environment)
    return JSON.parse(output)
  }

  test('makes a cluster, shows its members and logs, and drains the owner', async () => {
    expect(await run('create', '--shards', '2')).toMatchObject({ shards: 2 })
    const owner = await begin('a')
    await owner.store.put('k', 'v')
    let starting = Promise.resolve(owner)
    await new Promise<void>((waits) => {
      starting = begin('b', waits)
    })

    const shown = await run('status')
    expect(shown).toMatchObject({ shards: 2, owner: { member: 'a', epoch: 1 }, losses: [] })
    const leases = (status: { members: { member: string; lease: string }[] }) =>
      status.members.map(({ member, lease }) => `${member} ${lease}`)
    expect(leases(shown)).toEqual(['a held', 'b held'])
    expect(shown.logs.map(({ end }: { end: { epoch: number } }) => end.epoch)).toEqual([1, 1])

    expect(await run('drain', 'a')).toMatchObject({ member: 'a', wasOwner: true, owner: 'b' })
    expect(await owner.closed).toBe('normal')
    const standby = await starting
    expect(standby.store.get('k')).toBe('v')

    await standby.close()
    expect(leases(await run('status'))).toEqual(['a ended', 'b ended'])
  }, 60_000)

  const groups = `keelson_cluster.groups where log =
    (select number from keelson_cluster.logs where cluster = 'NAME')`
  const middle = `lsn = (select lsn from ${groups} order by lsn offset 5 limit 1)`

  test.each([
    ['row', `delete from ${groups} and ${middle}`, [0, 1, 2, 3]],
    [
      'byte',
      `update keelson_cluster.groups set bytes = set_byte(bytes, 20, get_byte(bytes, 20) # 1)
       where log = (select number from keelson_cluster.logs where cluster = 'NAME') and ${middle}`,
      [0, 1, 2, 3],
    ],
    ['head', `delete from keelson_cluster.logs where cluster = 'NAME'`, []],
  ])(
    'accept-loss cuts a log of which a %s is lost, and members go on with what was before',
    async (what, harm, left) => {
      name = `lost-${what}`
      const keys = Array.from({ length: 10 }, (_, at) => at)
      const first = await begin(`${what}-a`)
      for (const key of keys) await first.store.put(`k${key}`, key)
      await first.close()
      await query(
        `set session_replication_role = replica; ${harm.replaceAll('NAME', name)}; reset session_replication_role`,
      )
      const found = { shard: 0, member: `${what}-b` }
      await expect(begin(`${what}-b`)).rejects.toMatchObject({ code: 'CORRUPT' })
      expect(await run('status')).toMatchObject({ losses: [], doubts: [found] })
      await expect(begin(`${what}-c`)).rejects.toMatchObject({ code: 'CORRUPT' })
      expect(await run('status')).toMatchObject({ losses: [found] })

      expect(await run('accept-loss', '0')).toMatchObject({ accepted: false })
      await expect(begin(`${what}-d`)).rejects.toMatchObject({ code: 'CORRUPT' })
      expect(await run('accept-loss', '0', '--yes')).toMatchObject({ accepted: true })

      // Its cache has more.
      const again = await begin(`${what}-a`)
      expect(keys.filter((key) => again.store.get(`k${key}`) === key)).toEqual(left)
      await again.store.put('k9', 'again')
      await again.close()
      const last = await begin(`${what}-e`)
      expect(last.store.get('k9')).toBe('again')
      await last.close()
    },
    60_000,
  )
})
