/** What a killed actor still had pending must change nothing for the next one. */
import { describe, expect, test } from 'vitest'
import {
  Applier,
  Control,
  LmdbWriter,
  type StorageEvents,
  WalWriter,
} from '../../src/actors/index.ts'
import {
  type GenServer,
  getState,
  type Messages,
  stopProcess,
  telemetry,
} from '../../src/runtime/index.ts'
import { supervisor, worker } from '../../src/supervisors/index.ts'
import { codeOf, failNextSync, machine } from '../support/simulated-instance.ts'

describe('a writer that is killed again while its predecessor still ends', () => {
  test('never writes beside it: everything acknowledged is there, in this process and in the next', async () => {
    for (const gapMs of [0, 1, 3, 7, 12, 20]) {
      const { clock, start, during } = machine({ syncMs: 2, endMs: 10 })
      const app = await start()
      await during(app.store.put('before', 1))

      app.system.kill(WalWriter.name(0))
      await clock.advance(gapMs)
      app.system.kill(WalWriter.name(0))
      const keys = Array.from({ length: 20 }, (_, at) => `k${at}`)
      await during(Promise.all(keys.map((key) => app.store.put(key, key))))
      expect(app.health().shards[0]?.phase).toBe('open')
      await during(app.close())

      const again = await start()
      expect(
        keys.filter((key) => again.store.get(key) !== key),
        `gap ${gapMs}`,
      ).toEqual([])
      await during(again.close())
    }
  })

  test('does not put the shard down when its opening is cut off', async () => {
    const { clock, start, during } = machine({ syncMs: 5, endMs: 5 })
    const app = await start()
    for (let round = 0; round < 4; round++) {
      app.system.kill(WalWriter.name(0))
      await clock.advance(8)
    }

    await during(app.store.put('a', 1))

    expect(app.health().shards[0]).toMatchObject({ phase: 'open' })
    expect(await during(app.control.reopen(0))).toMatchObject({ was: 'running' })
  })
})

describe('an applier that is killed again while it rebuilds', () => {
  test('never shows its view: a later read sees what was acknowledged', async () => {
    for (const gapMs of [0, 1, 2, 4, 6]) {
      const { clock, start, during } = machine({ syncMs: 2 })
      const app = await start()
      await during(app.control.suspendAll())
      await during(app.store.put('a', 'old'))
      app.system.kill(Applier.name(0))
      await clock.advance(gapMs)
      app.system.kill(Applier.name(0))

      await during(app.store.put('a', 'new'))

      expect(app.store.get('a'), `gap ${gapMs}`).toBe('new')
      await during(app.close())
    }
  })
})

describe('at level `written`', () => {
  test('an applier that starts again still shows what was acknowledged', async () => {
    const { clock, start, during } = machine()
    const app = await start({ wal: { enableFsync: false } })
    await during(app.store.put('a', 1))

    app.system.kill(Applier.name(0))
    await clock.advance(50)

    expect(app.store.get('a')).toBe(1)
  })

  test('a projection whose writer starts again takes what it lacks, and then rests', async () => {
    const { clock, disk, start, during } = machine()
    const app = await start({ wal: { enableFsync: false } })
    await during(app.control.suspendAll({ leaseMs: 100 }))
    await during(app.store.put('a', 1))
    app.system.kill(LmdbWriter.name(0))
    await clock.advance(1_000)
    expect(app.health().shards[0]?.projectedLsn).toBe(app.health().shards[0]?.appliedLsn)

    const before = disk.calls
    await clock.advance(10_000)
    expect(disk.calls).toBe(before)
  })
})

