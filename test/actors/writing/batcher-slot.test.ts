/** A slot of the batcher, where the writes of a namespace wait: their order, and who sends them. */
import { describe, expect, test } from 'vitest'
import { Batcher } from '../../../src/actors/index.ts'
import { resume, suspend } from '../../../src/runtime/index.ts'
import { batched, msOf, outcomesOf } from '../../support/batched-instance.ts'

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
