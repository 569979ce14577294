/**
 * Keys: their rules, their order, and their shard and namespace. Pure. A key is a well-formed
 * string of 1 to 1,024 bytes of UTF-8 without NUL. Keys are ordered by those bytes.
 */

import { crc32 } from '../../bytes/crc32.ts'
import { utf8Length } from '../../bytes/utf8.ts'
import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'

/** The longest key, in bytes of UTF-8. */
export const keyBytesMax = 1024

/** The most bytes of a key of a projection. */
export const projectedKeyBytesMax = 1_280

/** The longest field of a compound key, in bytes of UTF-8. */
export const fieldBytesMax = 512

/** The namespace of keys without a colon. No key may have it as a prefix. */
export const rootNamespace = '_root'

const refuse = (message: string, details: Record<string, unknown> = noOptions): never => {
  throw new KeelsonError('INVALID_ARGUMENT', message, { details })
}

/**
 * Returns `key` when it is a valid key.
 * @throws KeelsonError `INVALID_ARGUMENT`: not a string, empty, longer than 1,024 bytes,
 * ill-formed, with a NUL, or with the prefix `_root:`. That prefix is refused because `_root` is
 * the namespace of all keys without a colon.
 */
export const checkKey = (key: unknown): string => {
  const checked = checkKeyText(key, keyBytesMax)
  if (checked.charCodeAt(0) === 0x5f && checked.startsWith(`${rootNamespace}:`))
    return refuse(`the namespace ${rootNamespace} is that of keys without a colon`)
  return checked
}

/** As `checkKey`, for a key of a projection: of up to 1,280 bytes, in no namespace. */
export const checkProjectedKey = (key: unknown): string => checkKeyText(key, projectedKeyBytesMax)

const checkKeyText = (key: unknown, bytesMax: number): string => {
  if (typeof key !== 'string') return refuse(`a key is a string, not ${typeof key}`)
  if (key.length === 0) return refuse('a key has at least one byte')
  // A unit of UTF-16 takes at least one byte, so a longer string needs no walk to be refused.
  const bytes = key.length > bytesMax ? key.length : utf8Length(key)
  if (bytes < 0) return refuse('a key is a well-formed string: it has a lone surrogate')
  if (bytes > bytesMax) return refuse(`a key has at most ${bytesMax} bytes`, { bytes, bytesMax })
  if (key.includes('\0')) return refuse('a key has no NUL', { at: key.indexOf('\0') })
  return key
}

/**
 * Ranks UTF-16 code units by code point: surrogates (U+10000 and above) sort after U+E000 to
 * U+FFFF. All other units keep their order.
 */
const rank = (unit: number): number =>
  unit < 0xd800 ? unit : unit >= 0xe000 ? unit - 0x800 : unit + 0x2000

/**
 * Compares two well-formed strings by their UTF-8 bytes without encoding them: negative, 0 or
 * positive. UTF-8 order is the order of code points. UTF-16 order differs from it only where a
 * surrogate meets U+E000 to U+FFFF.
 */
export const compareKeys = (a: string, b: string): number => {
  if (a === b) return 0
  const shorter = Math.min(a.length, b.length)
  for (let index = 0; index < shorter; index++) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) return rank(left) - rank(right)
  }
  return a.length - b.length
}

/** The least string after every string that begins with `prefix`, or `undefined`. */
export const successor = (prefix: string): string | undefined => {
  const points = [...prefix]
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const point = (last.codePointAt(0) ?? 0) + 1
    // Surrogate code points are not characters.
    if (point <= 0x10ffff)
      return points.join('') + String.fromCodePoint(point === 0xd800 ? 0xe000 : point)
  }
  return undefined
}

/**
 * The part of a key that is hashed: the text between the first `{` and the next `}` if not empty,
 * else all.
 */
const hashedPart = (key: string): string => {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  return close > open + 1 ? key.slice(open + 1, close) : key
}

/** Whether a beginning of keys has a whole hash tag: then all of them are in its shard. */
export const hasHashTag = (beginning: string): boolean => hashedPart(beginning) !== beginning

/**
 * The shard of a checked key: CRC-32 of the UTF-8 bytes of its hash tag, or of the whole key,
 * modulo `shards`. Keys with the same hash tag share a shard, so one batch may span them.
 */
export const shardOf = (key: string, shards: number): number =>
  shards === 1 ? 0 : crc32(Buffer.from(hashedPart(key))) % shards

/** A key that is in another shard than the first, if there is one. */
export const strayKey = (keys: readonly string[], shards: number): string | undefined => {
  if (keys.length < 2 || shards === 1) return undefined
  const first = shardOf(keys[0] ?? '', shards)
  return keys.find((key) => shardOf(key, shards) !== first)
}

/** The namespace of a key: the text before its first colon, else `_root`. */
export const namespaceOf = (key: string): string => {
  const colon = key.indexOf(':')
  return colon < 0 ? rootNamespace : key.slice(0, colon)
}
