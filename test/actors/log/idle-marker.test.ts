import { describe, expect, test } from 'vitest'
import { WalWriter } from '../../../src/actors/index.ts'
import {
  codeOf,
  failNextSync,
  type Machine,
  machine,
  started,
} from '../../support/worlds/simulated-instance.ts'

const newest = ({ disk }: Machine): string => {
  const folder = '/data/shard-0/wal'
  const names = disk.list(folder).filter((name) => name.endsWith('.wal'))
  return `${folder}/${names.sort((a, b) => (a.slice(-12) < b.slice(-12) ? -1 : 1)).at(-1)}`
}

/** Counts the writes to segments from now on. */
const writesOf = ({ disk }: Machine) => {
  const calls = disk.recordCalls()
  return () =>
    calls.filter(({ operation, path }) => operation === 'write' && path.endsWith('.wal')).length
}

describe('an idle log', () => {
  test('gets one marker after 100 ms without a write, and no more', async () => {
    const world = machine({ syncMs: 0 })
    const { clock, start, during } = world
    const app = await start()
    await clock.advance(1_000)
    const writes = writesOf(world)
    await during(app.store.put('a', 1))
    await clock.advance(60)
    await during(app.store.put('b', 2))
    await clock.advance(99)
    expect(writes()).toBe(2)

    await clock.advance(1)
    expect(writes()).toBe(3)
    await clock.advance(60_000)
    expect(writes()).toBe(3)
    expect(clock.untilNext()).toBeUndefined()
  })

  test('reports damage to the last write as CORRUPT; without the marker it would be cut', {
    tags: ['E43'],
  }, async () => {
    const endings = []
    for (const idleMarkerMs of [100, 0]) {
      const world = machine()
      const { clock, disk, projections, start, during } = world
      const options = { wal: { idleMarkerMs }, lmdb: { intervalMs: 60_000, maxLagMs: 120_000 } }
      const app = await start(options)
      await during(app.store.put('a', 1))
      await clock.advance(500)
      disk.halt()
      await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
      disk.crash()
      projections.loseCommits('/data/shard-0/lmdb', 9)

      disk.flipBit(newest(world), 8 * (4096 + 40))

      endings.push(await codeOf(start(options)))
    }
    expect(endings).toEqual(['CORRUPT', 'ok'])
  })

  test('gets no marker while writes are held, and one when they continue', async () => {
    const world = machine({ syncMs: 0 })
    const { clock, start, during } = world
    const app = await start()
    const writes = writesOf(world)
    await during(app.store.put('a', 1))
    const { token } = await during(app.control.suspendAll({ writes: true, flush: false }))
    const before = writes()

    await clock.advance(10_000)
    expect(writes()).toBe(before)
    await during(app.control.resumeAll({ ...(token ? { token } : {}) }))
    await clock.advance(200)
    expect(writes()).toBe(before + 1)
  })

  test.each([
    ['idleMarkerMs: 0', { idleMarkerMs: 0 }],
    ['enableFsync: false', { enableFsync: false }],
  ])('gets none with %s', async (_, wal) => {
    const world = machine({ syncMs: 0 })
    const { clock, start, during } = world
    const app = await start({ wal })
    const writes = writesOf(world)
    await during(app.store.put('a', 1))

    await clock.advance(10_000)

    expect(writes()).toBe(1)
  })

  test('with a failing marker goes down at once, and reopens with every write', async () => {
    const { clock, disk, during, app } = await started({
      lmdb: { intervalMs: 60_000, maxLagMs: 120_000 },
    })
    await during(app.store.put('a', 1))
    failNextSync(disk)

    await clock.advance(1_000)

    expect(app.health().shards[0]?.phase).toBe('down')
    expect(await codeOf(app.store.put('b', 1))).toBe('SHARD_DOWN')
    await during(app.control.reopen(0))
    expect(app.store.get('a')).toBe(1)
  })

  test('counts its marker neither as lag nor as activity', async () => {
    const { clock, during, app } = await started()
    const { position } = await during(app.store.put('a', 1))
    await during(app.control.flushAll())
    await clock.advance(1_000)

    const described = await during(
      WalWriter.describe(app.system.whereis(WalWriter.name(0)) as never),
    )
    const { lsn } = position
    expect([described.lastLsn, described.durableLsn]).toEqual([lsn + 1, lsn + 1])
    expect(described.log?.lastLsn).toBe(lsn + 1)
    expect((await during(app.control.flushAll())).outcomes).toMatchObject([{ ok: true }])
    expect((await during(app.store.put('b', 2))).position.lsn).toBe(position.lsn + 2)
    expect(app.store.get('b')).toBe(2)
  })
})

describe('a disk whose sync takes 2 s', () => {
  test('bounds the accepted writes, keeps their order, and refuses the rest with BUSY', {
    tags: ['D24', 'D25', 'E48'],
  }, async () => {
    const { clock, during, app } = await started(
      { wal: { queueBytes: 64 * 1024 }, deadlineMs: 600_000 },
      { syncMs: 2_000 },
    )
    const value = 'x'.repeat(1_000)
    const outcomes: string[] = []
    const settled: number[] = []
    const puts = Array.from({ length: 500 }, async (_, at) => {
      const code = await codeOf(app.store.put(`k${at}`, value, { whenFull: 'refuse' }))
      outcomes[at] = String(code)
      if (code === 'ok') settled.push(at)
    })
    await clock.settle()
    expect(app.shards[0]?.gate.load.bytes).toBeLessThanOrEqual(64 * 1024)

    await during(Promise.all(puts))

    const accepted = outcomes.filter((code) => code === 'ok').length
    expect(accepted).toBeGreaterThan(30)
    expect(accepted).toBeLessThanOrEqual(64)
    expect(outcomes.slice(accepted)).toEqual(Array(500 - accepted).fill('BUSY'))
    expect(settled).toEqual(settled.toSorted((a, b) => a - b))
    expect(app.store.get('k0')).toBe(value)
  })

  test('admits the waiting writes in their order when there is room', {
    tags: ['D25'],
  }, async () => {
    const { during, app } = await started(
      { wal: { queueBytes: 16 * 1024 }, deadlineMs: 600_000 },
      { syncMs: 2_000 },
    )
    const order: number[] = []
    const puts = Array.from({ length: 100 }, (_, at) =>
      app.store.put(`k${at % 7}`, `${at}${'x'.repeat(1_000)}`).then(() => void order.push(at)),
    )

    await during(Promise.all(puts), 600_000)

    expect(order).toEqual(Array.from({ length: 100 }, (_, at) => at))
    expect(app.store.get('k1')).toBe(`99${'x'.repeat(1_000)}`)
  })
})
