/**
 * The engine in PostgreSQL: the contract of engines on a real server, what a server must be, and answers that are lost in the
 * middle of a commit.
 */
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Database, numberIn } from '../../../src/adapters/postgres/database.ts'
import { connectPg } from '../../../src/adapters/postgres/pg-database.ts'
import { postgresEngine } from '../../../src/adapters/postgres/postgres-engine.ts'
import { type EngineGroup, type EngineLog, engineStart } from '../../../src/storage/index.ts'
import { engineContract } from '../../contracts/cluster-engine.contract.ts'
import { lacks } from '../../support/lacks.ts'
import { thorough } from '../../support/tier.ts'
import { noPostgres, PostgresServer } from '../../support/worlds/postgres-server.ts'

/** What makes a group, or a file, one of the cluster. */
const effects = ['groups', 'files'].map((table) => `insert into keelson_cluster.${table}`)

/** Relays connections to a server, and swallows the answer to an effect when it is told to. */
class LossyRelay {
  #loses = false
  readonly #server: Server
  readonly folder: string

  constructor(folder: string, target: string) {
    this.folder = folder
    mkdirSync(folder)
    this.#server = createServer((client) => {
      const upstream = connect(target)
      let isCut = false
      client.on('error', () => undefined)
      upstream.on('error', () => undefined)
      client.on('data', (bytes) => {
        isCut ||= this.#loses && effects.some((each) => bytes.includes(each))
        upstream.write(bytes)
      })
      upstream.on('data', (bytes) => {
        if (!isCut) return void client.write(bytes)
        this.#loses = false
        client.destroy()
      })
      client.on('close', () => void upstream.end())
      upstream.on('close', () => void client.destroy())
    })
  }

  async listen(): Promise<void> {
    this.#server.listen(join(this.folder, '.s.PGSQL.5432'))
    await once(this.#server, 'listening')
  }

  loseNext(): void {
    this.#loses = true
  }

  close(): void {
    this.#server.close()
  }
}

const urlOf = (folder: string): string =>
  `postgres://keelson@localhost/postgres?host=${encodeURIComponent(folder)}`

const groupBehind = (after: EngineGroup['end'], id: string, epoch = after.epoch): EngineGroup => ({
  after,
  end: { epoch, lsn: after.lsn + 1, id },
  provenLsn: after.lsn,
  bytes: Uint8Array.from(Buffer.from(id)),
})

const codeOf = (done: Promise<unknown>): Promise<unknown> =>
  done.then(
    () => 'ok',
    (error: { code?: unknown }) => error.code,
  )

