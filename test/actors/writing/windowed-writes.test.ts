/** Windowed writes of one group: each has its own outcome and deadline. */
import { describe, expect, test } from 'vitest'
import { Applier, Batcher } from '../../../src/actors/index.ts'
import { resume, suspend } from '../../../src/runtime/index.ts'
import { batched, msOf, outcomesOf } from '../../support/worlds/batched-instance.ts'

describe('windowed writes of one group', () => {
  test('cost the batcher one message, across namespaces', async () => {
    const { app, clock, during } = await batched()
    const batcher = app.system.to(Batcher.name(0))
    await during(suspend(batcher))
    const depth = () => app.system.info(batcher)?.mailbox ?? 0
    const writes = ['s:a', 't:a', 's:b'].map((key, at) => app.store.put(key, at, { windowMs: 5 }))
    await clock.settle()

    expect(depth()).toBe(1)
    await during(resume(batcher))
    await during(Promise.all(writes))
  })

  test('end at their own deadlines while the batcher is suspended, and the others are written', async () => {
    const { app, clock, during } = await batched()
    const batcher = app.system.to(Batcher.name(0))
    await during(suspend(batcher))
    const put = (key: string, deadlineMs: number) =>
      app.store.put(key, key, { windowMs: 1, deadlineMs })
    const writes = [put('s:a', 300), put('s:b', 50), put('s:c', 100)]
    const outcomes = outcomesOf(writes)

    await clock.advance(60)
    expect(outcomes).toEqual(['pending', 'NOT_SUBMITTED', 'pending'])
    await clock.advance(50)
    expect(outcomes).toEqual(['pending', 'NOT_SUBMITTED', 'NOT_SUBMITTED'])

    await during(resume(batcher))
    await clock.advance(10)
    expect(outcomes).toEqual(['ok', 'NOT_SUBMITTED', 'NOT_SUBMITTED'])
    expect(app.store.getMany(['s:a', 's:b', 's:c'])).toEqual(['s:a', undefined, undefined])
    expect(app.shards[0]?.gate.load).toMatchObject({ entered: 0, bytes: 0 })
    expect(app.shards[0]?.marks.isEmpty).toBe(true)
  })

  test('have unknown outcomes at their own deadlines once they are on their way', async () => {
    const { app, clock, during } = await batched()
    const applier = app.system.to(Applier.name(0))
    await during(suspend(applier))
    const outcomes = outcomesOf(
      [50, 200].map((deadlineMs) =>
        app.store.put(`s:${deadlineMs}`, 1, { windowMs: 1, deadlineMs }),
      ),
    )

    await clock.advance(60)
    expect(outcomes).toEqual(['UNKNOWN_OUTCOME', 'pending'])
    await during(resume(applier))
    await clock.settle()
    expect(outcomes).toEqual(['UNKNOWN_OUTCOME', 'ok'])
    expect(app.store.getMany(['s:50', 's:200'])).toEqual([1, 1])
    expect(app.shards[0]?.gate.load).toMatchObject({ entered: 0, bytes: 0 })
  })

  test('are all applied if the batcher is killed before it is notified', async () => {
    const { app, clock, during } = await batched()
    await during(suspend(app.system.to(Batcher.name(0))))
    const keys = Array.from({ length: 200 }, (_, at) => `s:${at}`)
    const outcomes = outcomesOf(keys.map((key) => app.store.put(key, 1, { windowMs: 1_000 })))
    app.system.kill(Batcher.name(0))
    const late = outcomesOf([app.store.put('s:late', 1, { windowMs: 1_000 })])

    await clock.advance(5)
    expect(new Set([...outcomes, ...late])).toEqual(new Set(['ok']))
    expect(app.shards[0]?.gate.load).toMatchObject({ entered: 0, bytes: 0 })
    await during(app.store.put('s:next', 1, { windowMs: 1 }))
  })

  test('are as quick as their window and one sync, even 1,024 at a time', {
    tags: ['slow'],
  }, async () => {
    const world = await batched({ syncMs: 3 })
    const { store } = world.app
    for (let round = 0; round < 3; round++) {
      const puts = Array.from({ length: 1_024 }, (_, at) =>
        store.put(`s:${at}`, at, { windowMs: 1 }),
      )
      expect(await msOf(world, Promise.all(puts))).toBeLessThanOrEqual(4)
    }
  })
})
