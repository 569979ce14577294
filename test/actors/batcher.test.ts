import { describe, expect, test } from 'vitest'
import { Applier, Batcher, WalWriter } from '../../src/actors/index.ts'
import {
  call,
  type From,
  type GenServer,
  noReply,
  resume,
  suspend,
  terminateChild,
} from '../../src/runtime/index.ts'
import { encodeValue, noExpiry } from '../../src/storage/index.ts'
import { treeNames } from '../../src/supervisors/instance-tree.ts'
import { batched, msOf, outcomesOf } from '../support/batched-instance.ts'
import { codeOf } from '../support/simulated-instance.ts'

const entry = (key: string, value: unknown) => ({
  key,
  value: encodeValue(value),
  expiry: noExpiry,
})

describe('a window', () => {
  test('lets the writes of a namespace share one frame, and each caller gets its own answer', async () => {
    const { app, during, flushed } = await batched({ batcher: { windows: { s: 20 } } })
    await during(app.store.put('s:old', 1))

    const writes = [app.store.put('s:a', 1), app.store.delete('s:old'), app.store.delete('s:none')]
    const [put, old, none] = await during(Promise.all(writes))

    expect([old, none]).toMatchObject([{ existed: true }, { existed: false }])
    expect(put?.position).toEqual(none?.position)
    expect(flushed.slice(1)).toMatchObject([
      { namespace: 's', writes: 3, commands: 3, queuedMs: 20, result: 'ok' },
    ])
  })

  test('is what a write waits at most: its window, and its own commit', async () => {
    const world = await batched({ syncMs: 3 })

    expect(await msOf(world, world.app.store.put('s:a', 1, { windowMs: 20 }))).toBe(23)
  })

  test('costs other writes nothing: without one they never touch the batcher', async () => {
    const world = await batched({ syncMs: 3, batcher: { windows: { s: 1_000 } } })
    const waiting = world.app.store.put('s:a', 1)

    expect(await msOf(world, world.app.store.put('t:a', 1))).toBe(3)
    expect(await msOf(world, world.app.store.put('s:b', 1, { windowMs: 0 }))).toBe(3)
    expect(world.flushed).toEqual([])
    await world.during(waiting)
  })

  test('of one namespace does not hold up that of another', async () => {
    const world = await batched({ batcher: { windows: { slow: 5_000, fast: 5 } } })
    const slow = world.app.store.put('slow:a', 1)

    expect(await msOf(world, world.app.store.put('fast:a', 1))).toBe(6)
    expect(world.flushed.map(({ namespace }) => namespace)).toEqual(['fast'])
    await world.during(slow)
  })

  test('is not made longer by later writes, and made shorter by one whose own is', async () => {
    const world = await batched()
    const first = world.app.store.put('s:a', 1, { windowMs: 20 })
    await world.clock.advance(15)
    const later = world.app.store.put('s:b', 1, { windowMs: 20 })
    expect(await msOf(world, first)).toBe(6)
    await later

    const patient = world.app.store.put('s:a', 1, { windowMs: 5_000 })
    expect(await msOf(world, world.app.store.put('s:b', 1, { windowMs: 5 }))).toBe(6)
    await world.during(patient, 1)
  })

  test('that is over while a frame is in flight: the next forms meanwhile, and goes at once when it settles', async () => {
    const world = await batched({ syncMs: 100 })
    const first = world.app.store.put('s:a', 1, { windowMs: 1 })
    await world.clock.advance(10)
    const second = world.app.store.put('s:b', 1, { windowMs: 5_000 })
    const third = world.app.store.put('s:c', 1, { windowMs: 1 })

    expect(await msOf(world, first)).toBe(91)
    expect(await msOf(world, Promise.all([second, third]))).toBe(100)
    expect(world.flushed.map(({ writes }) => writes)).toEqual([1, 2])
  })

  test('takes a late message of an older timer for nothing', async () => {
    const { app, clock, during, flushed } = await batched()
    const batcher = app.system.to(Batcher.name(0))
    await during(app.store.put('s:a', 1, { windowMs: 5 }))
    const put = app.store.put('s:b', 1, { windowMs: 50 })
    await clock.settle()

    app.system.spawn<Batcher.Messages>((context) => {
      context.send(batcher, 'windowOver', { timer: {} as never, payload: 's' })
    })
    await clock.advance(10)

    expect(flushed.length).toBe(1)
    await during(put)
  })

  test('is changed while the instance runs, from the next write on', async () => {
    const world = await batched()
    const { batcher, store } = world.app
    expect(await msOf(world, store.put('s:a', 1))).toBe(1)

    batcher.setWindow('s', 20)
    expect(batcher.windows()).toEqual({ s: 20 })
    expect(await msOf(world, store.put('s:a', 2))).toBe(21)

    batcher.setWindow('s', 0)
    expect(await msOf(world, store.put('s:a', 3))).toBe(1)
  })

  test('is sent by close: what waits in it is answered, not refused', async () => {
    const { app, clock, during } = await batched()
    const put = app.store.put('s:a', 1, { windowMs: 10_000 })
    await clock.settle()

    await during(app.close(), 100)
    expect((await put).position.lsn).toBeGreaterThan(0)
  })
})

