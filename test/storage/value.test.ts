/** Values: what goes in comes back equal, what could not is refused with its place, and no bytes yield anything else. */
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../src/errors.ts'
import { decodeValue, encodeValue } from '../../src/storage/value.ts'

const back = (value: unknown): unknown => decodeValue(encodeValue(value))
const hex = (value: unknown): string => Buffer.from(encodeValue(value).bytes).toString('hex')

const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme', maxLength: 80 }))

const leaf = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(
    ...[0, -0, NaN, Infinity, -Infinity, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 0xffffffff],
    ...[0x100000000, -0x20, -0x21, -0x80, -0x81, -0x8000, -0x8001, -0x80000000, -0x80000001],
  ),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  text,
  fc.date({ noInvalidDate: true }),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
)

/** The whole grammar of structured values. */
const structured = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value')),
    fc.dictionary(
      text.filter((name) => name !== '__proto__'),
      tie('value'),
      { noNullPrototype: true },
    ),
    fc.array(fc.tuple(tie('value'), tie('value'))).map((entries) => new Map(entries)),
    fc.array(tie('value')).map((members) => new Set(members)),
  ),
})).value

/** Equal in kind and content, without regard to prototypes that mean nothing; unlike `toEqual` it tells -0 from 0. */
const expectSame = (actual: unknown, expected: unknown): void => {
  expect(actual).toStrictEqual(expected)
}

describe('what comes back', () => {
  test('is equal to what was put, for all that may be put', () => {
    fc.assert(
      fc.property(structured, (value) => expectSame(back(value), value)),
      { numRuns: 1000 },
    )
  })

  test.each([
    ['-0', -0],
    ['NaN', NaN],
    [
      'a map whose keys are of many types',
      new Map<unknown, unknown>([
        [1, 'a'],
        ['1', 'b'],
        [1n, 'c'],
        [null, 'd'],
        [[1], 'e'],
      ]),
    ],
    ['a set of many types', new Set<unknown>([1, '1', 1n, null, -1, true])],
    [
      'the earliest and the latest date',
      [new Date(-8.64e15), new Date(8.64e15), new Date(-1), new Date(0), new Date(1)],
    ],
    ['the widest bigints', [-(2n ** 63n), 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 0n, -1n]],
    [
      'a name that objects have',
      { constructor: 1, toString: 2, hasOwnProperty: 3, valueOf: 4, toJSON: 5, '': 6 },
    ],
    ['names that are numbers', { 1: 'a', '-1': 'b', 1.5: 'c' }],
    ['U+FFFD, which is also what broken bytes become', ['\ufffd', 'a\ufffdb'.repeat(20)]],
    ['nothing', [[], {}, new Map(), new Set(), '', Buffer.alloc(0)]],
  ])('is equal: %s', (_, value) => expectSame(back(value), value))

  test.each([15, 16, 31, 32, 255, 256, 65535, 65536])('is equal at the size %i', (size) => {
    for (const value of [
      { text: 'x'.repeat(size) },
      { text: 'é'.repeat(size) },
      { bytes: Buffer.alloc(size, 7) },
      Array.from({ length: size }, (_, index) => index),
      Object.fromEntries(Array.from({ length: size }, (_, index) => [`n${index}`, index])),
      new Map(Array.from({ length: size }, (_, index) => [index, `${index}`])),
      new Set(Array.from({ length: size }, (_, index) => index)),
    ])
      expectSame(back(value), value)
  })

  test('is text for a string and bytes for bytes, and both are not structured', () => {
    expect(encodeValue('añ')).toEqual({ tag: 1, bytes: Buffer.from('añ') })
    expect(encodeValue(Uint8Array.of(1, 2)).tag).toBe(2)
    expect(encodeValue([1]).tag).toBe(0)
    expect(back('añ\0')).toBe('añ\0')
    expect(back('')).toBe('')
    expectSame(back(Uint8Array.of(1, 2)), Buffer.of(1, 2))
  })

  test('shares no memory with what was put, or with what is stored', () => {
    for (const wrap of [(bytes: Buffer) => bytes, (bytes: Buffer) => ({ bytes })]) {
      const bytes = Buffer.from('abc')
      const stored = encodeValue(wrap(bytes))
      bytes.fill(0)
      const first = decodeValue(stored)
      expectSame(first, wrap(Buffer.from('abc')))
      stored.bytes.fill(0)
      expectSame(first, wrap(Buffer.from('abc')))
    }
  })

  test('has bytes that no later value is written over', () => {
    const values = [...'abcdef'].flatMap((letter) => [
      letter.repeat(40),
      Buffer.from(letter.repeat(50)),
      [letter.repeat(60)],
      letter.repeat(5000),
    ])
    const stored = values.map(encodeValue)
    expect(stored.map(decodeValue)).toEqual(values)
  })

  test('holds a value twice that occurred twice', () => {
    const shared = { a: [1] }
    const [first, second] = back([shared, shared]) as (typeof shared)[]
    expectSame([first, second], [shared, shared])
    expect(first).not.toBe(second)
  })

  test('is equal for plain values of another realm, such as the prompt’s', () => {
    const value = runInNewContext(
      '({ a: [1, { b: null }], m: new Map([[1, 2]]), s: new Set([3]), d: new Date(5), u: Uint8Array.of(6) })',
    )
    expectSame(back(value), {
      a: [1, { b: null }],
      m: new Map([[1, 2]]),
      s: new Set([3]),
      d: new Date(5),
      u: Buffer.of(6),
    })
  })

  test('is a plain object for one without prototype', () => {
    expectSame(back(Object.assign(Object.create(null), { a: 1 })), { a: 1 })
  })
})

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
    ['undefined in an object', { a: { b: undefined } }, ['a', 'b']],
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

