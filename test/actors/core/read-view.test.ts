/** What readers see of rows in layers: keys, with the rows of their fields and locks passed by. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ReadView } from '../../../src/actors/core/read-view.ts'
import { Overlay } from '../../../src/actors/overlay/overlay.ts'
import {
  compareKeys,
  type ProjectionStore,
  type Row,
  type RowChange,
  type RowRange,
} from '../../../src/storage/index.ts'
import { memoryProjections } from '../../../src/testing/index.ts'
import { roomy } from '../../support/worlds/overlay-limits.ts'

const walId = '000102030405060708090a0b0c0d0eff'
const row = (text: string, expiresAt = 0): Row => ({
  value: { tag: 1, bytes: new Uint8Array(Buffer.from(text)) },
  expiresAt,
})
const head = (fields: number, expiresAt = 0): Row => {
  const bytes = new Uint8Array(8)
  bytes[0] = fields
  return { value: { tag: 4, bytes }, expiresAt }
}

/** A view with these rows, every other one of them still in the overlay. */
const viewOf = (rows: readonly RowChange[]) => {
  const store = memoryProjections({ turnsMax: 0 }).open('p')
  const overlay = new Overlay(roomy)
  const below = rows.filter((_, at) => at % 2 === 0)
  const above = rows.filter((_, at) => at % 2 === 1)
  void store.commit(below, { walId, epoch: 1, lsn: 1 })
  overlay.begin(2)
  for (const [key, one] of above) overlay.set(key, one)
  return { view: new ReadView(overlay, store), store }
}

const compound = (key: string, fields: number, expiresAt = 0): RowChange[] => [
  [key, head(fields, expiresAt)],
  ...Array.from({ length: fields }, (_, at): RowChange => [`${key}\0f${at}`, row(`${at}`)]),
]

const keysOf = (walk: Iterable<readonly [string, unknown]>) => [...walk].map(([key]) => key)

describe('a range', () => {
  const rows: RowChange[] = [
    ['\0c', row('')],
    ['\0la', row('ann')],
    ['a', row('1')],
    ...compound('b', 30),
    ['b\x01', row('2')],
    ...compound('ba', 2),
    ...compound('c', 3, 5),
    ['d', row('3', 5)],
    ['é', row('4')],
  ]
  const seen = ['a', 'b', 'b\x01', 'ba', 'é']

  test('shows keys in order, compounds as their heads, and neither locks nor what has ended', () => {
    const { view } = viewOf(rows)
    expect(keysOf(view.range({}, 10))).toEqual(seen)
    expect(keysOf(view.range({ reverse: true }, 10))).toEqual([...seen].reverse())
    expect([...view.range({ gte: 'b', lte: 'b' }, 10)]).toEqual([['b', head(30)]])
  })

  test('shows the same within any bounds', () => {
    const { view } = viewOf(rows)
    const bound = fc.constantFrom('a', 'b', 'b\x01', 'ba', 'c', 'd', 'é', 'zz', ' ')
    fc.assert(
      fc.property(
        fc.option(fc.tuple(fc.constantFrom('gt', 'gte'), bound), { nil: undefined }),
        fc.option(fc.tuple(fc.constantFrom('lt', 'lte'), bound), { nil: undefined }),
        fc.boolean(),
        (low, high, reverse) => {
          const range: RowRange = {
            ...(low && { [low[0]]: low[1] }),
            ...(high && { [high[0]]: high[1] }),
            reverse,
          }
          const within = seen.filter(
            (key) =>
              (!low || compareKeys(key, low[1]) > (low[0] === 'gt' ? 0 : -1)) &&
              (!high || compareKeys(key, high[1]) < (high[0] === 'lt' ? 0 : 1)),
          )
          expect(keysOf(view.range(range, 10))).toEqual(reverse ? within.reverse() : within)
        },
      ),
    )
  })

  test('passes by a large compound without reading all of its fields', () => {
    const { store } = viewOf([['a', row('1')], ...compound('b', 200), ['z', row('2')]])
    let read = 0
    const counting = new Proxy(store, {
      get: (target, name) =>
        name === 'range'
          ? function* (range: RowRange) {
              for (const entry of target.range(range)) {
                read++
                yield entry
              }
            }
          : Reflect.get(target, name).bind(target),
    }) as ProjectionStore
    const view = new ReadView(new Overlay(roomy), counting)
    for (const reverse of [false, true]) {
      read = 0
      keysOf(view.range({ reverse }, 10))
      expect(read).toBeLessThan(40)
    }
  })
})

describe('fields', () => {
  test('are those of the compound, in order', () => {
    const { view } = viewOf([...compound('a', 3), ...compound('ab', 1)])
    expect(keysOf(view.fields('a', 10))).toEqual(['f0', 'f1', 'f2'])
    expect(view.field('a', 'f1', 10)).toEqual(row('1'))
    expect(view.field('a', 'f9', 10)).toBeUndefined()
  })

  test('of what is absent or has ended are none', () => {
    const { view } = viewOf(compound('a', 3, 5))
    expect(keysOf(view.fields('a', 10))).toEqual([])
    expect(view.field('a', 'f1', 10)).toBeUndefined()
    expect(keysOf(view.fields('b', 10))).toEqual([])
    expect(keysOf(view.fields('a', 4))).toHaveLength(3)
  })

  test('of an ordinary value are WRONG_TYPE', () => {
    const { view } = viewOf([['a', row('1')]])
    const wrong = expect.objectContaining({ code: 'WRONG_TYPE' })
    expect(() => keysOf(view.fields('a', 10))).toThrow(wrong)
    expect(() => view.field('a', 'f', 10)).toThrow(wrong)
  })
})