describe('a suspension that ends while it still flushes', () => {
  /** An instance whose flush takes a second: the log has to be synced first. */
  const stuck = async () => {
    const world = machine({ syncMs: 1_000 })
    const app = await world.start({ wal: { enableFsync: false } })
    await world.during(app.store.put('a', 1))
    return { ...world, app }
  }
  const isFree = ({ app }: Awaited<ReturnType<typeof stuck>>) => {
    expect(app.health().shards).toMatchObject([{ suspended: false }])
    expect(app.shards[0]?.gate.holds).toEqual([])
    expect(app.shards[0]?.suspensions.size).toBe(0)
  }

  test.each<[string, object]>([
    ['by its lease', { leaseMs: 500 }],
    ['by its time-out', { timeoutMs: 500 }],
  ])('%s leaves no hold behind', async (_, options) => {
    const world = await stuck()
    const outcome = world.app.control.suspendAll({ writes: true, timeoutMs: 5_000, ...options })

    const { outcomes } = await world.during(outcome)
    expect(outcomes).toMatchObject([{ ok: false }])

    await world.clock.advance(5_000)
    isFree(world)
    await world.during(world.app.store.put('b', 1))
  })

  test('with its owner leaves no hold behind', async () => {
    const world = await stuck()
    const owner = await world.during(world.app.system.start({ init: () => 0 }, undefined))
    const outcome = world.app.control.suspendAll({ writes: true, owner, timeoutMs: 5_000 })
    await world.clock.settle()

    world.app.system.kill(owner)

    expect((await world.during(outcome)).outcomes).toMatchObject([{ ok: false }])
    await world.clock.advance(5_000)
    isFree(world)
  })

  test('with control itself leaves no hold behind', async () => {
    const world = await stuck()
    const outcome = codeOf(world.app.control.suspendAll({ writes: true, timeoutMs: 5_000 }))
    await world.clock.settle()

    world.app.system.kill(Control.name())

    expect(await world.during(outcome)).toBe('EXITED')
    await world.clock.advance(5_000)
    isFree(world)
  })
})

describe('memory', () => {
  test('does not grow with writes whose callers gave up on a disk that hangs', async () => {
    const { clock, start, during } = machine({ syncMs: 10_000 })
    const app = await start()
    const first = codeOf(app.store.put('first', 1, { deadlineMs: 60_000 }))
    await clock.settle()
    for (let round = 0; round < 40; round++) {
      const puts = Array.from({ length: 200 }, (_, at) =>
        codeOf(app.store.put(`k${at}`, 1, { deadlineMs: 5 })),
      )
      await clock.advance(5)
      expect(new Set(await Promise.all(puts))).toEqual(new Set(['NOT_SUBMITTED']))
    }
    const writer = app.system.to(WalWriter.name(0))
    const { queue } = await during(getState<{ queue: readonly unknown[] }>(writer))
    expect(queue.length).toBeLessThan(2_000)

    await during(first)
  })
})

describe('a damaged row', () => {
  test('of one shard restarts that shard’s applier only, also when a range meets it', async () => {
    const { clock, projections, start, during } = machine()
    const app = await start({ shards: 3 })
    const { position } = await during(app.store.put('a', 1))
    await during(app.control.flushAll())
    await clock.advance(10)
    projections.damageRow(`/data/shard-${position.shard}/lmdb`, 'a')
    const started: (string | undefined)[] = []
    app.system.events.on('process.started', ({ name }) => started.push(name))

    expect(() => app.store.range()).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    await clock.advance(1_000)

    expect(started.filter((name) => name?.startsWith('applier'))).toEqual([
      `applier(${position.shard})`,
    ])
    expect(app.store.get('a')).toBe(1)
  })
})

describe('reopen', () => {
  test('right after SHARD_DOWN works, and the reason that is told is that of the disk', async () => {
    const { disk, start, during } = machine()
    const app = await start()
    await during(app.store.put('a', 1))
    failNextSync(disk)
    expect(await during(codeOf(app.store.put('b', 1)))).toBe('UNKNOWN_OUTCOME')
    const refusal = await app.store.put('c', 1).catch((error) => error)
    expect(refusal).toMatchObject({
      code: 'SHARD_DOWN',
      cause: { details: { reason: 'poisoned', errno: 'EIO' } },
    })

    const [one, two] = await during(Promise.all([app.control.reopen(0), app.control.reopen(0)]))

    expect(one).toMatchObject({ was: 'down' })
    expect(two).toMatchObject({ was: 'down' })
    await during(app.store.put('d', 1))
    expect(app.store.get('a')).toBe(1)
  })
})

