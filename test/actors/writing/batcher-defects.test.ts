/**
 * The known defects of the reference's batcher, by number: ours does not have them. B8 is in
 * batcher-asynchronous.test.ts.
 */
import { describe, expect, test } from 'vitest'
import { Applier, Batcher, CommandWrites, WalWriter } from '../../../src/actors/index.ts'
import { resume, suspend, terminateChild } from '../../../src/runtime/index.ts'
import { treeNames } from '../../../src/supervisors/index.ts'
import {
  batched,
  firstShardOf,
  msOf,
  outcomesOf,
  puttingOne,
} from '../../support/worlds/batched-instance.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

describe('the defects of the reference are not repeated:', () => {
  test('a group that never ends, or whose writer is killed, blocks no other', {
    tags: ['B1'],
  }, async () => {
    const { app, clock, during } = await batched({ syncMs: 5 })
    const { store, system } = app
    // No process answers the group.
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
    expect(await dies).toBe('ok')
    await during(store.put('s:d', 1, { windowMs: 1 }), 100)
    expect(store.get('s:d')).toBe(1)
  })

  test('a flush ends under a steady stream of new writes', { tags: ['B2'] }, async () => {
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
    // The group in flight, and the one sent by the flush.
    expect(waited).toBeLessThanOrEqual(41)
    await clock.advance(100)
  })

  test('neither flush nor a commit blocks the mailbox', { tags: ['B3'] }, async () => {
    const { app, clock, during } = await batched({ syncMs: 400 })
    const put = app.store.put('s:a', 1, { windowMs: 1 })
    await clock.advance(2)
    const flush = app.batcher.flush()

    const description = await during(Batcher.describe(app.system.to(Batcher.name(0))), 1)

    expect(description).toMatchObject({ groupsUnderWay: 1 })
    await during(Promise.all([put, flush]))
  })

  test('a group never exceeds its bounds, and a write that refuses to wait joins no second group behind one in flight', {
    tags: ['B4'],
  }, async () => {
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

  test('bytes are bounded too, and one write larger than the bound leaves alone', {
    tags: ['B4'],
  }, async () => {
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

    await clock.settle()
    expect(flushed.map(({ writes }) => writes)).toEqual([1, 1, 2, 1, 1])
  })

  test('a full group is sent before its window ends', { tags: ['B4'] }, async () => {
    const world = await batched({ batcher: { maxCommands: 3, windows: { s: 5_000 } } })

    expect(
      await msOf(world, Promise.all([1, 2, 3].map((key) => world.app.store.put(`s:${key}`, key)))),
    ).toBe(1)
  })

  test('a refusal of one caller affects no other caller of its group', {
    tags: ['B5'],
  }, async () => {
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

  test('a command of many entries has one answer among the others', { tags: ['B6'] }, async () => {
    const { app, during, flushed } = await batched()
    const { store } = app
    const shard = firstShardOf(app)
    const deleting = { kind: 'deleteMany', keys: ['s:a', 's:none', 's:b'] } as const
    const writes = [
      CommandWrites.write(app.system, shard, puttingOne('s:a', 's:b'), { windowMs: 5 }),
      CommandWrites.write(app.system, shard, deleting, { windowMs: 5 }),
      CommandWrites.write(app.system, shard, { kind: 'delete', key: 's:a' }, { windowMs: 5 }),
    ]

    expect((await during(Promise.all(writes))).map(({ answer }) => answer)).toEqual([
      { kind: 'putMany' },
      { kind: 'deleteMany', deleted: 2 },
      { kind: 'delete', existed: false },
    ])
    expect(flushed).toMatchObject([{ writes: 3, commands: 6 }])
    expect(store.get('s:b')).toBeUndefined()
  })

  test('a batch of units has one answer per unit, refusals included', {
    tags: ['B6'],
  }, async () => {
    const { app, during } = await batched()
    const shard = firstShardOf(app)
    await during(app.store.put('s:number', 1))

    const { answers } = await during(
      CommandWrites.writeBatch(
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
    expect(await codeOf(CommandWrites.writeBatch(app.system, shard, []))).toBe('INVALID_ARGUMENT')
  })

  test('a killed batcher costs no caller its answer: the waiting group leaves at once', {
    tags: ['B7'],
  }, async () => {
    const { app, clock, during } = await batched({ syncMs: 50 })
    const { store } = app
    const sent = store.put('s:sent', 1, { windowMs: 1 })
    await clock.advance(5)
    const waiting = store.put('s:waiting', 1, { windowMs: 1_000 })
    await clock.settle()

    app.system.kill(Batcher.name(0))

    // The rest of the sync under way, and one more.
    await during(Promise.all([sent, waiting]), 96)
    expect(store.getMany(['s:sent', 's:waiting'])).toEqual([1, 1])
    expect(app.shards[0]?.gate.load).toMatchObject({ entered: 0, bytes: 0 })
  })

  test('without a batcher no write waits for a window', { tags: ['B7'] }, async () => {
    const world = await batched({ syncMs: 3, batcher: { windows: { s: 5_000 } } })
    const { system, store } = world.app
    await world.during(terminateChild(system.to(treeNames().shard(0)), 'batcher(0)'))

    expect(await msOf(world, store.put('s:a', 1))).toBe(3)
    expect(await msOf(world, store.put('s:a', 1, { windowMs: 5_000 }))).toBe(3)
  })

  test('a restarted batcher keeps the windows', { tags: ['B9'] }, async () => {
    const { app, clock, during, flushed } = await batched({ batcher: { windows: { s: 10 } } })
    app.system.kill(Batcher.name(0))
    await clock.advance(50)

    await during(Promise.all([1, 2, 3, 4].map((key) => app.store.put(`s:${key}`, key))))

    expect(flushed).toMatchObject([{ writes: 4 }])
  })

  test('a window longer than a deadline allows is refused, wherever it is given', {
    tags: ['B10'],
  }, async () => {
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
