/** Until its lease ends or its owner gives it up, a lock keeps everybody else from writing its keys. */
import { describe, expect, test } from 'vitest'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

describe('a lock', () => {
  test('keeps everybody but its owner from writing, and nobody from reading', async () => {
    const { clock, store, during } = await started()
    await during(store.put('k', 1))
    const { until } = await during(store.lock(['k', 'free'], { owner: 'me', leaseMs: 500 }))
    expect(until).toBeGreaterThan(clock.now())

    const refused = await during(store.put('k', 2).catch((error) => error))
    expect(refused).toMatchObject({
      code: 'LOCKED',
      details: { key: 'k', owner: 'me', until },
    })
    expect(await during(codeOf(store.delete('free')))).toBe('LOCKED')
    expect(await during(codeOf(store.put('k', 2, { owner: 'you' })))).toBe('LOCKED')
    expect(store.get('k')).toBe(1)

    await during(store.lockedPut('k', 3, { owner: 'me' }))
    await during(store.append('free', 'x', { owner: 'me' }))
    expect(store.getMany(['k', 'free'])).toEqual([3, 'x'])
  })

  test('is of all keys or of none', async () => {
    const { store, during } = await started()
    await during(store.lock(['b'], { owner: 'you', leaseMs: 500 }))

    expect(await during(codeOf(store.lock(['a', 'b'], { owner: 'me', leaseMs: 500 })))).toBe(
      'LOCKED',
    )
    await during(store.put('a', 1))
    expect(store.get('a')).toBe(1)
  })

  test('that has run out is free; extend renews only what is held', async () => {
    const { clock, store, during } = await started()
    const mine = { owner: 'me', leaseMs: 100 }
    await during(store.lock(['k'], mine))
    await clock.advance(60)
    await during(store.extend(['k'], mine))
    await clock.advance(60)
    expect(await during(codeOf(store.put('k', 1)))).toBe('LOCKED')

    await clock.advance(100)
    expect(await during(codeOf(store.extend(['k'], mine)))).toBe('CONFLICT')
    await during(store.put('k', 1))
  })

  test('is given up by its owner, and outlives a restart and its key', async () => {
    const { store, app, start, during } = await started()
    await during(store.put('k', 1))
    await during(store.lock(['k'], { owner: 'me', leaseMs: 60_000 }))
    await during(store.delete('k', { owner: 'me' }))
    await during(app.close())

    const again = await start()
    expect(await during(codeOf(again.store.put('k', 1)))).toBe('LOCKED')
    expect(await during(codeOf(again.store.unlock(['k'], { owner: 'you' })))).toBe('LOCKED')
    expect(await during(again.store.unlock(['k', 'x'], { owner: 'me' }))).toMatchObject({
      released: 1,
    })
    await during(again.store.put('k', 1))
  })
})
