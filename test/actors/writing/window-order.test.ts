/** Writes that wait for a window: their order among others, and when they leave. */
import { describe, expect, test } from 'vitest'
import { BlobStore } from '../../../src/actors/index.ts'
import { resume, suspend } from '../../../src/runtime/index.ts'
import { batched, msOf, outcomesOf } from '../../support/worlds/batched-instance.ts'

/** A value for the blob store, where blobs begin at 100 bytes. */
const large = 'x'.repeat(200)

describe('writes that wait for a window', () => {
  test('keep their order across kinds: a put after a delete is there (1.6: kinds overtook each other)', async () => {
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

  test('are joined and sent by a write without a window', async () => {
    const world = await batched()
    const { store } = world.app
    const patient = store.put('s:a', 'first', { windowMs: 5_000 })
    await world.clock.advance(10)

    expect(await msOf(world, store.put('s:a', 'second'))).toBe(1)

    await patient
    expect(store.get('s:a')).toBe('second')
    expect(world.flushed).toMatchObject([{ writes: 2 }])
  })

  test('leave at the earliest window of all, across namespaces', async () => {
    const world = await batched()
    const { store } = world.app
    const writes = [
      store.put('s:a', 1, { windowMs: 5_000 }),
      store.put('t:a', 1, { windowMs: 5 }),
      store.put('u:a', 1, { windowMs: 1_000 }),
    ]

    expect(await msOf(world, Promise.all(writes))).toBe(6)
    expect(world.flushed).toMatchObject([{ namespace: 't', writes: 3 }])
  })

  test('of two namespaces are sent by a batch with keys of both, and it takes effect after them', async () => {
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
    ).toBe(1)

    await Promise.all(first)
    expect(store.getMany(['s:a', 't:a'])).toEqual([2, 2])
  })

  test('behind a blob are NOT_SUBMITTED at their deadline, and later ones still wait', async () => {
    const { app, clock, during } = await batched({ syncMs: 50, blobs: { threshold: 100 } })
    const blobs = app.system.to(BlobStore.name(0))
    await during(suspend(blobs))
    const first = app.store.put('s:a', large)
    const impatient = app.store.putMany(
      [
        ['s:a', 2],
        ['t:a', 2],
      ],
      { deadlineMs: 5 },
    )
    const last = app.store.put('s:a', 3, { windowMs: 10 })
    const outcomes = outcomesOf([first, impatient, last])
    await clock.advance(20)
    expect(outcomes).toEqual(['pending', 'NOT_SUBMITTED', 'pending'])

    await during(resume(blobs))
    await during(Promise.all([first, last]))
    expect([app.store.get('s:a'), app.store.get('t:a')]).toEqual([3, undefined])
  })

  test('wait for no window if they waited as long for a blob', async () => {
    const world = await batched({ blobs: { threshold: 100 } })
    const blobs = world.app.system.to(BlobStore.name(0))
    await world.during(suspend(blobs))
    const first = world.app.store.put('s:a', large)
    const behind = world.app.store.put('s:a', 2, { windowMs: 50 })
    await world.clock.advance(60)
    await world.during(resume(blobs), 1)

    // A few syncs of the blob and of the log.
    expect(await msOf(world, Promise.all([first, behind]))).toBeLessThan(10)
    expect(world.app.store.get('s:a')).toBe(2)
  })
})