describe('writes in a slot', () => {
  test('keep their order whatever they are: a put after a delete is there (1.6: kinds overtook each other)', async () => {
    const { app, during } = await batched({ batcher: { windows: { s: 10 } } })

    await during(
      Promise.all([
        app.store.put('s:a', 1),
        app.store.delete('s:a'),
        app.store.put('s:a', 2),
        app.store.put('s:b', 1),
        app.store.delete('s:b'),
      ]),
    )

    expect([app.store.get('s:a'), app.store.get('s:b')]).toEqual([2, undefined])
  })

  test('are joined, and sent, by a write without a window to one of their keys', async () => {
    const world = await batched()
    const { store } = world.app
    const patient = store.put('s:a', 'first', { windowMs: 5_000 })

    expect(await msOf(world, store.put('s:a', 'second'))).toBe(1)

    await patient
    expect(store.get('s:a')).toBe('second')
    expect(world.flushed).toMatchObject([{ writes: 2 }])
  })

  test('of two namespaces are sent by a batch with keys of both, which goes behind them', async () => {
    const world = await batched()
    const { store } = world.app
    const first = [
      store.put('s:a', 1, { windowMs: 5_000 }),
      store.put('t:a', 1, { windowMs: 5_000 }),
    ]

    expect(
      await msOf(
        world,
        store.putMany([
          ['s:a', 2],
          ['t:a', 2],
        ]),
      ),
    ).toBeLessThan(5)

    await Promise.all(first)
    expect(store.getMany(['s:a', 't:a'])).toEqual([2, 2])
  })

  test('that wait behind others past their deadline are NOT_SUBMITTED, and those behind them still wait', async () => {
    const { app, clock, during } = await batched({ syncMs: 50 })
    await during(suspend(app.system.to(Batcher.name(0))))
    const first = app.store.put('s:a', 1, { windowMs: 1 })
    const impatient = app.store.putMany(
      [
        ['s:a', 2],
        ['t:a', 2],
      ],
      { deadlineMs: 5, windowMs: 0 },
    )
    const last = app.store.put('s:a', 3, { windowMs: 0 })
    const outcomes = outcomesOf([first, impatient, last])
    await clock.advance(10)
    expect(outcomes).toEqual(['pending', 'NOT_SUBMITTED', 'pending'])

    await during(resume(app.system.to(Batcher.name(0))))
    await during(Promise.all([first, last]))
    expect([app.store.get('s:a'), app.store.get('t:a')]).toEqual([3, undefined])
  })
})

