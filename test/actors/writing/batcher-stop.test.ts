/** The end of a batcher that is told to stop: who is answered still, and what comes after it. */
import { describe, expect, test } from 'vitest'
import { Batcher } from '../../../src/actors/index.ts'
import { batched, outcomesOf } from '../../support/batched-instance.ts'
import { codeOf } from '../../support/simulated-instance.ts'

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
