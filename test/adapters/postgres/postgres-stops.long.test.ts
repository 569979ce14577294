import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../../src/adapters/postgres/database.ts'
import { postgresEngine } from '../../../src/adapters/postgres/postgres-engine.ts'
import { systemClock } from '../../../src/clock.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import { type EngineGroup, type EngineSession, engineStart } from '../../../src/storage/index.ts'
import { lacks } from '../../support/lacks.ts'
import { noPostgres, type PostgresServer } from '../../support/worlds/postgres-server.ts'
import { postgresForFile } from '../../support/worlds/postgres-suite.ts'
import { StoppingRelay } from '../../support/worlds/stopping-relay.ts'

const leaseMs = 1_000
/** A takeover without a lease to wait for: locks are freed after a part of a lease. The rest is the load of the machine. */
const withinMs = 2 * leaseMs

const groupBehind = (after: EngineGroup['end'], id: string, epoch = after.epoch): EngineGroup => ({
  after,
  end: { epoch, lsn: after.lsn + 1, id },
  provenLsn: after.lsn,
  bytes: Uint8Array.from(Buffer.from(id)),
})

/** Repeats a call until it is answered, as members do. */
const answered = async <T>(call: () => Promise<T>): Promise<T> => {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!isKeelsonError(error, 'UNKNOWN_OUTCOME')) throw error
    }
  }
}

const codeOf = (done: Promise<unknown>): Promise<unknown> =>
  done.then(
    () => 'ok',
    (error: { code?: unknown }) => error.code,
  )

/** A cluster with an owner in epoch 1, whose log has a group and a named snapshot. */
const founded = async (session: EngineSession) => {
  const { directory } = session
  const log = session.log('0')
  await log.create('log')
  const claim = groupBehind(engineStart, 'epoch', 1)
  await log.append(claim)
  const group = groupBehind(claim.end, 'a')
  await log.append(group)
  await log.name(1, { lsn: 1, file: 's1' })
  const revision = await directory.set('member/a', 0, 'a')
  return { session, log, directory, end: group.end, revision }
}
type Founded = Awaited<ReturnType<typeof founded>>

const operations: Readonly<Record<string, (owner: Founded) => Promise<unknown>>> = {
  'a renewal': ({ directory, revision }) => directory.set('member/a', revision, 'a'),
  'an append': ({ log, end }) => log.append(groupBehind(end, 'b')),
  'a claim': async ({ log }) => {
    const { end } = await log.head()
    await log.append(groupBehind(end, 'claim', 2))
  },
  'the name of a snapshot': ({ log }) => log.name(1, { lsn: 2, file: 's2' }),
  'a trim': ({ log }) => log.trim(1, 1, 'mark'),
  'a value that is uploaded': ({ session }) => session.files.put('v', [new Uint8Array(300_000)]),
}

/** The steps of a standby to the ownership. */
const takeOver = async ({ directory, ...session }: EngineSession): Promise<void> => {
  const { entries } = await answered(() => directory.view())
  const seen = entries.get('member/a')?.revision ?? 0
  // If a last change of the dead owner was on its way, the standby looks again.
  const ended = await codeOf(answered(() => directory.set('member/a', seen, 'ended')))
  if (ended !== 'ok') expect(ended).toBe('CONFLICT')
  const log = session.log('0')
  for (let isOurs = false; !isOurs; ) {
    const { end } = await answered(() => log.head())
    const claim = groupBehind(end, `taken after ${end.lsn}`, end.epoch + 1)
    isOurs = (await codeOf(answered(() => log.append(claim)))) === 'ok'
  }
}

