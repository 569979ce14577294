/** Control of an instance whose shards several members have: from each of them it is that of the instance. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { KeelsonError } from '../../../src/errors.ts'
import { countsByNamespace, createSystem } from '../../../src/index.ts'
import { shardOf } from '../../../src/storage/values/key.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { lacks } from '../../support/lacks.ts'
import { openShards } from '../../support/open-shards.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'
import { failNextSync } from '../../support/worlds/simulated-instance.ts'

const shards = 12
const names = ['a', 'b', 'c']
let world: FolderMembers
let [a, b, c]: [App, App, App] = [] as never
const during = <T>(work: Promise<T>): Promise<T> => world.during(work)

beforeEach(async () => {
  world = new FolderMembers(names)
  const given = () => ({ shards, allowDown: true, projections: [countsByNamespace('counts')] })
  const started = await world.start(names, given)
  ;[a, b, c] = started as [App, App, App]
})

const indexes = Array.from({ length: shards }, (_, at) => at)
const allOk = indexes.map((shard) => ({ shard, ok: true }))

/** The shards that are suspended at their owner. */
const suspended = (...apps: App[]): number[] =>
  apps
    .flatMap((app) => app.health().shards.filter((each) => each.suspended))
    .map(({ shard }) => shard)
    .sort((one, other) => one - other)

/** A key of a shard. */
const keyOf = (shard: number, of = 'k'): string => {
  for (let at = 0; ; at++) if (shardOf(`${of}${at}`, shards) === shard) return `${of}${at}`
}

const codesOf = (outcomes: readonly { readonly error?: KeelsonError }[]) =>
  outcomes.map(({ error }) => error?.code ?? 'ok')

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  during(
    work.then(
      () => 'ok',
      (error: KeelsonError) => error.code,
    ),
  )

