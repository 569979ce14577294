/** `store.settled()`: after it, a read tells what became of every write that was called before it. */
import { describe, expect, test } from 'vitest'
import { Applier, Batcher, WalWriter } from '../../../src/actors/index.ts'
import { batched, msOf, outcomesOf } from '../../support/worlds/batched-instance.ts'
import { codeOf, failNextSync } from '../../support/worlds/simulated-instance.ts'

describe('settled', () => {
  test('resolves at once where nothing is under way, also in several shards', async () => {
    const world = await batched({ shards: 3 })

    expect(await msOf(world, world.app.store.settled())).toBe(0)
  })

  test('is when a read shows what became of an append whose caller gave up, so that nobody repeats it', {
    tags: ['S2'],
  }, async () => {
    const { app, clock, during } = await batched({ syncMs: 50 })
    const { store } = app
    const code = codeOf(store.append('k', 'A', { deadlineMs: 1 }))
    await clock.advance(2)
    expect(await code).toBe('UNKNOWN_OUTCOME')
    expect(store.get('k')).toBeUndefined()

    await during(store.settled(), 50)
    expect(store.get('k')).toBe('A')
  })

  test('lets what waits for a window leave, and does not wait for what comes later', async () => {
    const { app, clock, during } = await batched({ syncMs: 20 })
    const { store } = app
    const early = outcomesOf([store.put('s:a', 1, { windowMs: 10_000 })])
    await clock.settle()
    const settled = store.settled()
    await clock.settle()
    const late = outcomesOf([store.put('s:b', 1, { windowMs: 10_000 })])

    await during(settled, 21)
    expect([early, late]).toEqual([['ok'], ['pending']])
    await during(app.batcher.flush())
  })

  /** The outcomes of `writes` at the moment at which `settled` resolves. */
  const atSettled = async (
    { app, during }: Pick<Awaited<ReturnType<typeof batched>>, 'app' | 'during'>,
    writes: readonly Promise<unknown>[],
  ) => {
    const outcomes = outcomesOf(writes)
    return during(app.store.settled().then(() => [...outcomes]))
  }

  test('waits for writes that wait at the gate, those that give up there included', async () => {
    const world = await batched({ syncMs: 50, wal: { queueCommands: 1 } })
    const { store } = world.app
    const writes = [
      store.put('a', 1),
      store.put('b', 2),
      store.put('c', 3, { deadlineMs: 20 }),
      store.put('d', 4),
    ]

    expect(await atSettled(world, writes)).toEqual(['ok', 'ok', 'NOT_SUBMITTED', 'ok'])
  })

  test('waits for blobs, and for the writes behind them', async () => {
    const world = await batched({ syncMs: 50, blobs: { threshold: 100 } })
    const { store } = world.app
    const writes = [store.put('a', 'x'.repeat(200)), store.put('a', 2)]

    expect(await atSettled(world, writes)).toEqual(['ok', 'ok'])
    expect(store.get('a')).toBe(2)
  })

  test.each([
    ['writer of the log', WalWriter.name(0)],
    ['applier', Applier.name(0)],
    ['batcher', Batcher.name(0)],
  ])('is answered when the %s dies: when the next one has read the log', async (_, name) => {
    const { app, clock, during } = await batched({ syncMs: 20 })
    const { store } = app
    const code = codeOf(store.append('k', 'A', { deadlineMs: 1 }))
    await clock.advance(2)
    expect(await code).toBe('UNKNOWN_OUTCOME')

    app.system.kill(name as never)
    await during(store.settled(), 500)
    expect(store.get('k')).toBe('A')
  })

  test('is answered when the shard goes down', async () => {
    const { app, disk, during } = await batched({ syncMs: 20 })
    failNextSync(disk)
    const put = codeOf(app.store.put('k', 1))

    await during(app.store.settled(), 100)
    expect([await put, app.shards[0]?.phase.kind]).toEqual(['UNKNOWN_OUTCOME', 'down'])
  })
})