describe('start', () => {
  test('is not disturbed by an onProgress that throws, and leaves the folder free', async () => {
    const { start, during } = machine()
    const app = await start({
      onProgress: () => {
        throw new Error('mine')
      },
    })
    await during(app.close())
    await during((await start()).close())
  })

  test('refuses minDurable of a shard that is not there, and takes the greatest of several', async () => {
    const { start, during } = machine()
    const app = await start()
    await during(app.store.put('a', 1))
    await during(app.close())

    const minDurable = (...lsns: number[]) => ({
      wal: { minDurable: lsns.map((lsn) => ({ shard: 0, lsn })) },
    })
    expect(await codeOf(start({ wal: { minDurable: [{ shard: 7, lsn: 1 }] } }))).toBe('CONFIG')
    expect(await codeOf(start(minDurable(9_999, 1)))).toBe('CORRUPT')
    await during((await start(minDurable(1))).close())
  })
})

describe('a supervisor that is killed', () => {
  test.each(['shard(0)', 'shards', 'followers(0)', 'services'])(
    '%s comes back, and the store with it',
    async (name) => {
      const { clock, start, during } = machine({ syncMs: 5, endMs: 20 })
      const app = await start({ shards: 2 })
      await during(app.store.put('a', 1))

      app.system.kill(name as never)
      await clock.advance(500)
      await during(app.store.put('b', 2))

      expect(app.health().shards.map(({ phase }) => phase)).toEqual(['open', 'open'])
      expect([app.store.get('a'), app.store.get('b')]).toEqual([1, 2])
      expect((await during(app.control.flushAll())).outcomes).toMatchObject([
        { ok: true },
        { ok: true },
      ])
    },
  )

  test('shard(0), ended by hand, is down and says so, and comes back by control.reopen', async () => {
    const { clock, start, during } = machine()
    const app = await start()
    await during(app.store.put('a', 1))

    await during(stopProcess(app.system.to('shard(0)' as never), 'normal'))
    await clock.advance(10)

    expect(app.health().shards).toMatchObject([
      { phase: 'down', reason: 'its supervisor ended: normal' },
    ])
    await during(app.control.reopen(0))
    expect(app.store.get('a')).toBe(1)
  })
})

test('a listener that throws disturbs no actor', async () => {
  const { start, during } = machine()
  const app = await start()
  const events = telemetry<StorageEvents>(app.system)
  for (const event of ['wal.commit', 'wal.recovered', 'lmdb.flushed', 'lmdb.suspended'] as const)
    events.on(event, () => {
      throw new Error('mine')
    })

  await during(app.store.put('a', 1))
  const { outcomes } = await during(app.control.suspendAll())
  await during(app.control.resumeAll())

  expect(outcomes).toEqual([{ shard: 0, ok: true }])
  expect(app.system.processes().every(({ restarts }) => restarts === 0)).toBe(true)
})

test('a user’s process that hangs as it starts again does not hold up close for ever', async () => {
  const { clock, start, during } = machine()
  let starts = 0
  const hanging: GenServer<Messages, number> = {
    init: () => (++starts === 1 ? 0 : new Promise<number>(() => undefined)),
  }
  const app = await start({ app: supervisor('app', {}, [worker('hanging', hanging)]) })
  app.system.kill('hanging' as never)
  await clock.settle()
  expect(starts).toBe(2)

  await during(app.close({ deadlineMs: 500 }), 2_000)

  expect(await app.closed).toBe('normal')
  await during((await start()).close())
})

test('a second suspension of a projection that is held and behind gets BUSY at once, and holds no writers', async () => {
  const { clock, start, during } = machine()
  const app = await start()
  await during(app.control.suspendAll())
  await during(app.store.put('a', 1))

  const { outcomes } = await during(app.control.suspendAll({ writes: true }), 100)

  expect(outcomes).toMatchObject([{ ok: false, error: { code: 'BUSY' } }])
  await during(app.store.put('b', 1))
  const flushless = await during(app.control.suspendAll({ flush: false }))
  expect(flushless.outcomes).toMatchObject([{ ok: true }])
  await clock.advance(10)
})

