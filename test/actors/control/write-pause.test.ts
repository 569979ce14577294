import { describe, expect, test } from 'vitest'
import { pauseWrites } from '../../../src/actors/control/write-pause.ts'
import {
  Applier,
  Batcher,
  BlobStore,
  type StorageEvents,
  WalWriter,
} from '../../../src/actors/index.ts'
import { type GenServer, resume, suspend, telemetry } from '../../../src/runtime/index.ts'
import { shardOf } from '../../../src/storage/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { batched, outcomesOf } from '../../support/worlds/batched-instance.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const idler: GenServer<object, number> = { init: () => 0 }

/** Two shards, and the keys in each. */
const paused = async ({ syncMs = 5, ...options }: Parameters<typeof batched>[0] = {}) => {
  const world = await batched({ syncMs, shards: 2, ...options })
  const { app } = world
  const keyIn = (shard: number) => [...'abcdefgh'].find((key) => shardOf(key, 2) === shard) ?? ''
  const pause = (terms = {}, shards = app.shards) =>
    pauseWrites(app.system, shards, { deadlineMs: 500, ...terms })
  const startOwner = () => world.during(app.system.start(idler, undefined))
  return { ...world, pause, startOwner, keyIn }
}

/** Whether each shard admits new writes. */
const lets = (app: App): readonly boolean[] => app.shards.map(({ gate }) => !gate.isHeld)

describe('a pause of writes', () => {
  test('holds new writes of every shard until it is resumed, and is resumed once', async () => {
    const { app, clock, during, pause } = await paused()
    const held = await during(pause())
    const puts = ['a', 'b', 'c', 'd'].map((key) => app.store.put(key, 1))
    const outcomes = outcomesOf(puts)
    await clock.advance(1_000)
    expect(new Set(outcomes)).toEqual(new Set(['pending']))

    expect([held.resume(), held.resume()]).toEqual([true, false])
    await during(Promise.all(puts))
  })

  test('begins when nothing is under way: no write, no window, no frame for the applier', async () => {
    const { app, clock, during, pause } = await paused({ syncMs: 20 })
    const writes = [
      app.store.put('direct', 1),
      app.store.put('s:window', 1, { windowMs: 10_000 }),
      app.store.put('s:other', 1, { windowMs: 60 }),
    ]
    await clock.settle()

    await during(pause(), 200)

    await Promise.all(writes)
    expect(app.store.getMany(['direct', 's:window', 's:other'])).toEqual([1, 1, 1])
    expect(app.shards.map(({ gate }) => gate.load.entered)).toEqual([0, 0])
  })

  test('lets a write that waited behind a blob wait for no window', async () => {
    const { app, clock, during, pause } = await paused({ blobs: { threshold: 100 } })
    const stores = app.shards.map(({ index }) => app.system.to(BlobStore.name(index)))
    await during(Promise.all(stores.map((store) => suspend(store))))
    const writes = [app.store.put('t', 'x'.repeat(200)), app.store.put('t', 2, { windowMs: 5_000 })]
    await clock.settle()

    const pausing = pause()
    await during(Promise.all(stores.map((store) => resume(store))))

    await during(pausing, 100)
    await during(Promise.all(writes), 1)
    expect(app.store.get('t')).toBe(2)
  })

  test('waits for a frame on its way to the disk even if its caller has given up', async () => {
    const { app, clock, during, pause } = await paused({ syncMs: 100 })
    const put = codeOf(app.store.put('a', 1, { deadlineMs: 10 }))
    await clock.advance(20)
    expect(await put).toBe('UNKNOWN_OUTCOME')
    expect(app.shards.map(({ gate }) => gate.load.entered)).toEqual([0, 0])
    const pausing = pause()
    const outcomes = outcomesOf([pausing])
    await clock.advance(50)
    expect(outcomes).toEqual(['pending'])

    await during(pausing)
    expect(app.store.get('a')).toBe(1)
  })

  test('with a shard that does not drain in time holds none', async () => {
    const { app, clock, during, pause, keyIn } = await paused()
    await during(suspend(app.system.to(Applier.name(1))))
    const stuck = app.store.put(keyIn(1), 1)
    const other = app.store.put(keyIn(0), 1)
    await clock.advance(20)

    const code = codeOf(pause())
    expect(lets(app)).toEqual([false, false])
    await clock.advance(600)

    expect(await code).toBe('TIMEOUT')
    expect(lets(app)).toEqual([true, true])
    await during(resume(app.system.to(Applier.name(1))))
    await during(Promise.all([stuck, other]))
  })

  test('holds every gate before it waits for any, and writes over several shards cause no deadlock', {
    tags: ['S5'],
  }, async () => {
    const { app, during, pause, clock, keyIn } = await paused()
    const [a, b] = [keyIn(0), keyIn(1)]
    const before = app.store.putMany([
      [a, 1],
      [b, 1],
    ])
    const pausing = pause()
    const after = app.store.putMany([
      [a, 2],
      [b, 2],
    ])

    const held = await during(pausing, 100)
    await before
    await clock.advance(100)
    expect(app.store.getMany([a, b])).toEqual([1, 1])

    held.resume()
    await during(after)
    expect(app.store.getMany([a, b])).toEqual([2, 2])
  })

  test('is held by the gates: no death of an actor ends it', async () => {
    const { app, clock, during, pause } = await paused()
    const held = await during(pause())
    for (const { name } of [WalWriter, Applier, Batcher]) app.system.kill(name(0) as never)
    await clock.advance(500)
    const put = app.store.put('a', 1)
    const outcomes = outcomesOf([put])
    await clock.advance(500)
    expect(outcomes).toEqual(['pending'])

    held.resume()
    await during(put)
  })

  test('ends with its lease', async () => {
    const { app, clock, during, pause } = await paused()
    const held = await during(pause({ leaseMs: 300 }))
    await clock.advance(300)

    expect(lets(app)).toEqual([true, true])
    expect(held.resume()).toBe(false)
  })

  test('with a lease that ends while it drains does not begin', async () => {
    const { app, clock, during, pause, keyIn } = await paused()
    await during(suspend(app.system.to(Applier.name(0))))
    const stuck = app.store.put(keyIn(0), 1)
    await clock.advance(20)

    const code = codeOf(pause({ leaseMs: 50 }))
    await clock.advance(60)

    expect(await code).toBe('DISCARDED')
    await during(resume(app.system.to(Applier.name(0))))
    await during(stuck)
  })

  test('emits an event when it begins and when it ends', async () => {
    const { app, during, pause } = await paused()
    const told: unknown[] = []
    const events = telemetry<StorageEvents>(app.system)
    events.on('gate.paused', ({ shard }) => told.push(`paused ${shard}`))
    events.on('gate.resumed', ({ shard }) => told.push(`resumed ${shard}`))

    const held = await during(pause())
    held.resume()
    const { token } = await during(app.control.suspendAll({ writes: true }))
    await during(app.control.resumeAll({ token }))

    const once = ['paused 0', 'paused 1', 'resumed 0', 'resumed 1']
    expect(told).toEqual([...once, ...once])
  })
})

