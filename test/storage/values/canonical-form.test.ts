/** The canonical form: one for equal values, whatever their order, and another one for every other value. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import {
  canonicalBytes,
  canonicalText,
  canonicalValue,
} from '../../../src/storage/values/canonical-form.ts'
import { decodeValue, encodeStructured, encodeValue } from '../../../src/storage/values/value.ts'
import { thorough } from '../../support/tier.ts'

const formOf = (value: unknown) => Buffer.from(canonicalBytes(encodeStructured(value)))

/** An equal value: everything that has no order is in another one. */
const shuffled = (value: unknown, random: () => number): unknown => {
  const again = (each: unknown) => shuffled(each, random)
  const inAnyOrder = <T>(items: Iterable<T>): T[] =>
    [...items]
      .map((item) => [random(), item] as const)
      .sort(([one], [other]) => one - other)
      .map(([, item]) => item)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array || value instanceof Date) return value
  if (Array.isArray(value)) return value.map(again)
  if (value instanceof Set) return new Set(inAnyOrder(value).map(again))
  const pairs = (entries: Iterable<readonly [unknown, unknown]>) =>
    inAnyOrder(entries).map(([key, each]) => [again(key), again(each)] as const)
  if (value instanceof Map) return new Map(pairs(value))
  return Object.fromEntries(pairs(Object.entries(value)) as Iterable<readonly [string, unknown]>)
}

const leaf = fc.oneof(
  fc.constantFrom(null, true, 0, -0, 1, 1n, 2.5, 2 ** 40, Number.NaN, '', 'a', 'b', '1'),
  fc.constantFrom(0, 1).map((ms) => new Date(ms)),
  fc.constantFrom('', 'a').map((text) => Buffer.from(text)),
)

/** Names of every length that msgpack writes otherwise, and such as JavaScript puts first. */
const name = fc.constantFrom('a', 'b', 'ab', '10', '9', 'é', '𝒳', 'n'.repeat(40), 'n'.repeat(300))

/** A value as it is stored. Few names and leaves, so that equal values and long marks are frequent. */
const structured = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(name, tie('value'), { maxKeys: 9, noNullPrototype: true }),
    fc.dictionary(name, tie('value'), { maxKeys: 3, noNullPrototype: true }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 }).map((all) => new Map(all)),
    fc.array(tie('value'), { maxLength: 3 }).map((members) => new Set(members)),
  ),
})).value

describe('the canonical form of a value', () => {
  test.each([
    ['names', { b: 1, a: { d: 2, c: 3 } }, { a: { c: 3, d: 2 }, b: 1 }],
    ['names above dates', { b: new Date(1), a: -0 }, { a: -0, b: new Date(1) }],
    ['Map entries', { m: new Map([['x', 1]]).set('y', 2) }, { m: new Map([['y', 2]]).set('x', 1) }],
    ['Set members', new Set([1, new Set(['a', 'b'])]), new Set([new Set(['b', 'a']), 1])],
  ])('does not depend on the order of %s', (_, one, other) => {
    expect(encodeStructured(one)).not.toEqual(encodeStructured(other))
    expect(formOf(one)).toEqual(formOf(other))
  })

  test('is one for all orders of a value, and differs exactly if values do', () => {
    fc.assert(
      fc.property(structured, structured, fc.nat(), (left, right, seed) => {
        expect(formOf(shuffled(left, seededRandom(seed)))).toEqual(formOf(left))
        expect(formOf(left).equals(formOf(right))).toBe(
          canonicalText(left) === canonicalText(right),
        )
      }),
      { numRuns: thorough(200, 20_000) },
    )
  })

  test('leaves the bytes as they are, and is these bytes if nothing is to be moved', () => {
    const moved = encodeStructured({ b: 1, a: 2 })
    const before = Buffer.from(moved)
    expect(canonicalBytes(moved)).not.toEqual(before)
    expect(moved).toEqual(before)
    for (const value of ['text', [3, 1, 2], { a: 1, b: { c: new Date(1), d: -0 } }]) {
      const bytes = encodeStructured(value)
      expect(canonicalBytes(bytes)).toBe(bytes)
    }
  })

  test('without Maps and Sets it is an equal value', () => {
    const value = { b: [{ z: new Date(1), y: -0 }], a: { 10: 'x', 9: Buffer.from('b') } }
    expect(decodeValue(canonicalValue(encodeValue(value)))).toEqual(value)
  })

  test('of text, of bytes, and of bytes that are no value is what is there', () => {
    for (const value of ['b', Buffer.from('b')]) {
      const stored = encodeValue(value)
      expect(canonicalValue(stored)).toBe(stored)
    }
    const random = seededRandom(1)
    for (let round = 0; round < 500; round++) {
      const bytes = encodeStructured({ b: new Map([[1, { d: 1, c: new Date(1) }]]), a: -0 }, 1)
      const at = Math.floor(random() * bytes.length)
      const odd = Buffer.from(bytes.subarray(0, round % 2 ? bytes.length : at + 1))
      odd[at] = Math.floor(256 * random())
      expect(canonicalBytes(odd, 1)[0]).toBe(odd[0])
    }
  })

  test('leaves the first bytes, which are the version of a payload', () => {
    const [one, other] = [encodeStructured({ b: 1, a: 2 }, 1), encodeStructured({ a: 2, b: 1 }, 1)]
    one[0] = 7
    other[0] = 8
    const [form, second] = [canonicalBytes(one, 1), canonicalBytes(other, 1)]
    expect(form[0]).toBe(7)
    expect(second[0]).toBe(8)
    expect(Buffer.from(form.subarray(1))).toEqual(Buffer.from(second.subarray(1)))
  })
})
