/** What `set` and `getSet` write, when they do, and what they answer of the value before. */
import { describe, expect, test } from 'vitest'
import { started } from '../../support/worlds/simulated-instance.ts'

describe('set', () => {
  test('writes under its condition only, and says whether it did', async () => {
    const { store, during } = await started()

    expect(await during(store.set('k', 1, { xx: true }))).toMatchObject({ written: false })
    expect(await during(store.set('k', 2, { nx: true }))).toMatchObject({ written: true })
    expect(await during(store.set('k', 3, { nx: true }))).toMatchObject({ written: false })
    expect(await during(store.set('k', 4, { xx: true }))).toMatchObject({ written: true })
    expect(store.get('k')).toBe(4)
  })

  test('answers what was there when asked, written or not, and nothing of it otherwise', async () => {
    const { store, during } = await started()

    const first = await during(store.set('k', 'one', { get: true }))
    expect(first).toEqual({ position: first.position, written: true, previous: undefined })
    expect(await during(store.set('k', 'two', { nx: true, get: true }))).toMatchObject({
      written: false,
      previous: 'one',
    })
    expect(await during(store.set('k', 'three'))).not.toHaveProperty('previous')
  })

  test('takes the expiry away, keeps it, or gives another', async () => {
    const { store, during } = await started()
    await during(store.put('k', 1, { ttlMs: 60_000 }))

    await during(store.set('k', 2, { keepTtl: true }))
    expect(store.ttl('k')).toBeLessThanOrEqual(60_000)
    await during(store.set('k', 3))
    expect(store.ttl('k')).toBe(Number.POSITIVE_INFINITY)
    await during(store.set('k', 4, { ttlMs: 10 }))
    expect(store.ttl('k')).toBeLessThanOrEqual(10)
  })
})

describe('getSet', () => {
  test('answers what was there, and clears the expiry', async () => {
    const { store, during } = await started()
    await during(store.put('k', { a: 1 }, { ttlMs: 60_000 }))

    expect(await during(store.getSet('k', 2))).toMatchObject({ previous: { a: 1 } })
    expect(store.ttl('k')).toBe(Number.POSITIVE_INFINITY)
    expect((await during(store.getSet('other', 2))).previous).toBeUndefined()
  })
})