describe.skipIf(lacks(noPostgres()))('an engine in PostgreSQL', () => {
  let [dir, server, relay, look]: [string, PostgresServer, LossyRelay, Database] = [] as never
  const engine = () => postgresEngine({ connectionString: server.url })
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-'))
    server = new PostgresServer(join(dir, 'server'))
    await server.start()
    relay = new LossyRelay(join(dir, 'relay'), join(dir, 'server', '.s.PGSQL.5432'))
    await relay.listen()
    look = await connectPg({ connectionString: server.url })
  })
  afterAll(async () => {
    await look.close()
    relay.close()
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  engineContract(() => ({
    engine: engine(),
    lossy: async (cluster) => {
      const lossy = postgresEngine({ connectionString: urlOf(relay.folder) })
      const session = await lossy.open({ cluster, copies: 1 })
      return { session, loseNext: () => relay.loseNext() }
    },
  }))

  /** A member of a cluster of its own, whose log has epoch 1. */
  const owner = async (cluster: string, copies = 1) => {
    const session = await engine().open({ cluster, copies })
    const log = session.log('0')
    await log.create('log')
    const claim = groupBehind(engineStart, 'epoch', 1)
    await log.append(claim)
    return { session, log, claim }
  }

  const idsIn = async (log: EngineLog): Promise<string[]> =>
    (await log.read(0, 1 << 20)).groups.map(({ end }) => end.id)

  /** Looks until a statement says that it is so. */
  const until = async (sql: string, ...parameters: readonly unknown[]): Promise<void> => {
    while ((await look.query(sql, parameters)).length === 0);
  }

  test('whose connections are killed at any moment has each acknowledged group once', async () => {
    const { session, log, claim } = await owner('killed')
    const kill = `select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'keelson' and state = 'active' and query like '%into keelson_cluster.groups%'`
    let unanswered = 0
    const ids = ['epoch']
    for (let at = claim.end, count = thorough(50, 500); count > 0; count--) {
      const group = groupBehind(at, `g${count}`)
      let isPending = true
      const first = codeOf(log.append(group)).finally(() => {
        isPending = false
      })
      while (isPending) await look.query(kill)
      let code = await first
      for (; code === 'UNKNOWN_OUTCOME'; unanswered++) code = await codeOf(log.append(group))
      expect(code).toBe('ok')
      ids.push(group.end.id)
      at = group.end
    }

    expect(await idsIn(log)).toEqual(ids)
    expect(unanswered).toBeGreaterThan(0)
    await session.close()
  })

  test('has no chunks of an upload that had no answer once its repeat is the file', async () => {
    const { session } = await owner('uploads')
    await look.query(
      `insert into keelson_cluster.chunks (cluster, name, upload, place, bytes)
       values ('uploads', 'large', 'unanswered', 0, 'wh'), ('uploads', 'other', 'of another', 0, 'o')`,
    )

    await session.files.put('large', [Buffer.from('whole')])

    const left = await look.query(
      `select name, upload = 'unanswered' as is_left from keelson_cluster.chunks
       where cluster = 'uploads' order by name`,
    )
    expect(left.map((row) => [row.name, row.is_left])).toEqual([
      ['large', false],
      ['other', false],
    ])
    for await (const piece of session.files.read('large'))
      expect(Buffer.from(piece).toString()).toBe('whole')
    await session.close()
  })

  test('says CORRUPT where rows of a log are missing, and reads nothing behind them', async () => {
    const { session, log, claim } = await owner('holes')
    const first = groupBehind(claim.end, 'a')
    await log.append(first)
    await log.append(groupBehind(first.end, 'b'))
    await look.query(
      `delete from keelson_cluster.groups using keelson_cluster.logs
       where log = number and cluster = 'holes' and groups.id = 'a'`,
    )

    expect(await codeOf(log.read(0, 1 << 20))).toBe('CORRUPT')
    expect(await codeOf(log.read(1, 1 << 20))).toBe('CORRUPT')
    expect((await log.read(2, 1 << 20)).groups).toHaveLength(1)

    // Nor does anybody append behind a last group that is missing.
    const { end } = await log.head()
    await look.query(`delete from keelson_cluster.groups where id = 'b'`)
    expect(await codeOf(log.append(groupBehind(end, 'c')))).toBe('CORRUPT')
    await session.close()
  })

  test('with copies needs a synchronous standby; a wait for it that is cancelled or killed is no answer, and the repeat waits again', async () => {
    expect(await codeOf(engine().open({ cluster: 'c', copies: 2 }))).toBe('CONFIG')
    await look.query(`alter system set synchronous_standby_names = '*'`)
    await look.query('select pg_reload_conf()')
    await until(`select 1 as one where current_setting('synchronous_standby_names') = '*'`)
    expect(await codeOf(engine().open({ cluster: 'c', copies: 3 }))).toBe('CONFIG')
    expect(await codeOf(engine().open({ cluster: 'c', copies: 2 }))).toBe('UNKNOWN_OUTCOME')
    const standby = server.standby()
    onTestFinished(() => standby.stop())
    await until(`select 1 as one from pg_stat_replication where sync_state = 'sync'`)
    const { session, log, claim } = await owner('c', 2)

    const waiting = `select pid from pg_stat_activity
      where application_name = 'keelson' and wait_event = 'SyncRep' and pid <> $1`
    const ids = ['epoch']
    let at = claim.end
    for (const end of ['pg_cancel_backend', 'pg_terminate_backend']) {
      const group = groupBehind(at, end)
      standby.pause()
      const appended = codeOf(log.append(group))
      await until(waiting, 0)
      const [{ pid } = { pid: 0 }] = await look.query(waiting, [0])
      await look.query(`select ${end}($1::integer)`, [pid])
      expect(await appended).toBe('UNKNOWN_OUTCOME')

      // The commit is there, and no standby has it: the repeat may not be answered yet.
      let isAnswered = false
      const repeated = codeOf(log.append(group)).finally(() => {
        isAnswered = true
      })
      while (!isAnswered && (await look.query(waiting, [pid])).length === 0);
      expect(isAnswered).toBe(false)
      const [shown] = await look.query(
        'select count(*) as count from keelson_cluster.groups where id = $1',
        [end],
      )
      expect(numberIn(shown ?? {}, 'count')).toBe(1)
      standby.resume()
      expect(await repeated).toBe('ok')
      ids.push(end)
      at = group.end
    }

    expect(await idsIn(log)).toEqual(ids)

    // An entry that the standby does not have is shown, and is in no view.
    const { directory } = session
    standby.pause()
    const set = codeOf(directory.set('owner', 0, 'a'))
    await until(waiting, 0)
    const [{ pid } = { pid: 0 }] = await look.query(waiting, [0])
    await look.query('select pg_terminate_backend($1::integer)', [pid])
    expect(await set).toBe('UNKNOWN_OUTCOME')
    expect((await directory.peek()).entries.get('owner')?.value).toBe('a')
    let isSeen = false
    const view = directory.view().finally(() => {
      isSeen = true
    })
    await until(waiting, 0)
    expect(isSeen).toBe(false)
    standby.resume()
    expect((await view).entries.get('owner')?.value).toBe('a')
    await session.close()
    await look.query('alter system reset synchronous_standby_names')
    await look.query('select pg_reload_conf()')
  })

  test('a wait for a lock ends, and no connection is left behind', async () => {
    const { session, log, claim } = await owner('locked')
    // A session of a member's own role would be ended.
    await look.query('create role operator login superuser')
    const other = await connectPg({
      connectionString: server.url.replace('keelson@', 'operator@'),
    })
    await other.query('begin')
    await other.query(`select from keelson_cluster.logs where cluster = 'locked' for update`)

    const appended = await codeOf(log.append(groupBehind(claim.end, 'a')))

    expect(appended).toBe('UNKNOWN_OUTCOME')
    const [left] = await look.query(
      `select count(*) as count from pg_stat_activity
       where application_name = 'keelson' and wait_event_type = 'Lock'`,
    )
    expect(numberIn(left ?? {}, 'count')).toBe(0)
    await other.query('rollback')
    await log.append(groupBehind(claim.end, 'a'))
    expect(await idsIn(log)).toEqual(['epoch', 'a'])
    await other.close()
    await session.close()
  }, 30_000)

  test('is refused without fsync', async () => {
    await look.close()
    await server.stop()
    await server.start('fsync=off')
    look = await connectPg({ connectionString: server.url })

    expect(await codeOf(engine().open({ cluster: 'c', copies: 1 }))).toBe('CONFIG')
  })

  test('describes itself without the password', () => {
    const connectionString = 'postgres://user:secret@db/shop'
    expect(postgresEngine({ connectionString }).description).toBe('postgres db/shop')
  })
})