describe('two pauses of one shard (2.4)', () => {
  test('last as long as their own owners: the death of the first does not end the second', {
    tags: ['S1'],
  }, async () => {
    const { app, clock, during, pause, startOwner } = await paused()
    const [first, second] = [await startOwner(), await startOwner()]
    await during(pause({ owner: first }))
    const held = await during(pause({ owner: second }))

    app.system.kill(first)
    await clock.advance(100)
    expect(lets(app)).toEqual([false, false])

    held.resume()
    expect(lets(app)).toEqual([true, true])
  })

  test('are over when both have ended: an owner that dies blocks no write forever', {
    tags: ['S2'],
  }, async () => {
    const { app, clock, during, pause, startOwner } = await paused()
    const mortal = await startOwner()
    const held = await during(pause())
    await during(pause({ owner: mortal }))

    held.resume()
    expect(lets(app)).toEqual([false, false])
    app.system.kill(mortal)
    await clock.settle()
    expect(lets(app)).toEqual([true, true])
  })

  test('count the death of a token holder as the end of its write', { tags: ['S4'] }, async () => {
    const { app, clock, during, pause, startOwner } = await paused()
    const [shard] = app.shards
    const owner = await startOwner()
    shard?.gate.enter(
      { bytes: 1, commands: 1, whenFull: 'wait', deadlineMs: 1_000 },
      (entry) => shard.gate.token(entry).transfer(owner),
      () => undefined,
    )
    const pausing = pause()
    const outcomes = outcomesOf([pausing])
    await clock.advance(50)
    expect(outcomes).toEqual(['pending'])

    app.system.kill(owner)

    await during(pausing, 20)
  })
})

describe('control.suspendAll with writes', () => {
  test('answers when nothing is under way, windows included', async () => {
    const { app, during } = await paused({ syncMs: 10 })
    const put = app.store.put('s:a', 1, { windowMs: 10_000 })

    const { outcomes } = await during(app.control.suspendAll({ writes: true }), 200)

    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true])
    expect(app.health().shards.map(({ writes }) => writes.entered)).toEqual([0, 0])
    await put
  })

  test('does not suspend a shard that does not drain, and releases its writers', async () => {
    const { app, clock, during, keyIn } = await paused()
    await during(suspend(app.system.to(Applier.name(1))))
    const stuck = app.store.put(keyIn(1), 1)
    await clock.advance(20)

    const { outcomes } = await during(app.control.suspendAll({ writes: true, timeoutMs: 300 }))

    expect(outcomes).toMatchObject([{ ok: true }, { ok: false, error: { code: 'TIMEOUT' } }])
    expect(lets(app)).toEqual([false, true])
    await during(resume(app.system.to(Applier.name(1))))
    await during(stuck)
  })
})
