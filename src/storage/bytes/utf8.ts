/**
 * Strings as UTF-8, without loss or not at all: JavaScript's own conversions replace what they cannot carry, a lone
 * surrogate on the way out and a broken sequence on the way in, and say nothing. Pure.
 */
import { isUtf8 } from 'node:buffer'
import { KeelsonError } from '../../errors.ts'

const isHighSurrogate = (unit: number): boolean => (unit & 0xfc00) === 0xd800
const isLowSurrogate = (unit: number): boolean => (unit & 0xfc00) === 0xdc00

/**
 * How many bytes `text` takes as UTF-8; -1 when it is ill-formed (a surrogate without its partner), because such a
 * string has no UTF-8 form that comes back equal.
 */
export const utf8Length = (text: string): number => {
  let bytes = text.length
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit < 0x80) continue
    if (unit < 0x800) bytes += 1
    else if ((unit & 0xf800) !== 0xd800) bytes += 2
    else if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(++index))) bytes += 2
    else return -1
  }
  return bytes
}

/** `bytes` as a Buffer over the same memory. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Up to this many bytes a string of ASCII is built here; from here on the call into Node costs less. */
const shortText = 12

/** The string of up to twelve bytes of ASCII; `undefined` when a byte is none. */
const readShortAscii = (bytes: Uint8Array, from: number, to: number): string | undefined => {
  let text = ''
  for (let at = from; at < to; at++) {
    const unit = bytes[at] ?? 0
    if (unit > 0x7f) return undefined
    text += String.fromCharCode(unit)
  }
  return text
}

/**
 * The string that the bytes from `from` up to `to` spell.
 * @throws KeelsonError `CORRUPT` when they are not UTF-8.
 */
export const readUtf8 = (bytes: Uint8Array, from = 0, to = bytes.length): string => {
  const short = to - from <= shortText ? readShortAscii(bytes, from, to) : undefined
  if (short !== undefined) return short
  const text = asBuffer(bytes).toString('utf8', from, to)
  // Bytes that are no UTF-8 become U+FFFD; text that holds one may also have had it from the start.
  if (text.includes('\ufffd') && !isUtf8(bytes.subarray(from, to)))
    throw new KeelsonError('CORRUPT', 'stored bytes are damaged: a string is not UTF-8', {
      details: { evidence: 'a string is not UTF-8', offset: from },
    })
  return text
}