describe('the defects of the reference are not repeated:', () => {
  test('B1: a frame whose end never comes, or whose writer is killed, wedges nothing', async () => {
    const { app, clock, during } = await batched({ syncMs: 5 })
    const { store, system } = app
    // Nobody answers the frame.
    await during(suspend(system.to(Applier.name(0))))
    const lost = codeOf(store.put('s:a', 1, { windowMs: 1, deadlineMs: 100 }))
    await clock.advance(150)
    expect(await lost).toBe('UNKNOWN_OUTCOME')
    await during(resume(system.to(Applier.name(0))))
    await during(store.put('s:b', 1, { windowMs: 1 }), 100)

    const dies = codeOf(store.put('s:c', 1, { windowMs: 1 }))
    await clock.advance(3)
    system.kill(WalWriter.name(0))
    await clock.advance(20)
    expect(['UNKNOWN_OUTCOME', 'NOT_SUBMITTED']).toContain(await lost)
    expect(await dies).toBe('UNKNOWN_OUTCOME')
    await during(store.put('s:d', 1, { windowMs: 1 }), 100)
    expect(store.get('s:d')).toBe(1)
  })

  test('B2: a flush ends under a steady stream of new writes', async () => {
    const { app, clock } = await batched({ syncMs: 20 })
    const { store } = app
    const stream: Promise<unknown>[] = []
    const produce = () => stream.push(store.put(`s:${stream.length}`, 1, { windowMs: 1 }))
    for (let at = 0; at < 30; at++) {
      produce()
      await clock.advance(1)
    }
    const [flush] = [outcomesOf([app.batcher.flush()])]
    const before = outcomesOf([...stream])

    let waited = 0
    for (; flush[0] === 'pending' && waited < 2_000; waited++) {
      produce()
      await clock.advance(1)
    }

    expect(flush).toEqual(['ok'])
    expect(new Set(before)).toEqual(new Set(['ok']))
    // The frame in flight, and the one that it sent.
    expect(waited).toBeLessThanOrEqual(41)
    await clock.advance(100)
  })

  test('B3: neither flush nor a commit holds up the mailbox', async () => {
    const { app, clock, during } = await batched({ syncMs: 400 })
    const put = app.store.put('s:a', 1, { windowMs: 1 })
    await clock.advance(2)
    const flush = app.batcher.flush()

    const description = await during(Batcher.describe(app.system.to(Batcher.name(0))), 1)

    expect(description).toMatchObject({ framesInFlight: 1 })
    await during(Promise.all([put, flush]))
  })

  test('B4: a frame never passes its bounds, and behind one in flight no more than a frame is let in for who will not wait', async () => {
    const { app, clock, during, flushed } = await batched({
      syncMs: 50,
      batcher: { maxCommands: 4, windows: { s: 5 } },
    })
    const { store } = app
    const put = (key: number, whenFull: 'wait' | 'refuse') =>
      store.put(`s:${key}`, key, { whenFull })
    const first = put(0, 'wait')
    await clock.advance(6)

    const taken = outcomesOf([1, 2, 3, 4, 5].map((key) => put(key, 'refuse')))
    await clock.settle()
    expect(taken).toEqual([...Array(4).fill('pending'), 'BUSY'])
    const waiting = [6, 7, 8, 9, 10].map((key) => put(key, 'wait'))
    await during(Promise.all([first, ...waiting]))

    expect(flushed.map(({ commands }) => commands)).toEqual([1, 4, 4, 1])
    expect(store.get('s:5')).toBeUndefined()
    expect(app.shards[0]?.gate.load).toMatchObject({ entered: 0, bytes: 0 })
  })

  test('B4: bytes are bounded as well, and one write larger than the bound goes alone', async () => {
    const { app, clock, during, flushed } = await batched({
      syncMs: 50,
      batcher: { maxBytes: 1_000, windows: { s: 5 } },
    })
    const first = app.store.put('s:a', 'x')
    await clock.advance(6)

    const sizes = [600, 600, 300, 5_000, 100]
    await during(
      Promise.all([first, ...sizes.map((size, at) => app.store.put(`s:${at}`, 'x'.repeat(size)))]),
    )

    expect(flushed.map(({ writes }) => writes)).toEqual([1, 1, 2, 1, 1])
  })

  test('B4: a slot that is full is sent before its window is over', async () => {
    const world = await batched({ batcher: { maxCommands: 3, windows: { s: 5_000 } } })

    expect(
      await msOf(world, Promise.all([1, 2, 3].map((key) => world.app.store.put(`s:${key}`, key)))),
    ).toBe(1)
  })

  test('B5: what the state refuses of one caller harms no other of its frame', async () => {
    const { app, during, flushed } = await batched()
    const { store } = app
    await during(store.lock(['s:locked'], { owner: 'me', leaseMs: 60_000 }))
    await during(store.put('s:number', 1))

    const codes = await during(
      Promise.all(
        [
          store.put('s:a', 1, { windowMs: 5 }),
          store.put('s:locked', 1, { windowMs: 5 }),
          store.append('s:number', 'x', { windowMs: 5 }),
          store.put('s:b', 1, { windowMs: 5 }),
        ].map(codeOf),
      ),
    )

    expect(codes).toEqual(['ok', 'LOCKED', 'WRONG_TYPE', 'ok'])
    expect(flushed).toMatchObject([{ writes: 4, result: 'ok' }])
    expect(store.getMany(['s:a', 's:locked', 's:b'])).toEqual([1, undefined, 1])
  })

  test('B6: commands of many entries have one answer among those of others', async () => {
    const { app, during, flushed } = await batched()
    const { store } = app
    const [shard] = app.shards
    if (!shard) throw new Error('no shard')
    const writes = [
      Batcher.writePutBatch(app.system, shard, [entry('s:a', 1), entry('s:b', 2)], { windowMs: 5 }),
      Batcher.writeDeleteBatch(app.system, shard, ['s:a', 's:none', 's:b'], { windowMs: 5 }),
      Batcher.write(app.system, shard, { kind: 'delete', key: 's:a' }, { windowMs: 5 }),
    ]

    expect((await during(Promise.all(writes))).map(({ answer }) => answer)).toEqual([
      { kind: 'putMany' },
      { kind: 'deleteMany', deleted: 2 },
      { kind: 'delete', existed: false },
    ])
    expect(flushed).toMatchObject([{ writes: 3, commands: 6 }])
    expect(store.get('s:b')).toBeUndefined()
  })

  test('B6: a batch of units is answered unit by unit, refusals included', async () => {
    const { app, during } = await batched()
    const [shard] = app.shards
    if (!shard) throw new Error('no shard')
    await during(app.store.put('s:number', 1))

    const { answers } = await during(
      Batcher.writeBatch(
        app.system,
        shard,
        [
          { kind: 'delete', key: 's:none' },
          { kind: 'append', key: 's:number', suffix: { tag: 1, bytes: Buffer.from('x') } },
          { kind: 'delete', key: 's:number' },
        ],
        { windowMs: 5 },
      ),
    )

    expect(answers).toMatchObject([
      { kind: 'delete', existed: false },
      { kind: 'refused', reason: { code: 'WRONG_TYPE' } },
      { kind: 'delete', existed: true },
    ])
    expect(await codeOf(Batcher.writeBatch(app.system, shard, []))).toBe('INVALID_ARGUMENT')
  })

  test('B7: a killed batcher leaves its callers with codes: what waited was never written, what was sent has an open outcome', async () => {
    const { app, clock, during } = await batched({ syncMs: 50 })
    const { store } = app
    const sent = codeOf(store.put('s:sent', 1, { windowMs: 1 }))
    await clock.advance(5)
    const waiting = codeOf(store.put('s:waiting', 1, { windowMs: 1_000 }))
    await clock.settle()

    app.system.kill(Batcher.name(0))

    expect(await during(Promise.all([sent, waiting]), 5)).toEqual([
      'UNKNOWN_OUTCOME',
      'NOT_SUBMITTED',
    ])
    await clock.advance(2_000)
    expect(store.getMany(['s:sent', 's:waiting'])).toEqual([1, undefined])
    expect(app.shards[0]?.marks.isEmpty).toBe(true)
  })

  test('B9: a batcher that was restarted shares frames as before', async () => {
    const { app, clock, during, flushed } = await batched({ batcher: { windows: { s: 10 } } })
    app.system.kill(Batcher.name(0))
    await clock.advance(50)

    await during(Promise.all([1, 2, 3, 4].map((key) => app.store.put(`s:${key}`, key))))

    expect(flushed).toMatchObject([{ writes: 4 }])
  })

  test('B10: a window that a deadline would not survive is refused, wherever it is given', async () => {
    const { app, start } = await batched()
    const refused = (work: () => unknown) => {
      try {
        work()
      } catch (error) {
        return (error as { code: string }).code
      }
      return 'ok'
    }

    expect([
      await codeOf(app.store.put('s:a', 1, { windowMs: 10_001 })),
      refused(() => app.batcher.setWindow('s', 30_000)),
      await codeOf(
        start({ dir: '/other', instance: 'other', batcher: { windows: { s: 10_001 } } }),
      ),
    ]).toEqual(['INVALID_ARGUMENT', 'INVALID_ARGUMENT', 'CONFIG'])
  })
})

