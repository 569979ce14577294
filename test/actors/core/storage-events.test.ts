/** The events of storage about writes and control. */
import { describe, expect, test } from 'vitest'
import type { StorageEvents } from '../../../src/actors/index.ts'
import { telemetry } from '../../../src/runtime/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

/** Collects the emissions of `event` from now on. */
const heard = <K extends keyof StorageEvents>(app: App, event: K) => {
  const told: Parameters<StorageEvents[K]>[0][] = []
  const bus = telemetry<Record<string, (facts: object) => void>>(app.system)
  bus.on(event as string, (facts: object) => void told.push(facts as (typeof told)[number]))
  return told
}

describe('wal.commit', () => {
  test('reports how long the group waited for the disk', async () => {
    const { world, app } = await started({}, { syncMs: 10 })
    const commits = heard(app, 'wal.commit')
    const first = app.store.put('a', 1)
    await world.clock.advance(4)
    await world.during(Promise.all([first, app.store.put('b', 2), app.store.put('c', 3)]))
    // The second group waited for the first, which had been on its way for 4 of its 10 ms.
    expect(commits.map(({ frames, waitMs }) => [frames, waitMs])).toEqual([
      [1, 0],
      [2, 6],
    ])
  })

  test('does not read the clock without a listener', async () => {
    const { world, app } = await started()
    const { clock } = app.system
    const monotonic = clock.monotonic.bind(clock)
    const count = async (work: () => Promise<unknown>) => {
      let looks = 0
      clock.monotonic = () => {
        looks++
        return monotonic()
      }
      await world.during(work())
      clock.monotonic = monotonic
      return looks
    }
    await world.during(app.store.put('a', 0))
    const silent = await count(() => app.store.put('a', 1))
    heard(app, 'wal.commit')
    expect(await count(() => app.store.put('a', 2))).toBe(silent)
  })
})

describe('applier.applied', () => {
  test('is emitted once per group, with the shard’s position and the load of the overlay', async () => {
    const { world, app } = await started()
    const applied = heard(app, 'applier.applied')
    const { position } = await world.during(app.store.put('a', 'x'.repeat(1000)))
    expect(applied).toEqual([
      {
        instance: 'default',
        shard: 0,
        at: expect.any(Number),
        frames: 1,
        appliedLsn: position.lsn,
        overlayKeys: 1,
        overlayBytes: expect.any(Number),
      },
    ])
    expect(applied[0]?.overlayBytes).toBeGreaterThan(1000)
  })
})

describe('lmdb.lag', () => {
  test('grows while the projection is held, and returns to 0', async () => {
    const { world, app } = await started()
    await world.during(app.control.suspend(0))
    const lag = heard(app, 'lmdb.lag')
    for (const key of ['a', 'b', 'c']) await world.during(app.store.put(key, 1))
    expect(lag.map((told) => [told.lag, told.outbox])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ])
    await world.during(app.control.resumeAll())
    await world.during(app.control.flush(0))
    expect(lag.at(-1)).toMatchObject({ lag: 0, outbox: 0, outboxBytes: 0, tailing: false })
  })
})

describe('control.outcome', () => {
  test('is emitted for each shard asked, with its outcome', async () => {
    const { world, app } = await started({ shards: 2 })
    const outcomes = heard(app, 'control.outcome')
    await world.during(app.control.flushAll())
    const { token } = await world.during(app.control.suspendAll())
    await world.during(
      app.store.putMany([
        ['a', 1],
        ['b', 1],
        ['c', 1],
        ['d', 1],
      ]),
    )
    const timeoutMs = 50
    expect(await world.during(codeOf(app.control.flush(1, { timeoutMs })))).toBe('TIMEOUT')
    await world.during(app.control.discard(1))
    await world.during(app.control.resumeAll({ token }))
    await world.during(app.control.sweepAll())
    await world.during(app.control.reopen(0))
    const short = outcomes.map(({ request, shard, result }) => `${request} ${shard} ${result}`)
    expect(short.sort()).toEqual([
      'discard 1 ok',
      'flush 0 ok',
      'flush 1 TIMEOUT',
      'flush 1 ok',
      'reopen 0 ok',
      'resume 0 ok',
      'resume 1 ok',
      'suspend 0 ok',
      'suspend 1 ok',
      'sweep 0 ok',
      'sweep 1 ok',
    ])
    const late = outcomes.find(({ result }) => result === 'TIMEOUT')
    expect(late?.tookMs).toBeCloseTo(50, -1)
  })
})
