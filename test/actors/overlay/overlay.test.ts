import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Overlay } from '../../../src/actors/overlay/overlay.ts'
import type { Row, RowRange } from '../../../src/storage/ports/projection-store.ts'
import { compareKeys } from '../../../src/storage/values/key.ts'
import { anyText } from '../../support/any-text.ts'
import { roomy } from '../../support/worlds/overlay-limits.ts'

const row = (text: string): Row => ({
  value: { tag: 1, bytes: new TextEncoder().encode(text) },
  expiresAt: 0,
})

/** Overlays take what a frame does row by row. */
const write = (overlay: Overlay, lsn: number, key: string, written: Row | undefined) => {
  overlay.begin(lsn)
  overlay.set(key, written)
}

const keysOf = (overlay: Overlay, range = {}) => [...overlay.range(range)].map(([key]) => key)

describe('the overlay', () => {
  test('answers the newest state of a key, also that it was removed', () => {
    const overlay = new Overlay(roomy)
    write(overlay, 1, 'a', row('1'))
    write(overlay, 2, 'a', row('2'))
    write(overlay, 3, 'b', undefined)

    expect(overlay.get('a')).toEqual(row('2'))
    expect(overlay.get('b')).toBeNull()
    expect(overlay.get('c')).toBeUndefined()
  })

  test('forgets what was written up to an LSN together, but nothing that was written behind it', () => {
    const overlay = new Overlay(roomy)
    write(overlay, 1, 'a', row('1'))
    write(overlay, 2, 'b', row('1'))
    write(overlay, 3, 'a', row('2'))

    overlay.forget(2)
    expect(overlay.get('a')).toEqual(row('2'))
    write(overlay, 4, 'c', row('1'))
    overlay.forget(3)

    expect(keysOf(overlay)).toEqual(['c'])
  })

  test('keeps what is projected for as many frames as the projection is behind, and no longer', () => {
    const overlay = new Overlay(roomy)
    const behind = 50
    for (let lsn = 1; lsn <= 1_000; lsn++) {
      write(overlay, lsn, `k${lsn}`, row('x'))
      overlay.forget(lsn - behind)
      expect(overlay.get(`k${Math.max(1, lsn - behind + 1)}`)).toEqual(row('x'))
      expect(overlay.size).toBeLessThanOrEqual(2 * behind + 1)
    }
  })

  test('shows of a key that was written again what was written last, until all of it is projected', () => {
    const overlay = new Overlay(roomy)
    write(overlay, 1, 'a', row('1'))
    write(overlay, 2, 'b', row('1'))
    overlay.forget(1)
    write(overlay, 3, 'a', undefined)
    write(overlay, 4, 'c', row('3'))

    expect([...overlay.range({})]).toEqual([
      ['a', undefined],
      ['b', row('1')],
      ['c', row('3')],
    ])
    expect([...overlay.range({ reverse: true })].map(([key]) => key)).toEqual(['c', 'b', 'a'])
    expect(overlay.get('a')).toBeNull()
    overlay.forget(2)
    expect(overlay.get('a')).toBeNull()
    expect(overlay.get('b')).toBeUndefined()
  })

  test('counts the bytes of what is newest, and nothing of what was there before', () => {
    const often = new Overlay(roomy)
    const once = new Overlay(roomy)
    for (let lsn = 1; lsn <= 100; lsn++) write(often, lsn, 'a', row('x'.repeat(lsn)))
    write(often, 101, 'b', undefined)
    write(once, 1, 'a', row('x'.repeat(100)))
    write(once, 2, 'b', undefined)

    expect(often.bytes).toBe(once.bytes)
    expect(once.bytes).toBeGreaterThan(100)
  })

  test('knows before when nothing of it has ended', () => {
    const overlay = new Overlay(roomy)
    const ending = (expiresAt: number) => ({ ...row('x'), expiresAt })
    write(overlay, 1, 'never', row('x'))
    write(overlay, 2, 'gone', undefined)
    expect(overlay.soonest).toBe(Number.POSITIVE_INFINITY)
    write(overlay, 3, 'soon', ending(500))
    overlay.forget(1)
    write(overlay, 4, 'later', ending(700))
    expect(overlay.soonest).toBe(500)
    overlay.forget(3)
    expect(overlay.soonest).toBe(700)
    overlay.forget(4)
    expect(overlay.soonest).toBe(Number.POSITIVE_INFINITY)
  })

  test('holds no bytes when everything is forgotten', () => {
    const overlay = new Overlay(roomy)
    for (let lsn = 1; lsn <= 5_000; lsn++) write(overlay, lsn, `k${lsn % 700}`, row('x'))

    overlay.forget(5_000)

    expect({ bytes: overlay.bytes, size: overlay.size, keys: keysOf(overlay) }).toEqual({
      bytes: 0,
      size: 0,
      keys: [],
    })
  })

  test('keeps what is not projected when it is told again of what is', () => {
    const overlay = new Overlay(roomy)
    write(overlay, 1, 'a', row('1'))
    for (let times = 0; times < 3; times++) overlay.forget(0)
    expect(overlay.get('a')).toEqual(row('1'))
    expect(keysOf(overlay)).toEqual(['a'])
  })

  test('lets go of forgotten rows while others are written, also where it has to look for them', () => {
    const overlay = new Overlay({ bytes: 2 ** 30, keys: 80 })
    for (let lsn = 1; lsn <= 80; lsn++) write(overlay, lsn, `k${lsn}`, row('x'))
    overlay.forget(40)
    for (let lsn = 81; lsn <= 110; lsn++) write(overlay, lsn, `n${lsn}`, row('x'))
    for (let at = 1; at <= 40; at++) expect(overlay.get(`k${at}`), `k${at}`).toBeUndefined()
    for (let at = 41; at <= 80; at++) expect(overlay.get(`k${at}`), `k${at}`).toEqual(row('x'))
  })

  test('has room again once the projection shows an eighth of what fills it', () => {
    const overlay = new Overlay({ bytes: 2 ** 30, keys: 800 })
    let lsn = 0
    while (!overlay.isFull) write(overlay, ++lsn, `k${lsn}`, row('x'))
    expect(lsn).toBe(800)

    overlay.forget(99)
    expect(overlay.isFull).toBe(true)
    overlay.forget(100)
    expect(overlay.size).toBe(700)
    expect(overlay.isFull).toBe(false)
    overlay.forget(799)
    expect(overlay.size).toBe(100)
  })

  test('is full at its bytes too, and shows what stands in any of its parts', () => {
    const overlay = new Overlay({ bytes: 100_000, keys: 2 ** 20 })
    let lsn = 0
    while (!overlay.isFull) write(overlay, ++lsn, `k${lsn}`, row('x'.repeat(1_000)))
    expect(lsn).toBeLessThan(100)
    expect(keysOf(overlay)).toHaveLength(lsn)
    expect(overlay.get('k1')).toEqual(row('x'.repeat(1_000)))
    write(overlay, ++lsn, 'k1', undefined)
    expect(overlay.get('k1')).toBeNull()
  })

  test('is not filled by keys that are written again and again, whatever the projection shows', () => {
    const overlay = new Overlay({ bytes: 2 ** 30, keys: 80 })
    for (let lsn = 1; lsn <= 1_000; lsn++) {
      write(overlay, lsn, `k${lsn % 30}`, row(`${lsn}`))
      if (lsn % 50 === 0) expect(keysOf(overlay)).toHaveLength(30)
    }
    expect(overlay.isFull).toBe(false)
    expect(overlay.size).toBeLessThanOrEqual(30 + 10)
    expect(overlay.bytes / overlay.size).toBeLessThan(200)
    for (let lsn = 971; lsn <= 1_000; lsn++)
      expect(overlay.get(`k${lsn % 30}`)).toEqual(row(`${lsn}`))

    overlay.forget(1_000)
    expect([overlay.size, overlay.bytes]).toEqual([0, 0])
  })

  test('walks any range of any history in the order of UTF-8 bytes', () => {
    const key = anyText({ minLength: 1, maxLength: 3 })
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ put: key }) },
      { weight: 1, arbitrary: fc.record({ behind: fc.nat(25) }) },
      { weight: 2, arbitrary: fc.record({ gte: key, lt: key, reverse: fc.boolean() }) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const overlay = new Overlay({ bytes: 2 ** 30, keys: 40 })
        const model = new Map<string, number>()
        let forgotten = 0
        /** What has to be there is there, in order; what else is there was projected, and is as it was written last. */
        const check = (range: RowRange, isWithin: (key: string) => boolean) => {
          const found = [...overlay.range(range)]
          const keys = found.map(([key]) => key)
          expect(keys).toEqual(
            [...new Set(keys)].sort(compareKeys)[range.reverse ? 'reverse' : 'slice'](),
          )
          expect(keys.every(isWithin)).toBe(true)
          for (const [key, lsn] of model)
            if (isWithin(key) && lsn > forgotten) expect(keys).toContain(key)
          for (const [key, shown] of found) expect(shown).toEqual(row(`${model.get(key)}`))
          for (const [key, lsn] of model) {
            const got = overlay.get(key)
            if (lsn > forgotten || got !== undefined) expect(got).toEqual(row(`${lsn}`))
          }
        }
        steps.forEach((each, at) => {
          const lsn = at + 1
          if ('put' in each) {
            write(overlay, lsn, each.put, row(`${lsn}`))
            model.set(each.put, lsn)
            expect(overlay.get(each.put)).toEqual(row(`${lsn}`))
          } else if ('behind' in each) {
            forgotten = Math.max(forgotten, lsn - each.behind)
            overlay.forget(lsn - each.behind)
          } else {
            const { gte, lt } = each
            check(each, (key) => compareKeys(key, gte) >= 0 && compareKeys(key, lt) < 0)
          }
        })
        check({}, () => true)
        overlay.forget(steps.length)
        expect(keysOf(overlay)).toEqual([])
      }),
    )
  })
})
