/** Equality for `compareAndSet`: values are compared, not their encodings. */

import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sha256 } from '../../../src/bytes/sha256.ts'
import type { StoredValue } from '../../../src/storage/ports/projection-store.ts'
import type { ReadBlob } from '../../../src/storage/rows/rows.ts'
import { valuesEqual } from '../../../src/storage/rows/value-commands.ts'
import type { BlobRef } from '../../../src/storage/values/blob-reference.ts'
import { canonicalText } from '../../../src/storage/values/canonical-form.ts'
import {
  appendToRope,
  blobRope,
  encodeRope,
  inlineRope,
  type Rope,
} from '../../../src/storage/values/rope.ts'
import { encodeValue } from '../../../src/storage/values/value.ts'
import { missingBlob } from '../../support/worlds/map-rows.ts'

const equal = (left: unknown, right: unknown) =>
  valuesEqual(encodeValue(left), encodeValue(right), missingBlob)

describe('two values', () => {
  test.each<[string, unknown, unknown]>([
    [
      'objects with their keys in another order',
      { a: 1, b: { c: 2, d: 3 } },
      { b: { d: 3, c: 2 }, a: 1 },
    ],
    [
      'Maps with their entries in another order',
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
      new Map([
        ['b', 2],
        ['a', 1],
      ]),
    ],
    ['Sets with their members in another order', new Set(['a', 'b']), new Set(['b', 'a'])],
    [
      'Maps with structured keys',
      new Map([
        [{ a: 1 }, 1],
        [[2], 2],
      ]),
      new Map<unknown, number>([
        [[2], 2],
        [{ a: 1 }, 1],
      ]),
    ],
    ['NaN', Number.NaN, Number.NaN],
    ['Dates', [new Date(5)], [new Date(5)]],
    ['bytes within', { a: Buffer.of(1) }, { a: new Uint8Array([1]) }],
    ['a whole number that was written as a fraction', 3, 6 / 2],
  ])('are equal: %s', (_, left, right) => {
    expect(equal(left, right)).toBe(true)
  })

  test.each<[string, unknown, unknown]>([
    ['1 and 1n', [1], [1n]],
    ['0 and -0', [0], [-0]],
    ['text and bytes of it', 'a', Buffer.from('a')],
    ['text and structured', '1', 1],
    ['null and a text that says so', [null], ['null']],
    ['texts that were cut elsewhere', ['a;', 'b'], ['a', ';b']],
    ['a text and a text within', 'a', ['a']],
    ['null and an empty object', null, {}],
    ['an array and a Set of it', ['a'], new Set(['a'])],
    ['an object and a Map of it', { a: 1 }, new Map([['a', 1]])],
    ['a Date and its number', [new Date(5)], [5]],
    ['arrays in another order', ['a', 'b'], ['b', 'a']],
    ['pairs that were cut elsewhere', new Set(['ab', 'c']), new Set(['a', 'bc'])],
    ['a key and a value that changed places', { a: 'b' }, { b: 'a' }],
    ['one more member', new Set([1]), new Set([1, 2])],
    ['bytes and a text of as many', [Buffer.from('a')], ['a']],
  ])('differ: %s', (_, left, right) => {
    expect(equal(left, right)).toBe(false)
    expect(equal(right, left)).toBe(false)
  })

  test('are equal exactly when Node says so', { tags: ['slow'] }, () => {
    const value = fc.anything({
      maxDepth: 3,
      withMap: true,
      withSet: true,
      withBigInt: true,
      withDate: true,
      values: [
        fc.integer({ min: 0, max: 2 }),
        fc.constantFrom('a', 'b', '', -0, Number.NaN, null, true),
      ],
      key: fc.constantFrom('a', 'b'),
    })
    fc.assert(
      fc.property(value, value, (left, right) => {
        expect(canonicalText(left) === canonicalText(right)).toBe(isDeepStrictEqual(left, right))
        expect(canonicalText(left)).toBe(canonicalText(structuredClone(left)))
      }),
      { numRuns: 3000 },
    )
  })
})

