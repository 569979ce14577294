/** `compareAndSet` writes only where the stored value equals the expected one, so that one of many writers wins. */
import { describe, expect, test } from 'vitest'
import { started } from '../../support/worlds/simulated-instance.ts'

describe('compareAndSet', () => {
  test('swaps what is deeply equal, whatever the order of names, and answers what is there otherwise', async () => {
    const { store, during } = await started()
    await during(store.put('k', { a: [1], b: new Map([['x', 1]]) }, { ttlMs: 60_000 }))

    const expected = { b: new Map([['x', 1]]), a: [1] }
    expect(await during(store.compareAndSet('k', expected, 'next'))).toMatchObject({
      swapped: true,
    })
    expect(store.ttl('k')).toBeLessThanOrEqual(60_000)
    expect(await during(store.compareAndSet('k', expected, 'other'))).toMatchObject({
      swapped: false,
      current: 'next',
    })
  })

  test('tells kinds apart: bytes are no text', async () => {
    const { store, during } = await started()
    await during(store.put('k', 'x'))

    expect(await during(store.compareAndSet('k', Buffer.from('x'), 1))).toMatchObject({
      swapped: false,
    })
  })

  test('with undefined expects nothing there', async () => {
    const { store, during } = await started()

    expect(await during(store.compareAndSet('k', undefined, 1, { ttlMs: 10 }))).toMatchObject({
      swapped: true,
    })
    const second = await during(store.compareAndSet('k', undefined, 2))
    expect(second).toEqual({ position: second.position, swapped: false, current: 1 })
    expect(store.ttl('k')).toBeLessThanOrEqual(10)
  })

  test('lets one of many win', async () => {
    const { store, during } = await started()
    await during(store.put('k', 0))

    const all = Array.from({ length: 50 }, (_, at) => store.compareAndSet('k', 0, at + 1))
    const winners = (await during(Promise.all(all))).filter(({ swapped }) => swapped)

    expect(winners).toHaveLength(1)
  })
})
