/**
 * Equality of stored values for `compareAndSet`. Kinds are distinct (text never equals bytes, 1
 * never 1n, -0 never 0). NaN equals itself. The order of keys, Map entries and Set members does not
 * count.
 *
 * Structured values are compared by a canonical text. It is made here and not by the platform, so
 * every machine and version decides alike, and nested sets do not make it slow.
 */

import { sha256 } from '../bytes/sha256.ts'
import { asBuffer } from '../bytes/utf8.ts'
import type { StoredValue } from '../ports/projection-store.ts'
import { type Rope, type RopePart, ropeLength, ropeOf, ropeSlice } from '../values/rope.ts'
import { decodeValue } from '../values/value.ts'
import type { ReadBlob } from './rows.ts'

/** Whether two values are equal. `blob` is read only if lengths and checksums do not decide. */
export const valuesEqual = (left: StoredValue, right: StoredValue, blob: ReadBlob): boolean => {
  if (left.tag === right.tag && sameBytes(left.bytes, right.bytes)) return true
  const [one, other] = [ropeOf(left), ropeOf(right)]
  if (one.content !== other.content) return false
  if (one.content === 0) return structuredEqual(one, other, blob)
  return contentEqual(one, other, blob)
}

const sameBytes = (left: Uint8Array, right: Uint8Array): boolean =>
  left.length === right.length && asBuffer(left).equals(right)

/** The bytes of a rope that are compared at once. */
const windowBytes = 1024 * 1024

const contentEqual = (one: Rope, other: Rope, blob: ReadBlob): boolean => {
  const length = ropeLength(one)
  if (length !== ropeLength(other)) return false
  const [left, right] = [sumOf(one), sumOf(other)]
  if (left && right) return sameBytes(left, right)
  for (let from = 0; from < length; from += windowBytes) {
    const to = Math.min(length, from + windowBytes)
    if (!sameBytes(readRope(one, from, to, blob), readRope(other, from, to, blob))) return false
  }
  return true
}

/**
 * The SHA-256 of a rope's content, if it is stored or the bytes are inline; `undefined` for a rope
 * of several parts.
 */
const sumOf = ({ parts }: Rope): Uint8Array | undefined => {
  const [only] = parts
  if (!only || parts.length > 1) return undefined
  if (only.kind === 'inline') return sha256(only.bytes)
  return only.from === 0 && only.to === only.ref.size ? only.ref.sha256 : undefined
}

/** The bytes of a rope from `from` up to `to`. */
const readRope = (rope: Rope, from: number, to: number, blob: ReadBlob): Uint8Array => {
  const bytes = new Uint8Array(to - from)
  let at = 0
  for (const part of ropeSlice(rope, from, to))
    for (const piece of piecesOf(part, blob)) {
      bytes.set(piece, at)
      at += piece.length
    }
  return bytes
}

function* piecesOf(part: RopePart, blob: ReadBlob): IterableIterator<Uint8Array> {
  if (part.kind === 'inline') yield part.bytes
  else
    for (let from = part.from; from < part.to; from += windowBytes)
      yield blob(part.ref, from, Math.min(part.to, from + windowBytes))
}

/**
 * Encodings of equal values have nearly the same length: only the places of extension types (values
 * that msgpack cannot express) depend on the order. Values that differ by more are not read.
 */
const mayBeEqual = (one: number, other: number): boolean =>
  Math.max(one, other) <= 8 * Math.min(one, other) + 1024

const structuredEqual = (one: Rope, other: Rope, blob: ReadBlob): boolean => {
  const [left, right] = [sumOf(one), sumOf(other)]
  if (left && right && sameBytes(left, right)) return true
  if (!mayBeEqual(ropeLength(one), ropeLength(other))) return false
  return canonicalOf(one, blob) === canonicalOf(other, blob)
}

const canonicalOf = (rope: Rope, blob: ReadBlob): string =>
  canonicalText(decodeValue({ tag: 0, bytes: readRope(rope, 0, ropeLength(rope), blob) }))

/** A text that is the same exactly for equal values. Each piece marks its own end. */
export const canonicalText = (value: unknown): string => {
  if (typeof value === 'string') return `s${value.length}:${value}`
  if (typeof value === 'number') return Object.is(value, -0) ? 'd-0;' : `d${value};`
  if (typeof value !== 'object' || value === null) return `${value};`
  if (value instanceof Uint8Array) return `b${value.length}:${asBuffer(value).toString('latin1')}`
  if (value instanceof Date) return `t${value.getTime()};`
  if (Array.isArray(value)) return `[${value.map(canonicalText).join('')}]`
  if (value instanceof Set) return `S${sorted(value, canonicalText)}]`
  if (value instanceof Map) return `M${sorted(value, canonicalPair)}]`
  return `O${sorted(Object.entries(value), canonicalPair)}]`
}

const canonicalPair = ([key, value]: readonly [unknown, unknown]): string =>
  canonicalText(key) + canonicalText(value)

const sorted = <T>(items: Iterable<T>, text: (item: T) => string): string =>
  [...items].map(text).sort().join('')
