/** What was put comes back equal, and shares no memory with anything. */

import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { noOptions } from '../../../src/own-names.ts'
import { keyedByNames } from '../../../src/redaction.ts'
import { decodeValue, encodeValue, isCanonical } from '../../../src/storage/values/value.ts'
import { back, expectSame, text } from '../../support/same-values.ts'
import { thorough } from '../../support/tier.ts'

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

describe('what comes back', () => {
  test('is equal to what was put, for all that may be put', () => {
    fc.assert(
      fc.property(structured, (value) => {
        expectSame(back(value), value)
        expect(isCanonical(encodeValue(value))).toBe(true)
      }),
      { numRuns: thorough(100, 2_000) },
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
      { bytes: Buffer.from(letter.repeat(70)) },
      letter.repeat(5000),
    ])
    const stored = values.map(encodeValue)
    expect(stored.map(decodeValue)).toEqual(values)
  })

  test('is not made of what was decoded before it, when a value is cut short', () => {
    const { tag, bytes } = encodeValue({ name: 'a'.repeat(30), list: [1, 2, 3] })
    for (let length = 0; length < bytes.length; length++) {
      decodeValue({ tag, bytes })
      const cut = { tag, bytes: bytes.subarray(0, length) }
      expect(() => decodeValue(cut), `${length} bytes`).toThrow(/are damaged/)
    }
  })

  test('leaves nothing at the stored bytes of a short value, which may stay in memory', () => {
    const stored = encodeValue({ number: 1 })
    decodeValue(stored)
    expect(Object.keys(stored.bytes)).toEqual([...stored.bytes.keys()].map(String))
  })

  test('has no property that was undefined, at any depth, as in JSON', () => {
    const value = { a: undefined, b: [{ c: undefined, d: 1 }], m: new Map([[1, { e: undefined }]]) }

    expectSame(back(value), { b: [{ d: 1 }], m: new Map([[1, {}]]) })
    expect(encodeValue({ a: undefined, b: 1 })).toEqual(encodeValue({ b: 1 }))
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

  test('is the bytes that are there, whatever length they report', () => {
    class Liar extends Uint8Array {
      override get length() {
        return 1e6
      }
      override get byteLength() {
        return 1e6
      }
    }
    const own = Object.defineProperties(Buffer.of(7, 8, 9), {
      length: { value: 1e6 },
      byteLength: { value: 1e6 },
      constructor: { value: Map },
    })
    for (const bytes of [new Liar([7, 8, 9]), own]) {
      expectSame(back(bytes), Buffer.of(7, 8, 9))
      expectSame(back({ nested: [bytes] }), { nested: [Buffer.of(7, 8, 9)] })
    }
  })

  test('is a plain object for one without prototype', () => {
    expectSame(back(Object.assign(Object.create(null), { a: 1 })), { a: 1 })
    // The options that a call has been given none of, and the parts of `health()`, cross to members.
    expectSame(back({ options: noOptions }), { options: {} })
    expectSame(back(keyedByNames({ tokens: 1 })), { tokens: 1 })
  })
})
