/** `app.batcher` beyond windows: the end of one shard's batcher, its flush, and tokens of the gate. */
import { describe, expect, test } from 'vitest'
import type { CommandWritten, SyncToken } from '../../../src/actors/index.ts'
import { Batcher } from '../../../src/index.ts'
import {
  call,
  type From,
  type GenServer,
  noReply,
  terminateChild,
} from '../../../src/runtime/index.ts'
import { shardOf } from '../../../src/storage/index.ts'
import { treeNames } from '../../../src/supervisors/index.ts'
import {
  batched,
  entryOf,
  firstShardOf,
  outcomesOf,
} from '../../support/worlds/batched-instance.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

describe('stop', () => {
  test('answers what waits, ends the batcher of that shard, and another one follows with the windows', async () => {
    const { app, clock, during } = await batched({ syncMs: 20, batcher: { windows: { s: 5_000 } } })
    const before = app.system.whereis(Batcher.name(0))
    const waits = app.store.put('s:a', 1)
    await clock.settle()

    await during(app.batcher.stop(0), 50)

    expect(await during(waits, 1)).toMatchObject({ position: { shard: 0 } })
    expect(app.system.whereis(Batcher.name(0))?.toString()).not.toBe(before?.toString())
    expect(app.batcher.windows()).toEqual({ s: 5_000 })
  })

  test('only flushes where no batcher is', async () => {
    const { app, during } = await batched()
    await during(terminateChild(app.system.to(treeNames().shard(0)), 'batcher(0)'))

    expect(await codeOf(during(app.batcher.stop(0)))).toBe('ok')
  })

  test('waits until its batcher and writes are done although the batcher was killed meanwhile', async () => {
    const { app, clock, during } = await batched({ syncMs: 20 })
    const put = app.store.put('a', 1)
    const stopping = app.batcher.stop(0)
    await clock.settle()
    const outcomes = outcomesOf([put, stopping])

    app.system.kill(Batcher.name(0))
    await clock.settle()
    expect(outcomes).toEqual(['pending', 'pending'])

    await during(stopping, 50)
    expect(outcomes).toEqual(['ok', 'ok'])
  })

  test('is a TIMEOUT when the disk is slower', async () => {
    const { app, clock, during } = await batched({ syncMs: 500 })
    void app.store.put('a', 1)
    await clock.settle()

    expect(await codeOf(during(app.batcher.stop(0, { timeoutMs: 10 }), 20))).toBe('TIMEOUT')
    await clock.advance(2_000)
  })
})

test('flush takes one shard too', async () => {
  const { app, clock, during } = await batched({ shards: 2 })
  const keys = ['a', 'b', 'c', 'd', 'e', 'f']
  const waits = keys.map((key) => app.store.put(key, key, { windowMs: 5_000 }))
  await clock.settle()

  await during(app.batcher.flush({ shard: 1 }), 50)
  const shards = await during(
    Promise.all(waits.map((each) => Promise.race([each, clock.settle()]))),
  )
  expect(new Set(shards.map((written) => written?.position.shard))).toEqual(new Set([undefined, 1]))

  await during(app.batcher.flush(), 50)
  await during(Promise.all(waits), 1)
  expect(await codeOf(app.batcher.flush({ shard: 2 }))).toBe('INVALID_ARGUMENT')
})

describe('a token of the gate', () => {
  type Keeper = { calls: { put: (terms: { key: string; token: SyncToken }) => unknown } }

  const withKeeper = async (value: unknown = 1) => {
    const world = await batched({ syncMs: 5 })
    const { app, during } = world
    const keeper: GenServer<Keeper, null> = {
      init: () => null,
      calls: {
        put: (state, { key, token }, { from }) => {
          const to = from as From<CommandWritten>
          app.batcher.writePutBatchAsync(0, [entryOf(key, value)], to, { token })
          return noReply(state)
        },
      },
    }
    const ref = await during(app.system.start(keeper, undefined))
    const put = (key: string, token: SyncToken) => call(ref, 'put', { key, token })
    return { ...world, ref, put, gate: firstShardOf(app).gate }
  }

  test('admits one write although writes are paused meanwhile, and the pause waits for it', async () => {
    const { app, clock, during, put } = await withKeeper()
    const token = await during(app.batcher.syncToken(0))
    const paused = app.control.suspend(0, { writes: true, flush: false })
    await clock.settle()
    const outcomes = outcomesOf([paused, app.store.put('b', 1)])

    await during(put('a', token), 50)
    await during(paused, 50)

    expect([app.store.get('a'), outcomes]).toEqual([1, ['ok', 'pending']])
    expect(token.hasLeft).toBe(true)
    await during(app.control.resume(0))
  })

  test('is given back by leave, or by the death of its owner', async () => {
    const { app, during, ref, gate } = await withKeeper()
    const token = await during(app.batcher.syncToken(0))
    const owned = await during(app.batcher.syncToken(0, { owner: ref, commands: 2, bytes: 9_000 }))
    expect(gate.load).toMatchObject({ entered: 2, commands: 3, bytes: 256 + 9_000 })

    expect([token.leave(), token.leave()]).toEqual([true, false])
    app.system.kill(ref)

    expect(owned.hasLeft).toBe(true)
    expect(gate.load).toMatchObject({ entered: 0, commands: 0, bytes: 0 })
  })

  test('is for one write of its shard, and for none after it was given back', async () => {
    const { app, clock, during, put } = await withKeeper()
    const token = await during(app.batcher.syncToken(0))
    const first = put('a', token)
    await clock.settle()

    const from = { reply: () => true, fail: () => true } as never
    const again = () => app.batcher.writeDeleteBatchAsync(0, ['a'], from, { token })
    expect(again).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(token.hasLeft).toBe(false)
    await during(first, 50)
    expect(again).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  test('of another shard is refused', async () => {
    const { app, during } = await batched({ shards: 2 })
    const token = await during(app.batcher.syncToken(1))
    const key = [...'abcdefgh'].find((each) => shardOf(each, 2) === 0) ?? ''
    const from = { reply: () => true, fail: () => true } as never

    expect(() => app.batcher.writeDeleteBatchAsync(0, [key], from, { token })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    expect(token.hasLeft).toBe(false)
  })

  test('refuses a write of more weight, which is given back with it', async () => {
    const { app, during, put, gate } = await withKeeper('x'.repeat(300))
    const token = await during(app.batcher.syncToken(0))

    expect(await codeOf(during(put('a', token)))).toBe('INVALID_ARGUMENT')

    expect([app.store.has('a'), gate.load.entered]).toEqual([false, 0])
    const enough = await during(app.batcher.syncToken(0, { bytes: 400 }))
    await during(put('a', enough), 50)
    expect(app.store.has('a')).toBe(true)
  })

  test('waits at the gate as a write does', async () => {
    const { app, clock, during } = await withKeeper()
    await during(app.control.suspend(0, { writes: true }))

    expect(await codeOf(app.batcher.syncToken(0, { whenFull: 'refuse' }))).toBe('BUSY')
    const late = codeOf(app.batcher.syncToken(0, { deadlineMs: 10 }))
    await clock.advance(11)
    expect(await late).toBe('NOT_SUBMITTED')
    for (const wrong of [
      { commands: 0 },
      { bytes: -1 },
      { owner: 5 as never },
      { other: 1 } as never,
    ])
      expect(await codeOf(app.batcher.syncToken(0, wrong))).toBe('INVALID_ARGUMENT')
  })
})