describe('content in a blob', () => {
  const blobs: Uint8Array[] = []
  const read: ReadBlob = ({ offset }, from, to) => (blobs[offset] as Uint8Array).subarray(from, to)
  const refTo = (bytes: Uint8Array): BlobRef => ({
    size: bytes.length,
    segment: 1,
    offset: blobs.push(bytes) - 1,
    sha256: sha256(bytes),
  })
  const inBlob = (value: unknown): StoredValue => {
    const { tag, bytes } = encodeValue(value)
    return { tag: 3, bytes: encodeRope(blobRope(tag as 0 | 1 | 2, refTo(bytes))) }
  }

  test('is not read if its checksum or its length decides', () => {
    expect(valuesEqual(inBlob('abc'), encodeValue('abc'), missingBlob)).toBe(true)
    expect(valuesEqual(inBlob('abc'), encodeValue('abd'), missingBlob)).toBe(false)
    expect(valuesEqual(inBlob('abc'), encodeValue('abcd'), missingBlob)).toBe(false)
    expect(valuesEqual(inBlob('abc'), encodeValue(Buffer.from('abc')), missingBlob)).toBe(false)
    expect(valuesEqual(inBlob({ a: 1 }), encodeValue({ a: 1 }), missingBlob)).toBe(true)
    expect(valuesEqual(inBlob(['x'.repeat(9000)]), encodeValue([1]), missingBlob)).toBe(false)
  })

  test('that is structured is compared as a value, not as bytes', () => {
    expect(valuesEqual(inBlob({ a: 1, b: 2 }), encodeValue({ b: 2, a: 1 }), read)).toBe(true)
    expect(valuesEqual(inBlob({ a: 1, b: 2 }), encodeValue({ b: 2, a: 3 }), read)).toBe(false)
  })

  test('is read in pieces of at most 1 MiB, and every byte counts', () => {
    const bytes = new Uint8Array(3 * 1024 * 1024).map((_, at) => at % 251)
    const whole = appendToRope(
      blobRope(2, refTo(bytes)),
      inlineRope(2, Uint8Array.of(1, 2)),
    ) as Rope
    const stored: StoredValue = { tag: 3, bytes: encodeRope(whole) }
    const counting: ReadBlob = (ref, from, to) => {
      expect(to - from).toBeLessThanOrEqual(1024 * 1024)
      return read(ref, from, to)
    }
    const same = Buffer.concat([bytes, Buffer.of(1, 2)])
    expect(valuesEqual(stored, encodeValue(same), counting)).toBe(true)
    for (const at of [0, 1024 * 1024, bytes.length - 1, bytes.length + 1]) {
      const other = Buffer.from(same)
      other[at] = (other[at] ?? 0) ^ 1
      expect(valuesEqual(stored, encodeValue(other), counting)).toBe(false)
    }
  })

  test('of which a value has a piece is equal to the bytes of that piece', () => {
    const ref = refTo(Buffer.from('abcd'))
    for (const [from, to] of [
      [0, 4],
      [0, 3],
      [1, 4],
      [1, 3],
    ] as const) {
      const parts = [{ kind: 'blob', ref, from, to }] as const
      const stored: StoredValue = { tag: 3, bytes: encodeRope({ content: 2, parts }) }
      for (const text of ['abcd', 'abc', 'bcd', 'bc'])
        expect(valuesEqual(stored, encodeValue(Buffer.from(text)), read)).toBe(
          text === 'abcd'.slice(from, to),
        )
    }
  })

  test('of other lengths differs, also by zeros at its end alone, and is not read', () => {
    const parts = appendToRope(
      blobRope(2, refTo(Uint8Array.of(1))),
      inlineRope(2, Uint8Array.of(2)),
    )
    const stored: StoredValue = { tag: 3, bytes: encodeRope(parts as Rope) }
    expect(valuesEqual(stored, encodeValue(Buffer.of(1, 2)), read)).toBe(true)
    expect(valuesEqual(stored, encodeValue(Buffer.of(1, 2, 0)), missingBlob)).toBe(false)
    expect(valuesEqual(encodeValue(Buffer.of(1, 2, 0)), stored, missingBlob)).toBe(false)
  })

  test('is CORRUPT if it is missing and must be read', () => {
    expect(() =>
      valuesEqual(inBlob({ a: 1, b: 2 }), encodeValue({ b: 2, a: 1 }), missingBlob),
    ).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })
})
