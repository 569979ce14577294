/** Index values as text: they come back, and their bytes are in the order of the values. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import {
  decodeIndexValue,
  encodeIndexValue,
  type IndexValue,
  indexTextBytesMax,
} from '../../../src/storage/values/index-value.ts'
import { compareKeys } from '../../../src/storage/values/key.ts'
import { codeOf } from '../../support/error-codes.ts'
import { thorough } from '../../support/tier.ts'
import { anyIndexValue } from '../../support/worlds/any-command.ts'

const bytesOrder = (one: string, other: string): number =>
  Math.sign(Buffer.compare(Buffer.from(one), Buffer.from(other)))

const typeRank = (value: IndexValue): number =>
  value === null ? 0 : { boolean: 1, number: 2, string: 3 }[typeof value as 'boolean']

/** The order of values: by type, then as JavaScript compares them; strings by code points. */
const valueOrder = (one: IndexValue, other: IndexValue): number => {
  if (typeRank(one) !== typeRank(other)) return Math.sign(typeRank(one) - typeRank(other))
  if (typeof one === 'string') return Math.sign(compareKeys(one, other as string))
  if (one === other) return 0
  return (one as number) < (other as number) ? -1 : 1
}

describe('an index value', () => {
  it('comes back from its text, and -0 as 0', () => {
    fc.assert(
      fc.property(anyIndexValue, (value) => {
        const encoded = encodeIndexValue(value)
        expect(decodeIndexValue(encoded)).toBe(value === 0 ? 0 : value)
        expect(encoded).not.toContain('\0')
        expect(Buffer.byteLength(encoded)).toBeLessThanOrEqual(indexTextBytesMax + 1)
      }),
      { numRuns: thorough(500, 20_000) },
    )
  })

  it('sorts as bytes like the values: null, booleans, numbers, strings', () => {
    fc.assert(
      fc.property(anyIndexValue, anyIndexValue, (one, other) => {
        expect(bytesOrder(encodeIndexValue(one), encodeIndexValue(other))).toBe(
          valueOrder(one, other),
        )
      }),
      { numRuns: thorough(1_000, 50_000) },
    )
  })

  it('sorts numbers as numbers, across signs, fractions and exponents', () => {
    const sorted = [
      ...[Number.NEGATIVE_INFINITY, -Number.MAX_VALUE, -10, -9, -1.5, -1, -Number.MIN_VALUE],
      ...[0, Number.MIN_VALUE, 0.1, 0.5, 1, 9, 10, 2 ** 53, Number.MAX_VALUE],
      Number.POSITIVE_INFINITY,
    ]
    const shuffled = [...sorted].reverse().map((number) => encodeIndexValue(number))
    expect(shuffled.sort(bytesOrder).map(decodeIndexValue)).toEqual(sorted)
  })

  it.each([
    ['NaN', Number.NaN],
    ['a lone surrogate', 'a\ud800'],
    ['a NUL', 'a\0b'],
    ['an object', {}],
    ['undefined', undefined],
    ['a bigint', 1n],
  ])('is refused with INVALID_ARGUMENT: %s', (_, value) => {
    expect(codeOf(() => encodeIndexValue(value as IndexValue))).toBe('INVALID_ARGUMENT')
  })

  it('is TOO_LARGE beyond 512 bytes, not characters', () => {
    expect(codeOf(() => encodeIndexValue('é'.repeat(256)))).toBe('no error')
    expect(codeOf(() => encodeIndexValue('é'.repeat(257)))).toBe('TOO_LARGE')
    expect(codeOf(() => encodeIndexValue('a'.repeat(100_000)))).toBe('TOO_LARGE')
  })

  it.each([
    ['nothing', ''],
    ['an unknown type', '5'],
    ['a null with content', '0x'],
    ['a boolean with content', '1x'],
    ['a number of too few digits', '3c000'],
    ['a number in capitals', '3BFF0000000000000'],
    ['a NaN', '3fff8000000000000'],
    ['a negative zero', '37fffffffffffffff'],
    ['a text with a NUL', '4a\0'],
    ['a text that is too long', `4${'a'.repeat(513)}`],
  ])('is CORRUPT when its text is %s', (_, encoded) => {
    expect(codeOf(() => decodeIndexValue(encoded))).toBe('CORRUPT')
  })

  it('has one text only: another text is CORRUPT or stands for itself', () => {
    fc.assert(
      fc.property(anyIndexValue, fc.nat(), fc.nat(255), (value, place, unit) => {
        const encoded = encodeIndexValue(value)
        const at = place % encoded.length
        const other = encoded.slice(0, at) + String.fromCharCode(unit) + encoded.slice(at + 1)
        try {
          expect(encodeIndexValue(decodeIndexValue(other))).toBe(other)
        } catch (error) {
          if (!isKeelsonError(error, 'CORRUPT')) throw error
        }
      }),
      { numRuns: thorough(500, 20_000) },
    )
  })
})
