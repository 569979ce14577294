import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Overlay } from '../../src/actors/overlay.ts'
import { compareKeys } from '../../src/storage/key.ts'
import type { Row } from '../../src/storage/projection-store.ts'

const row = (text: string): Row => ({
  value: { tag: 1, bytes: new TextEncoder().encode(text) },
  expiresAt: 0,
})

const keysOf = (overlay: Overlay, range = {}) => [...overlay.range(range)].map(([key]) => key)

describe('the overlay', () => {
  test('answers the newest state of a key, also that it was removed', () => {
    const overlay = new Overlay()
    overlay.apply([['a', row('1')]], 1)
    overlay.apply([['a', row('2')]], 2)
    overlay.apply([['b', undefined]], 3)

    expect(overlay.get('a')).toMatchObject({ row: row('2'), lsn: 2 })
    expect(overlay.get('b')).toMatchObject({ row: undefined, lsn: 3 })
    expect(overlay.get('c')).toBeUndefined()
  })

  test('forgets what was written up to an LSN, but not what was written again behind it', () => {
    const overlay = new Overlay()
    overlay.apply([['a', row('1')]], 1)
    overlay.apply([['b', row('1')]], 2)
    overlay.apply([['a', row('2')]], 3)

    overlay.forget(2)

    expect(keysOf(overlay)).toEqual(['a'])
    expect(overlay.get('a')?.lsn).toBe(3)
  })

  test('holds no bytes when everything is forgotten', () => {
    const overlay = new Overlay()
    for (let lsn = 1; lsn <= 5_000; lsn++) overlay.apply([[`k${lsn % 700}`, row('x')]], lsn)

    overlay.forget(5_000)

    expect({ bytes: overlay.bytes, size: overlay.size, keys: keysOf(overlay) }).toEqual({
      bytes: 0,
      size: 0,
      keys: [],
    })
  })

  test('walks any range of any history in the order of UTF-8 bytes', () => {
    const key = fc.string({ unit: 'binary', minLength: 1, maxLength: 3 })
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ put: key }) },
      { weight: 1, arbitrary: fc.record({ forget: fc.nat(60) }) },
      { weight: 2, arbitrary: fc.record({ gte: key, lt: key, reverse: fc.boolean() }) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const overlay = new Overlay()
        const model = new Map<string, number>()
        steps.forEach((each, lsn) => {
          if ('put' in each) {
            overlay.apply([[each.put, row('v')]], lsn)
            model.set(each.put, lsn)
          } else if ('forget' in each) {
            overlay.forget(each.forget)
            for (const [key, at] of model) if (at <= each.forget) model.delete(key)
          } else {
            const { gte, lt, reverse } = each
            const expected = [...model.keys()]
              .filter((key) => compareKeys(key, gte) >= 0 && compareKeys(key, lt) < 0)
              .sort(compareKeys)
            expect(keysOf(overlay, each)).toEqual(reverse ? expected.reverse() : expected)
          }
        })
        expect(keysOf(overlay)).toEqual([...model.keys()].sort(compareKeys))
      }),
    )
  })
})
