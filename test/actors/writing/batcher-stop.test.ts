/** The end of a batcher by `stop`: the writes that wait, and those that arrive meanwhile. */
import { describe, expect, test } from 'vitest'
import { Batcher } from '../../../src/actors/index.ts'
import { batched, msOf, outcomesOf } from '../../support/worlds/batched-instance.ts'

describe('stop', () => {
  test('commits and answers waiting and in-flight writes, then ends; its supervisor starts another', async () => {
    const { app, clock, during } = await batched({ syncMs: 20 })
    const { store, system } = app
    const old = system.whereis(Batcher.name(0))
    const sent = store.put('s:a', 1, { windowMs: 1 })
    await clock.advance(5)
    const waits = store.put('s:b', 1, { windowMs: 5_000 })
    await clock.settle()
    const stopping = Batcher.stop(system.to(Batcher.name(0)), 1_000)
    await clock.settle()
    const outcomes = outcomesOf([sent, waits, stopping])

    await clock.advance(17)
    expect(outcomes).toEqual(['ok', 'pending', 'pending'])
    await clock.advance(40)
    expect(outcomes).toEqual(['ok', 'ok', 'ok'])
    expect(system.whereis(Batcher.name(0))?.toString()).not.toBe(old?.toString())
    await during(store.put('s:d', 1, { windowMs: 5 }))
  })

  test('delays no later write beyond its end', async () => {
    const world = await batched({ syncMs: 20 })
    const { store, system } = world.app
    const sent = store.put('s:a', 1)
    await world.clock.settle()
    const stopping = Batcher.stop(system.to(Batcher.name(0)), 1_000)
    await world.clock.settle()

    expect(await msOf(world, store.put('s:b', 1, { windowMs: 5_000 }))).toBe(40)
    await Promise.all([sent, stopping])
  })
})
