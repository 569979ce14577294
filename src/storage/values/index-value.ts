/**
 * Index values as text whose bytes are in the order of the values: null, false, true, numbers,
 * strings. The first character is the type. A number is its 64 bits as hexadecimal digits: the sign
 * bit is flipped, and all bits of a negative number. Pure.
 */

import { utf8Length } from '../../bytes/utf8.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'

/** A value of an indexed field. */
export type IndexValue = string | number | boolean | null

/** The longest string that is indexed, in bytes of UTF-8. */
export const indexTextBytesMax = 512

const types = { null: '0', false: '1', true: '2', number: '3', string: '4' } as const

/**
 * The text of an index value. -0 becomes 0. A refusal names the place `of.field`, without a field `of`.
 * @throws KeelsonError `INVALID_ARGUMENT` for NaN, an ill-formed string, one with a NUL, or another
 * type; `TOO_LARGE` for a string beyond 512 bytes
 */
export const encodeIndexValue = (value: IndexValue, of = 'index value', field = ''): string => {
  if (typeof value === 'string') return types.string + checkText(value, of, field)
  if (typeof value === 'number' && !Number.isNaN(value)) return types.number + digitsOf(value)
  if (value === null || typeof value === 'boolean') return types[`${value}`]
  throw invalidArgument(placeOf(of, field), 'a string, a number, a boolean or null', value)
}

const placeOf = (of: string, field: string): string => (field === '' ? of : `${of}.${field}`)

/** The value of such a text. @throws KeelsonError `CORRUPT` for any other text */
export const decodeIndexValue = (encoded: string): IndexValue => {
  const content = encoded.slice(1)
  switch (encoded[0]) {
    case types.null:
      return whole(null, content === '')
    case types.false:
      return whole(false, content === '')
    case types.true:
      return whole(true, content === '')
    case types.number: {
      const number = numberOf(content)
      return whole(number, !Number.isNaN(number) && digitsOf(number) === content)
    }
    case types.string:
      return whole(content, isText(content) && utf8Length(content) <= indexTextBytesMax)
    default:
      return whole(null, false)
  }
}

const whole = (value: IndexValue, isSound: boolean): IndexValue => {
  if (isSound) return value
  throw new KeelsonError('CORRUPT', 'an index value is damaged', {
    details: { evidence: 'no value is encoded so' },
  })
}

const isText = (text: string): boolean => !text.includes('\0') && utf8Length(text) >= 0

const checkText = (text: string, of: string, field: string): string => {
  // A unit of UTF-16 takes at least one byte.
  const bytes = text.length > indexTextBytesMax ? text.length : utf8Length(text)
  if (bytes > indexTextBytesMax)
    throw new KeelsonError(
      'TOO_LARGE',
      `${placeOf(of, field)}: an index value has at most ${indexTextBytesMax} bytes`,
      { details: { bytes, bytesMax: indexTextBytesMax } },
    )
  if (!isText(text)) throw invalidArgument(placeOf(of, field), 'well-formed text without NUL', text)
  return text
}

const signBit = 0x8000_0000

const hex = (bits: number): string => (bits >>> 0).toString(16).padStart(8, '0')

const digitsOf = (number: number): string => {
  const view = new DataView(new ArrayBuffer(8))
  // The sum of -0 and 0 is 0.
  view.setFloat64(0, number + 0)
  const [high, low] = [view.getUint32(0), view.getUint32(4)]
  return high < signBit ? hex(high ^ signBit) + hex(low) : hex(~high) + hex(~low)
}

const numberOf = (digits: string): number => {
  const high = Number.parseInt(digits.slice(0, 8), 16)
  const low = Number.parseInt(digits.slice(8), 16)
  const view = new DataView(new ArrayBuffer(8))
  view.setUint32(0, high < signBit ? ~high : high ^ signBit)
  view.setUint32(4, high < signBit ? ~low : low)
  return view.getFloat64(0)
}