describe.skipIf(lacks(noPostgres()))('over PostgreSQL', () => {
  const clock = systemClock()
  let [dir, server, look]: [string, PostgresServer, Database] = [] as never
  beforeAll(async () => {
    const started = await postgresForFile()
    ;({ dir, server, look } = started)
    return started.end
  })

  /** How long a takeover lasts after the owner's `count`th message; `undefined`: it sends fewer. */
  const takeoverAfter = async (
    operation: (owner: Founded) => Promise<unknown>,
    count: number,
  ): Promise<number | undefined> => {
    const cluster = `c-${crypto.randomUUID()}`
    const relay = new StoppingRelay(join(dir, cluster.slice(0, 10)), server.socket)
    await relay.listen()
    const open = (connectionString: string) =>
      postgresEngine({ connectionString }).open({ cluster, copies: 1, leaseMs })
    const [owning, standby] = [await open(relay.url), await open(server.url)]
    const owner = await founded(owning)
    await standby.directory.view()
    const stopped = relay.stopAfter(count).then(() => 'stopped')
    const done = operation(owner).then(
      () => 'done',
      () => new Promise(() => undefined),
    )
    try {
      if ((await Promise.race([stopped, done])) === 'done') return undefined
      const began = clock.monotonic()
      await takeOver(standby)
      return clock.monotonic() - began
    } finally {
      relay.close()
      await Promise.all([owning.close(), standby.close()])
    }
  }

  test.each(Object.entries(operations))(
    '%s that stops between any two messages holds up no takeover',
    async (_, operation) => {
      const durations: number[] = []
      for (let count = 1; ; count++) {
        const ms = await takeoverAfter(operation, count)
        if (ms === undefined) break
        durations.push(ms)
        expect(ms, `after message ${count}`).toBeLessThan(withinMs)
      }
      expect(durations.length).toBeGreaterThan(4)
    },
    120_000,
  )

  test('a view waits for no row of the directory', async () => {
    const session = await postgresEngine({ connectionString: server.url }).open({
      cluster: 'held',
      copies: 1,
    })
    const { directory } = session
    await directory.set('a', 0, '1')
    await look.query('begin')
    onTestFinished(() => look.query('rollback').then(() => undefined))
    await look.query(`update keelson_cluster.clusters set revision = revision + 1`)
    await look.query(`update keelson_cluster.directory set value = '2'`)

    expect((await directory.view()).entries.get('a')?.value).toBe('1')
    await session.close()
  })

  test.each([
    [1, 'the one before it', 'CONFLICT'],
    [2, 'itself', 'ok'],
  ])(
    'an append whose look waits until %i groups are there, the last %s, takes them for no damage',
    async (count, _, answer) => {
      const cluster = `waits-${count}`
      const open = postgresEngine({ connectionString: server.url }).open
      const session = await open({ cluster, copies: 1, leaseMs: 30_000 })
      const { log, end } = await founded(session)
      const first = groupBehind(end, 'b')
      const second = groupBehind(first.end, 'c')
      // Their backend waits for a standby: they are on the server, and nobody sees them.
      await look.query('begin')
      onTestFinished(() => look.query('rollback').then(() => undefined))
      for (const { after, end: to } of [first, second].slice(0, count))
        await look.query(
          `with moved as (
             update keelson_cluster.logs set lsn = $1, id = $2 where cluster = $5 returning number)
           insert into keelson_cluster.groups
             (log, epoch, lsn, id, after_epoch, after_lsn, after_id, proven_lsn, bytes)
           select number, 1, $1, $2, 1, $3, $4, 0, '' from moved`,
          [to.lsn, to.id, after.lsn, after.id, cluster],
        )
      const appended = codeOf(log.append(second))
      const waits = 'select 1 as one from pg_locks where not granted'
      while ((await look.query(waits)).length === 0);
      await look.query('commit')

      expect(await appended).toBe(answer)
      await log.append(second)
      expect((await log.head()).end).toEqual(second.end)
      await session.close()
    },
  )

  /** Sets a setting of the server while it runs, and waits until new work sees it. */
  const reload = async (name: string, value: string): Promise<void> => {
    await look.query(`alter system set ${name} = '${value}'`)
    await look.query('select pg_reload_conf()')
    const shown = 'select 1 as one where current_setting($1) = $2'
    while ((await look.query(shown, [name, value])).length === 0);
  }

  test('an append that a reload lets go without its standby is not acknowledged, and is once the standby is back', async () => {
    await reload('synchronous_standby_names', '*')
    const standby = server.standby()
    onTestFinished(async () => {
      await standby.stop()
      await reload('synchronous_standby_names', '')
    })
    const synchronous = `select 1 as one from pg_stat_replication where sync_state = 'sync'`
    while ((await look.query(synchronous)).length === 0);
    const session = await postgresEngine({ connectionString: server.url }).open({
      ...{ cluster: 'copies', copies: 2, leaseMs },
    })
    const { log, end, directory, revision } = await founded(session)
    const group = groupBehind(end, 'b')

    standby.pause()
    const appended = codeOf(log.append(group))
    const waits = `select 1 as one from pg_stat_activity where wait_event = 'SyncRep'`
    while ((await look.query(waits)).length === 0);
    // So does Patroni without synchronous_mode_strict.
    await reload('synchronous_standby_names', '')

    expect(await appended).toBe('CONFIG')
    expect(await codeOf(log.append(group))).toBe('CONFIG')
    expect(await codeOf(directory.set('member/a', revision, 'a'))).toBe('CONFIG')
    expect(await codeOf(directory.view())).toBe('CONFIG')

    await reload('synchronous_standby_names', '*')
    standby.resume()
    while ((await look.query(synchronous)).length === 0);
    await answered(() => log.append(group))
    await answered(() => directory.view())
    await session.close()
  }, 30_000)

  test.each(['fsync', 'full_page_writes'])(
    'while %s is off, a server that was reloaded acknowledges nothing, and then goes on',
    async (setting) => {
      const session = await postgresEngine({ connectionString: server.url }).open({
        ...{ cluster: setting, copies: 1, leaseMs },
      })
      const { log, end, directory, revision } = await founded(session)
      const group = groupBehind(end, 'b')
      await reload(setting, 'off')
      onTestFinished(() => reload(setting, 'on'))

      const refused = directory.set('member/a', revision, 'a')

      await expect(refused).rejects.toMatchObject({
        code: 'CONFIG',
        message: `the server may lose what it acknowledges: ${setting} is off`,
      })
      expect(await codeOf(log.append(group))).toBe('CONFIG')
      expect(await codeOf(session.files.put('v', []))).toBe('CONFIG')
      await reload(setting, 'on')
      await log.append(group)
      await session.close()
    },
  )
})