describe('control of members', () => {
  test('holds the writes of every shard, also those of callers elsewhere', async () => {
    const { token } = await during(b.control.suspendAll({ writes: true }))
    const puts = indexes.map((shard) => a.store.put(keyOf(shard), 1, { deadlineMs: 500 }))

    const ends = await during(Promise.allSettled(puts))
    expect(ends.map((end) => (end.status === 'rejected' ? end.reason.code : 'ok'))).toEqual(
      indexes.map(() => 'NOT_SUBMITTED'),
    )
    await during(b.control.resumeAll({ token }))
    await during(Promise.all(indexes.map((shard) => a.store.put(keyOf(shard), 2))))
  })

  test('ends by force, or as the holder of the instance, what another member suspended', async () => {
    await during(a.control.suspendAll())
    expect(await during(b.control.resumeAll())).toEqual({ outcomes: allOk })
    expect(suspended(a, b, c)).toEqual([])

    const owner = await during(a.system.start({ init: () => 0 }, undefined))
    await during(a.control.suspendAll({ owner }))
    await during(c.control.resumeAll())
    expect(suspended(a, b, c)).toEqual(indexes)
    expect(await during(b.control.resumeAll({ force: true }))).toEqual({ outcomes: allOk })
    expect(suspended(a, b, c)).toEqual([])
  })

  test('ends a suspension everywhere with its owner, with its lease, and with the member that was asked', async () => {
    const owner = await during(a.system.start({ init: () => 0 }, undefined))
    await during(a.control.suspendAll({ owner }))
    a.system.kill(owner)
    await world.clock.advance(50)
    expect(suspended(a, b, c)).toEqual([])

    await during(a.control.suspendAll({ leaseMs: 500 }))
    // Timers fire up to 2 ms early or late.
    await world.clock.advance(497)
    expect(suspended(a, b, c)).toEqual(indexes)
    await world.clock.advance(6)
    expect(suspended(a, b, c)).toEqual([])

    await during(a.control.suspendAll())
    const lost = openShards(a)
    await world.kill('a')
    await world.clock.advance(2_000)
    expect(suspended(b, c)).toEqual([])
    expect([...openShards(b), ...openShards(c)]).toEqual(expect.arrayContaining(lost))
  })

  test('holds nothing for an owner that has ended before', async () => {
    const owner = await during(a.system.start({ init: () => 0 }, undefined))
    a.system.kill(owner)
    await world.clock.advance(50)
    const { outcomes } = await during(a.control.suspendAll({ owner, writes: true }))
    expect(outcomes.filter(({ ok }) => ok)).toEqual([])
    expect(suspended(a, b, c)).toEqual([])
  })

  test('names the shards whose hold has ended with their owner', async () => {
    const { token } = await during(a.control.suspendAll())
    const lost = openShards(b)
    await world.kill('b')
    await world.clock.advance(2_000)
    expect(suspended(a, c)).toEqual(indexes.filter((each) => !lost.includes(each)))

    const { outcomes } = await during(a.control.resumeAll({ token }))
    expect(codesOf(outcomes)).toEqual(
      indexes.map((each) => (lost.includes(each) ? 'INVALID_ARGUMENT' : 'ok')),
    )
  })

  test('ends the hold of a shard that its owner hands over at its end, and resume names it', async () => {
    const { token } = await during(a.control.suspendAll({ writes: true }))
    const lost = openShards(b)
    await during(b.close({ deadlineMs: 1_000 }))
    await world.clock.advance(2_000)
    expect([...openShards(a), ...openShards(c)]).toEqual(expect.arrayContaining(lost))
    expect(suspended(a, c)).toEqual(indexes.filter((each) => !lost.includes(each)))
    await during(Promise.all(lost.map((shard) => a.store.put(keyOf(shard), 1))))

    const { outcomes } = await during(c.control.resumeAll({ token }))
    expect(codesOf(outcomes)).toEqual(
      indexes.map((each) => (lost.includes(each) ? 'INVALID_ARGUMENT' : 'ok')),
    )
  })

  test('keeps a shard that is suspended at its owner, until that resumes it', async () => {
    await world.kill('b')
    await world.clock.advance(2_000)
    const { token } = await during(a.control.suspendAll())
    const [before, beforeToo] = [openShards(a), openShards(c)]
    const [again] = await world.start(['b'], () => ({
      shards,
      projections: [countsByNamespace('counts')],
    }))
    await world.clock.advance(30_000)
    expect([openShards(a), openShards(c)]).toEqual([before, beforeToo])

    expect(await during(a.control.resumeAll({ token }))).toEqual({ outcomes: allOk })
    await world.clock.advance(30_000)
    expect(openShards(again as App).length).toBeGreaterThan(0)
    expect(await during(a.control.flushAll())).toEqual({ outcomes: allOk })
  })

  test.skipIf(lacks(FolderMembers.noLogs))(
    'says of a shard that lost its owner while it was asked that it is not held',
    async () => {
      const [shard = 0] = openShards(c)
      // That of `c` waits for a write which does not end.
      world.machine.syncMs = 5_000
      const put = c.store.put(keyOf(shard), 1)
      put.catch(() => undefined)
      await world.clock.advance(1)
      const suspending = a.control.suspendAll({ writes: true, timeoutMs: 20_000 })
      await world.clock.advance(100)
      const lost = openShards(b)
      world.machine.syncMs = 1
      await world.kill('b')

      const { outcomes } = await during(suspending)
      const error = expect.objectContaining({ code: 'DISCARDED', details: { shard: lost[0] } })
      expect(outcomes[lost[0] as number]).toEqual({ shard: lost[0], ok: false, error })
      expect(outcomes[shard]).toEqual({ shard, ok: true })
    },
  )

  test('flushes, discards, sweeps and makes snapshots at every owner', async () => {
    await during(Promise.all(indexes.map((shard) => a.store.put(keyOf(shard), shard))))

    expect(await during(b.control.flushAll())).toEqual({ outcomes: allOk })
    for (const app of [a, b, c])
      for (const index of openShards(app)) {
        const { appliedLsn, projectedLsn } = app.shards[index] as App['shards'][number]
        expect(projectedLsn).toBe(appliedLsn)
      }
    expect(await during(b.control.discardAll())).toEqual({ outcomes: allOk })
    const swept = await during(b.control.sweepAll())
    expect(swept.outcomes.map(({ ok, report }) => ok && typeof report)).toEqual(
      indexes.map(() => 'object'),
    )
    const made = await during(b.control.snapshotAll())
    expect(made.outcomes.map(({ snapshot }) => typeof snapshot?.lsn)).toEqual(
      indexes.map(() => 'number'),
    )
    const [shard = 0] = openShards(a)
    expect(await during(b.control.snapshot(shard))).toMatchObject({ lsn: expect.any(Number) })
  })

  test.skipIf(lacks(FolderMembers.noLogs))(
    'follows the clock of the machine in every shard',
    async () => {
      const hour = 3_600_000
      const machine = new FolderMembers(names)
      let aheadMs = 0
      const clock = { ...machine.clock, now: () => machine.clock.now() + aheadMs }
      const system = () => createSystem({ clock, logger: silentLogger })
      const apps = await machine.start(names, () => ({ shards, system: system() }))
      aheadMs = hour
      await machine.clock.advance(2_000)

      const accepted = await machine.during((apps[0] as App).control.acceptClock())
      expect(accepted.outcomes).toEqual(allOk.map((each) => ({ ...each, leaptMs: hour })))
      const ahead = apps.flatMap((app) =>
        app
          .health()
          .shards.flatMap(({ phase, clockAheadMs }) => (phase === 'open' ? [clockAheadMs] : [])),
      )
      expect(ahead).toEqual(indexes.map(() => 0))
      for (const app of apps) await machine.during(app.close())
    },
  )

  test.skipIf(lacks(FolderMembers.noLogs))(
    'reopens a shard that is down at its owner, and says with its member why it is down',
    async () => {
      const [shard = 0] = openShards(b)
      failNextSync(world.machine.disk, shard)
      expect(await codeOf(b.store.put(keyOf(shard), 1))).toBe('UNKNOWN_OUTCOME')

      const { outcomes } = await during(a.control.flushAll())
      expect(outcomes[shard]?.error).toMatchObject({
        code: 'SHARD_DOWN',
        details: { shard, state: 'down', member: 'b' },
      })
      expect(await during(a.control.reopen(shard))).toEqual({
        ...{ shard, was: 'down' },
        reopened: expect.arrayContaining(['shard']),
      })
      expect(await during(a.control.flush(shard))).toBeUndefined()
    },
  )
})