/** Keeps callers, and lets the batcher answer them. */
type Keeper = { calls: { put: (key: string) => unknown } }

const keeping = (act: (key: string, from: From<never>) => unknown): GenServer<Keeper, null> => ({
  init: () => null,
  calls: {
    put: (state, key, context) => {
      act(key, context.from as From<never>)
      return noReply(state)
    },
  },
})

describe('asynchronous writes', () => {
  const withKeeper = async (syncMs = 5) => {
    const world = await batched({ syncMs })
    const [shard] = world.app.shards
    if (!shard) throw new Error('no shard')
    const outcomes: unknown[] = []
    const { system } = world.app
    const tokenOf = () =>
      new Promise<Parameters<Parameters<typeof shard.gate.enter>[1]>[0]>((resolve, reject) =>
        shard.gate.enter(
          { bytes: 256, commands: 1, whenFull: 'wait', deadlineMs: 1_000 },
          resolve,
          reject,
        ),
      )
    return { ...world, shard, system, outcomes, tokenOf }
  }

  test('answer a kept from, and the token is given back', async () => {
    const { system, shard, during, outcomes, tokenOf, app } = await withKeeper()
    const token = await tokenOf()
    const keeper = await during(
      system.start(
        keeping((key, from) =>
          outcomes.push(
            Batcher.writePutBatchAsync(system, shard, [entry(key, 1)], from, {
              windowMs: 5,
              token,
            }),
          ),
        ),
        undefined,
      ),
    )
    const asked = call(keeper, 'put', 's:a')

    expect(await during(asked)).toMatchObject({ answer: { kind: 'putMany' } })
    expect(outcomes).toEqual(['accepted'])
    expect(app.store.get('s:a')).toBe(1)
    expect(shard.gate.load.entered).toBe(0)
  })

  test('B8: are answered when the batcher is killed, and their tokens are not lost', async () => {
    const { system, shard, clock, during, tokenOf } = await withKeeper()
    const token = await tokenOf()
    const keeper = await during(
      system.start(
        keeping((key, from) =>
          Batcher.writeDeleteBatchAsync(system, shard, [key], from, { windowMs: 1_000, token }),
        ),
        undefined,
      ),
    )
    const asked = codeOf(call(keeper, 'put', 's:a'))
    await clock.settle()
    expect(token.owner).toBeDefined()

    system.kill(Batcher.name(0))

    expect(await during(asked, 5)).toBe('NOT_SUBMITTED')
    expect(token.hasLeft).toBe(true)
    expect(shard.gate.load.entered).toBe(0)
  })

  test('say direct when there is no batcher: the caller has the promise, its from and its token', async () => {
    const { system, shard, clock, during, tokenOf, app } = await withKeeper()
    const token = await tokenOf()
    await during(terminateChild(system.to(treeNames().shard(0)), 'batcher(0)'))
    const answered: unknown[] = []
    const from = {
      caller: undefined,
      reply: (value: unknown) => answered.push(value) > 0,
      fail: (error: unknown) => answered.push(error) > 0,
      handTo: () => undefined,
    }

    const outcome = Batcher.writePutBatchAsync(system, shard, [entry('s:a', 1)], from, {
      windowMs: 5_000,
      token,
    })

    if (outcome === 'accepted') throw new Error('there is nobody to accept')
    expect(await during(outcome.direct, 20)).toMatchObject({ answer: { kind: 'putMany' } })
    await clock.settle()
    expect([answered, token.hasLeft, app.store.get('s:a')]).toEqual([[], false, 1])
    token.leave()
  })
})

describe('stop', () => {
  test('commits and answers what is queued and in flight, then ends; its supervisor starts an empty one', async () => {
    const { app, clock, during } = await batched({ syncMs: 20 })
    const { store, system } = app
    const old = system.whereis(Batcher.name(0))
    const sent = store.put('s:a', 1, { windowMs: 1 })
    await clock.advance(5)
    const queued = store.put('s:b', 1, { windowMs: 5_000 })
    await clock.settle()
    const stopping = Batcher.stop(system.to(Batcher.name(0)), 1_000)
    await clock.settle()
    const late = codeOf(store.put('s:c', 1, { windowMs: 5 }))
    const outcomes = outcomesOf([sent, queued, stopping])

    expect(await during(late, 5)).toBe('NOT_SUBMITTED')
    await clock.advance(17)
    expect(outcomes).toEqual(['ok', 'pending', 'pending'])
    await clock.advance(40)
    expect(outcomes).toEqual(['ok', 'ok', 'ok'])
    expect(system.whereis(Batcher.name(0))?.toString()).not.toBe(old?.toString())
    await during(store.put('s:d', 1, { windowMs: 5 }))
  })
})
