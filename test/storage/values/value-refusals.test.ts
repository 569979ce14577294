/** What could not come back equal is refused with its place. */
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import { encodeValue } from '../../../src/storage/values/value.ts'
import { back, expectSame } from '../../support/same-values.ts'

class Point {
  x = 1
}

class Names extends Map {}

class Times extends Date {}

class List extends Array {}

const cycle: Record<string, unknown> = { a: [{}] }

cycle.b = { c: cycle }

const nest = (depth: number): unknown => {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = [value]
  return value
}

describe('what could not come back equal', () => {
  test.each<[what: string, value: unknown, path: readonly unknown[]]>([
    ['undefined', undefined, []],
    ['a function', () => 1, []],
    ['a symbol', Symbol('s'), []],
    ['undefined in an array', [1, [2, undefined]], [1, 1]],
    ['a function in a map', new Map([['k', () => 1]]), [0]],
    [
      'undefined as a map’s key',
      {
        m: new Map([
          [1, 1],
          [undefined, 1],
        ] as [unknown, 1][]),
      },
      ['m', 1],
    ],
    ['a symbol in a set', [new Set([1, Symbol('s')])], [0, 1]],
    ['a key that is a symbol', { a: { [Symbol('s')]: 1 } }, ['a']],
    ['a class instance', [new Point()], [0]],
    ['an Error', { e: new Error('x') }, ['e']],
    ['a RegExp', [/x/], [0]],
    ['a promise', [Promise.resolve()], [0]],
    ['a boxed number', [Object(1)], [0]],
    ['a boxed string', [Object('a')], [0]],
    ['a weak map', [new WeakMap()], [0]],
    ['another typed array', [Uint16Array.of(1)], [0]],
    ['a DataView', [new DataView(new ArrayBuffer(1))], [0]],
    ['an ArrayBuffer', [new ArrayBuffer(1)], [0]],
    ['an object with a prototype of its own', [Object.create({ a: 1 })], [0]],
    ['an instance of a class derived from Map', [new Names()], [0]],
    ['an instance of a class derived from Date', [new Times()], [0]],
    ['an instance of a class derived from Array', [new List()], [0]],
    ['a map with properties', [Object.assign(new Map(), { a: 1 })], [0]],
    ['an array with properties', ['abc'.match(/b/)], [0]],
    // biome-ignore lint/suspicious/noSparseArray: a hole is what is refused
    ['an array with a hole', [[1, , 3]], [0]],
    ['an array of nothing but holes', [new Array(3)], [0]],
    ['an invalid date', { d: new Date(Number.NaN) }, ['d']],
    ['an ill-formed string', { s: 'a\ud800' }, ['s']],
    ['an ill-formed string, long', { s: `${'a'.repeat(100)}\udc00` }, ['s']],
    ['an ill-formed name', { 'a\ud800b': 1 }, ['a\ud800b']],
    ['an ill-formed string on top', '\udfff', []],
    ['a key named __proto__', { a: JSON.parse('{ "__proto__": 1 }') }, ['a', '__proto__']],
    ['a bigint of 65 bits', [2n ** 64n], [0]],
    ['a bigint of 65 bits below zero', [-(2n ** 63n) - 1n], [0]],
    ['a cycle', cycle, ['b', 'c']],
    ['too many containers in one another', nest(257), new Array(256).fill(0)],
    ['a hundred thousand containers in one another', nest(1e5), new Array(256).fill(0)],
  ])('is refused with its path: %s', (_, value, path) => {
    let refusal: unknown
    try {
      encodeValue(value)
    } catch (error) {
      refusal = error
    }
    expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT' })
    if (isKeelsonError(refusal)) expect(refusal.details.path).toEqual(path)
    expect((refusal as Error).message.length).toBeLessThan(200)
  })

  test('is refused when reading it throws, with what it threw', () => {
    const cause = new Error('from a getter')
    const value = {
      get a() {
        throw cause
      },
    }
    expect(() => encodeValue(value)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', cause }),
    )
  })

  test('is never believed of a getter or a proxy: what was checked is what is stored', () => {
    let asked = 0
    const getter = {
      get a() {
        return asked++ === 0 ? 1 : undefined
      },
    }
    expectSame(back(getter), { a: 1 })
    const memo = {
      cache: undefined as unknown,
      get size() {
        this.cache ??= new Date(0)
        return 1
      },
    }
    memo.size
    expectSame(back(memo), { cache: new Date(0), size: 1 })
    let seen = 0
    const proxy = new Proxy([1, 2], {
      get: (target, name) => (name === '1' && seen++ > 0 ? /x/ : Reflect.get(target, name)),
    })
    expectSame(back(proxy), [1, 2])
    const date = Object.defineProperty(new Date(5), 'getTime', { value: () => 7 })
    expectSame((back(date) as Date).valueOf(), 5)
  })

  test('is not what reads back as CORRUPT: whatever is taken comes back, however deep', () => {
    let maps: unknown = 1
    for (let depth = 0; depth < 256; depth++) maps = new Map([[1, maps]])
    expectSame(back(maps), maps)
  })

  test('leaves nothing behind: the next value is encoded as if nothing had been', () => {
    expect(() => encodeValue([1, 2, undefined])).toThrow()
    expectSame(back([1, 2, 3]), [1, 2, 3])
  })

  test('begins one container deeper than what comes back', () => {
    expectSame(back(nest(256)), nest(256))
  })
})