describe('the encoding', () => {
  // These bytes are in people's logs: a change here is a change of the format.
  test.each([
    [null, 'c0'],
    [true, 'c3'],
    [0, '00'],
    [127, '7f'],
    [128, 'cc80'],
    [65536, 'ce00010000'],
    [-1, 'ff'],
    [-33, 'd0df'],
    [-0, 'c192009191a96d696e75735a65726f'],
    [1.5, 'cb3ff8000000000000'],
    [2 ** 32, 'cb41f0000000000000'],
    [5n, 'd30000000000000005'],
    [2n ** 63n, 'cf8000000000000000'],
    [['a', 'é'], '92a161a2c3a9'],
    [{ a: 1 }, '81a16101'],
    [[Buffer.of(1, 2)], '91c4020102'],
    [new Map([[1, 2]]), 'c192919201029191a36d6170'],
    [new Set([1, 'a']), 'c1929201a1619191a3736574'],
    [new Date(1500), 'c192cd05dc9191a464617465'],
    [{ a: [new Date(-1)] }, 'c19281a16191ff9193a464617465a16100'],
  ])('of %o is %s', (value, bytes) => {
    expect(hex(value)).toBe(bytes)
    expectSame(decodeValue({ tag: 0, bytes: Buffer.from(bytes, 'hex') }), value)
  })

  const plain = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, true, false),
      fc.integer(),
      fc.double().filter((number) => !Object.is(number, -0)),
      text,
      fc.array(tie('value')),
      fc.dictionary(
        text.filter((name) => name !== '__proto__'),
        tie('value'),
        { noNullPrototype: true },
      ),
    ),
  })).value

  test('of plain data is plain msgpack, which any reader reads', () => {
    fc.assert(
      fc.property(plain, (value) => {
        fc.pre(typeof value !== 'string')
        expectSame(unpack(encodeValue(value).bytes), value)
      }),
      { numRuns: 500 },
    )
  })
})

/** What decoding did: a value, or a code; anything else is a fault of ours. */
const outcome = (bytes: Uint8Array): { value: unknown } | { code: unknown } => {
  try {
    return { value: decodeValue({ tag: 0, bytes }) }
  } catch (error) {
    return { code: isKeelsonError(error) ? error.code : error }
  }
}

describe('bytes that no value has', () => {
  test.each([
    ['no bytes', ''],
    ['the type that msgpack never uses, alone', 'c1'],
    ['two values', 'c0c0'],
    ['a string that ends too early', 'a361'],
    ['a RegExp of msgpackr', 'd4780092a178a0'],
    ['an extension of msgpackr for sets', 'd473009101'],
    ['a date of msgpack', 'd6ff00000001'],
    ['marks that are none', 'c192c0c0'],
    ['a mark that points nowhere', 'c19280919 2a36d6170a161'.replace(' ', '')],
    ['a mark that does not fit', 'c192c09191a36d6170'],
    ['a mark of an unknown kind', 'c192909191a3666f6f'],
  ])('are CORRUPT: %s', (_, bytes) => {
    expect(outcome(Buffer.from(bytes, 'hex'))).toEqual({ code: 'CORRUPT' })
  })

  test('are CORRUPT as text that is not UTF-8', () => {
    const decode = () => decodeValue({ tag: 1, bytes: Buffer.from('c328', 'hex') })
    expect(decode).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })
})

test('a blob reference has no value of its own', () => {
  const decode = () => decodeValue({ tag: 3, bytes: Buffer.alloc(60) })
  expect(decode).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
})
