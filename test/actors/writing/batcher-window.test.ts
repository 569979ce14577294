/** A window of the batcher: how long its writes wait, and for which others. */
import { describe, expect, test } from 'vitest'
import { Batcher } from '../../../src/actors/index.ts'
import { batched, msOf } from '../../support/worlds/batched-instance.ts'

describe('a window', () => {
  test('lets the writes of a namespace share one sync, and each caller gets its own answer', async () => {
    const { app, during, flushed, commits } = await batched({ batcher: { windows: { s: 20 } } })
    await during(app.store.put('s:old', 1))
    const before = commits.length

    const writes = [app.store.put('s:a', 1), app.store.delete('s:old'), app.store.delete('s:none')]
    const [put, old, none] = await during(Promise.all(writes))

    expect([old, none]).toMatchObject([{ existed: true }, { existed: false }])
    expect([put, none?.position.lsn]).toMatchObject([{}, (put?.position.lsn ?? 0) + 2])
    expect(commits.slice(before)).toEqual([3])
    expect(flushed.slice(1)).toMatchObject([
      { namespace: 's', writes: 3, commands: 3, queuedMs: 20, result: 'ok' },
    ])
  })

  test('bounds the wait of a write: its window, and its own commit', async () => {
    const world = await batched({ syncMs: 3 })

    expect(await msOf(world, world.app.store.put('s:a', 1, { windowMs: 20 }))).toBe(23)
  })

  test('costs writes without a window nothing: they do not wait, and send the waiting ones with them', async () => {
    const world = await batched({ syncMs: 3, batcher: { windows: { s: 1_000 } } })
    const waiting = world.app.store.put('s:a', 1)
    await world.clock.advance(10)

    expect(await msOf(world, world.app.store.put('t:a', 1))).toBe(3)
    expect(await msOf(world, world.app.store.put('s:b', 1, { windowMs: 0 }))).toBe(3)
    expect(await msOf(world, waiting)).toBe(0)
    expect(world.flushed).toMatchObject([{ namespace: 's', writes: 2, queuedMs: 10 }])
  })

  test('holds a write that is never withdrawn like the others', async () => {
    const world = await batched({ syncMs: 3, batcher: { windows: { s: 20 } } })
    const { store } = world.app
    const other = store.put('s:a', 1)

    const never = store.put('s:b', 1, { deadlineMs: Number.POSITIVE_INFINITY })
    expect(await msOf(world, never)).toBe(23)
    await other
    expect(world.flushed).toMatchObject([{ namespace: 's', writes: 2, queuedMs: 20 }])
  })

  test('of one namespace does not delay another', async () => {
    const world = await batched({ batcher: { windows: { slow: 5_000, fast: 5 } } })
    const slow = world.app.store.put('slow:a', 1)

    expect(await msOf(world, world.app.store.put('fast:a', 1))).toBe(6)
    expect(world.flushed.map(({ namespace }) => namespace)).toEqual(['fast'])
    await world.during(slow)
  })

  test('is not extended by later writes, and is shortened by a write with a shorter one', async () => {
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

  test('that ends during a commit: its group fills meanwhile, and leaves when the commit settles', async () => {
    const world = await batched({ syncMs: 100 })
    const first = world.app.store.put('s:a', 1, { windowMs: 1 })
    await world.clock.advance(10)
    const second = world.app.store.put('s:b', 1, { windowMs: 5_000 })
    const third = world.app.store.put('s:c', 1, { windowMs: 1 })

    expect(await msOf(world, first)).toBe(91)
    expect(await msOf(world, Promise.all([second, third]))).toBe(100)
    expect(world.flushed.map(({ writes }) => writes)).toEqual([1, 2])
  })

  test('ignores a late message of an older timer', async () => {
    const { app, clock, during, flushed } = await batched()
    const batcher = app.system.to(Batcher.name(0))
    await during(app.store.put('s:a', 1, { windowMs: 5 }))
    const put = app.store.put('s:b', 1, { windowMs: 50 })
    await clock.settle()

    app.system.spawn<Batcher.Messages>((context) => {
      context.send(batcher, 'windowOver', { timer: {} as never, payload: null })
    })
    await clock.advance(10)

    expect(flushed.length).toBe(1)
    await during(put)
  })

  test('can change while the instance runs, from the next write on', async () => {
    const world = await batched()
    const { batcher, store } = world.app
    expect(await msOf(world, store.put('s:a', 1))).toBe(1)

    batcher.setWindow('s', 20)
    expect(batcher.windows()).toEqual({ s: 20 })
    expect(await msOf(world, store.put('s:a', 2))).toBe(21)

    batcher.setWindow('s', 0)
    expect(await msOf(world, store.put('s:a', 3))).toBe(1)
  })

  test('ends at close: its waiting writes are answered, not refused', async () => {
    const { app, clock, during } = await batched()
    const put = app.store.put('s:a', 1, { windowMs: 10_000 })
    await clock.settle()

    await during(app.close(), 100)
    expect((await put).position.lsn).toBeGreaterThan(0)
  })
})
