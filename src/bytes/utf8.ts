/**
 * Strings as UTF-8, without loss. JavaScript's own conversions silently replace a lone surrogate or
 * a broken sequence; these refuse both. Pure.
 */
import { isUtf8 } from 'node:buffer'
import { KeelsonError } from '../errors.ts'

const isHighSurrogate = (unit: number): boolean => (unit & 0xfc00) === 0xd800
const isLowSurrogate = (unit: number): boolean => (unit & 0xfc00) === 0xdc00

/**
 * The length of `text` as UTF-8, in bytes; -1 for a string with a lone surrogate, which has no
 * UTF-8 form that decodes to an equal string.
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

/**
 * Up to this many bytes of ASCII are decoded here. For longer strings the call into Node costs
 * less.
 */
const shortText = 12

/** The string of up to twelve bytes; `undefined` if a byte is not ASCII. */
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
 * Decodes the bytes from `from` up to `to`. @throws KeelsonError `CORRUPT` if they are not UTF-8
 */
export const readUtf8 = (bytes: Uint8Array, from = 0, to = bytes.length): string => {
  const short = to - from <= shortText ? readShortAscii(bytes, from, to) : undefined
  if (short !== undefined) return short
  const text = asBuffer(bytes).toString('utf8', from, to)
  // Bytes that are not UTF-8 become U+FFFD. A valid text may hold that character too, so the bytes
  // are checked.
  if (text.includes('\ufffd') && !isUtf8(bytes.subarray(from, to)))
    throw new KeelsonError('CORRUPT', 'stored bytes are damaged: a string is not UTF-8', {
      details: { evidence: 'a string is not UTF-8', offset: from },
    })
  return text
}