test('what is no process is no owner of a suspension', async () => {
  const { start } = machine()
  const app = await start()

  for (const owner of [5, {}, 'x'])
    expect(await codeOf(app.control.suspendAll({ owner } as never))).toBe('INVALID_ARGUMENT')
})

test('control of a closed instance says so', async () => {
  const { start, during } = machine()
  const app = await start()
  await during(app.close())

  expect(await codeOf(app.control.flushAll())).toBe('CLOSED')
})

test('a put with ack `projected` outlasts a discard and the death of the projection’s writer', async () => {
  const { clock, start, during } = machine({ syncMs: 100 })
  const app = await start({ wal: { enableFsync: false } })
  const put = app.store.put('a', 1, { ack: 'projected' })
  await clock.advance(150)
  const discard = app.control.discardAll()
  await clock.advance(20)
  app.system.kill(LmdbWriter.name(0))

  await during(put)
  await during(discard)
  expect(app.health().shards[0]?.projectedLsn).toBeGreaterThan(0)
})

describe('a tree of the user’s', () => {
  const slow: GenServer<Messages, number> = {
    init: (_, context) => {
      context.trapExit(true)
      return 0
    },
    terminate: (_state, _reason, context) =>
      new Promise<void>((resolve) => {
        context.system.clock.after(20, resolve)
      }),
  }

  test('comes back after its supervisor, or the one above that, was killed, also when it takes its time to end', async () => {
    const { clock, start, during } = machine()
    const app = await start({ app: supervisor('app', {}, [worker('slow', slow)]) })
    for (const name of ['services', 'app', 'services', 'app']) {
      app.system.kill(name as never)
      await clock.advance(200)
    }

    await during(app.store.put('a', 1))

    expect(app.system.whereis('slow' as never)).toBeDefined()
    expect((await during(app.control.flushAll())).outcomes).toMatchObject([{ ok: true }])
  })

  test('does not hold up close behind its deadline, however deep it hangs', async () => {
    const { clock, start, during } = machine()
    const stuck: GenServer<Messages, number> = {
      ...slow,
      terminate: () => new Promise<void>(() => undefined),
    }
    const endless = { shutdown: 'infinity' } as const
    const tree = supervisor('app', {}, [
      worker('a', stuck, endless),
      supervisor('inner', {}, [worker('b', stuck, endless)]),
    ])
    const app = await start({ app: tree })
    const before = clock.monotonic()

    await during(app.close({ deadlineMs: 500 }), 5_000)

    expect(clock.monotonic() - before).toBeLessThan(700)
    expect(app.system.processes()).toEqual([])
  })
})

describe('a shard that is down', () => {
  test('is not opened by a restart of a writer that was killed as it stopped, and reopens', async () => {
    const { clock, disk, start, during } = machine({ endMs: 5 })
    const app = await start()
    await during(app.store.put('a', 1))
    failNextSync(disk)
    const put = codeOf(app.store.put('b', 1))
    while (app.shards[0]?.phase.kind !== 'down') await clock.advance(1)

    app.system.kill(WalWriter.name(0))
    expect(await during(put)).toBe('UNKNOWN_OUTCOME')
    await clock.advance(100)
    expect(app.system.whereis(WalWriter.name(0))).toBeUndefined()

    expect(await during(app.control.reopen(0))).toMatchObject({ was: 'down' })
    expect(app.store.get('a')).toBe(1)
  })
})

test('a wait for the projection ends with the instance', async () => {
  const { start, during } = machine()
  const app = await start()
  await during(app.control.suspendAll())
  const put = codeOf(app.store.put('a', 1, { ack: 'projected', deadlineMs: 1_000_000 }))

  await during(app.close({ deadlineMs: 100 }))

  expect(await during(put, 200)).toBe('TIMEOUT')
})
