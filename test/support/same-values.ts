/** A value there and back, and what counts as the same. */
import fc from 'fast-check'
import { expect } from 'vitest'
import { decodeValue, encodeValue } from '../../src/storage/values/value.ts'
import { anyText } from './any-text.ts'

/** The decoded form of an encoded value. */
export const back = (value: unknown): unknown => decodeValue(encodeValue(value))

/** Any well-formed text. */
export const text = fc.oneof(anyText(), fc.string({ unit: 'grapheme', maxLength: 80 }))

/**
 * Equal in kind and content, ignoring irrelevant prototypes. Unlike `toEqual` it distinguishes -0
 * from 0.
 */
export const expectSame = (actual: unknown, expected: unknown): void => {
  expect(actual).toStrictEqual(expected)
}