describe('the handles of a shard at another member', () => {
  test('flush the windows of its writers', async () => {
    const [shard = 0] = openShards(b)
    let isDone = false
    const put = a.store.put(keyOf(shard), 1, { windowMs: 10_000 })
    void put.then(() => {
      isDone = true
    })
    await world.clock.advance(100)
    expect(isDone).toBe(false)
    await during(c.batcher.flush())
    await world.clock.advance(5)
    expect(isDone).toBe(true)
    await during(c.batcher.stop(shard))
  })

  test('set the window of a namespace at every member', async () => {
    a.batcher.setWindow('n', 50, { by: 'ops' })
    await world.clock.advance(10)
    for (const app of [a, b, c]) {
      expect(app.batcher.windows()).toEqual({ n: 50 })
      expect(app.batcher.changes()).toMatchObject([{ namespace: 'n', ms: 50, by: 'ops' }])
    }
  })

  test('describe, sync and check the log and the projection there', async () => {
    const [shard = 0] = openShards(b)
    await during(a.store.put(keyOf(shard), 1))
    const { lsn } = b.wal(shard).position
    const [wal, writer] = [a.wal(shard), a.lmdbWriter(shard)]

    expect(await during(wal.sync())).toBe(lsn)
    expect(await during(wal.describe())).toEqual(await during(b.wal(shard).describe()))
    expect(await during(wal.commitment())).toEqual(await during(b.wal(shard).commitment()))
    expect(await during(wal.checkpoint())).toMatchObject({ lsn })
    expect(await during(wal.release())).toEqual(await during(b.wal(shard).release()))
    expect(await during(writer.request(lsn))).toBe(lsn)
    await during(a.control.suspend(shard))
    expect(await during(writer.describe())).toMatchObject({ projectedLsn: lsn, suspensions: [{}] })
  })

  test('say of what works at the owner alone that it does, and where that is', async () => {
    const [shard = 0] = openShards(b)
    const [wal, writer] = [a.wal(shard), a.lmdbWriter(shard)]
    const calls: [string, () => unknown][] = [
      ['wal(N).position', () => wal.position],
      ['wal(N).read()', () => wal.read()],
      ['batcher.write', () => a.batcher.write(shard, { kind: 'delete', key: keyOf(shard) })],
      ['batcher.syncToken', () => a.batcher.syncToken(shard)],
      ['blobs.prepare', () => a.blobs.prepare(shard, { kind: 'delete', key: keyOf(shard) })],
      ['journal.on(N).replay', () => a.journal.on(shard).replay({ handler: () => undefined })],
      ['lmdbWriter(N).durableIndex', () => writer.durableIndex],
      ['lmdbWriter(N).begin()', () => writer.begin('mine')],
      ['lmdbWriter(N).get()', () => writer.get('mine', 'k')],
      ['lmdbWriter(N).enqueueOpsCapacity', () => writer.enqueueOpsCapacity],
      ['lmdbWriter(N).markProjectionDirty()', () => writer.markProjectionDirty()],
      ['lmdbWriter(N).markMirrorDegraded()', () => writer.markMirrorDegraded('x')],
    ]
    for (const [act, made] of calls) {
      const message = `shard ${shard} is at the member b: \`${act.replace('N', `${shard}`)}\` works there alone`
      await expect(async () => made(), act).rejects.toMatchObject({ code: 'ELSEWHERE', message })
    }
  })

  test('wait for a projection of users at every owner, and rebuild it there', async () => {
    const puts = indexes.map((shard) => a.store.put(keyOf(shard, 'n:'), shard))
    await during(Promise.all(puts))
    await during(c.projection('counts').reached())
    const counted = [a, b, c].flatMap((app) =>
      app
        .projection('counts')
        .status()
        .map(({ shard, state }) => [shard, state]),
    )
    expect(counted.sort(([one], [other]) => Number(one) - Number(other))).toEqual(
      indexes.map((shard) => [shard, 'live']),
    )

    await during(a.projection('counts').rebuild())
    await during(b.projection('counts').reached())
  })
})
