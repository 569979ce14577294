/**
 * The canonical form of values: equal values have the same one, whatever the order of their names,
 * Map entries and Set members. A repeat has the content of the first if the hashes of this form are
 * equal. It is made here and not by the platform, so every machine and version decides
 * alike. Pure.
 */

import { copyPart } from '../../bytes/copy-part.ts'
import { asBuffer } from '../../bytes/utf8.ts'
import { isKeelsonError } from '../../errors.ts'
import { type StoredValue, valueTags } from '../ports/projection-store.ts'
import { StructuredWalk } from './structured-form.ts'
import { decodeValue, markedByte } from './value.ts'

/** The value with its bytes in canonical form. Text and bytes have one form. */
export const canonicalValue = (value: StoredValue): StoredValue =>
  value.tag === valueTags.structured
    ? { tag: value.tag, bytes: canonicalBytes(value.bytes) }
    : value

/**
 * The bytes of a structured value in canonical form, after the first `from`, which stay as they
 * are. These very `bytes` if they have it, and if they are no structured value. Nothing reads a
 * value out of them: those of a value with Maps or Sets are a text.
 */
export const canonicalBytes = (bytes: Uint8Array, from = 0): Uint8Array => {
  const isMarked = bytes[from] === markedByte
  const walk = new OrderingWalk(bytes, isMarked ? from + 1 : from)
  if (!(isMarked ? walk.marked() : walk.value(0)) || !walk.isAtEnd) return bytes
  return walk.hasCollections ? textOf(bytes, from) : walk.ordered
}

const textOf = (bytes: Uint8Array, from: number): Uint8Array => {
  try {
    const value = decodeValue({ tag: valueTags.structured, bytes: bytes.subarray(from) })
    return Buffer.concat([bytes.subarray(0, from), Buffer.from(canonicalText(value))])
  } catch (error) {
    // Marks that do not fit: a payload that the application has made otherwise.
    if (isKeelsonError(error, 'CORRUPT')) return bytes
    throw error
  }
}

/** The first byte of the marks `map` and `set`: a text of three characters. No other mark has it. */
const collectionByte = 0xa3

/**
 * A walk through the bytes that puts the names of each object in order, innermost first, and then
 * the marks. Ordering changes no length, so it is done in place, in a copy that is made when it is
 * needed first.
 */
class OrderingWalk extends StructuredWalk {
  /** Whether there are Maps or Sets. */
  hasCollections = false
  #desk: Buffer | undefined = undefined

  get ordered(): Uint8Array {
    return this.bytes
  }

  /** The pair of plain data and marks. */
  marked(): boolean {
    if (this.#listCount() !== 2 || !this.value(0)) return false
    return this.#eachInOrder(this.#listCount(), () => {
      const start = this.at
      this.#listCount()
      if (this.bytes[this.at] === collectionByte) this.hasCollections = true
      this.at = start
      return this.value(0)
    })
  }

  protected override map(count: number, depth: number): boolean {
    return this.#eachInOrder(count, () => this.text() && this.value(depth + 1))
  }

  /** Passes the beginning of a list: its number of members. */
  #listCount(): number {
    const lead = this.bytes[this.at++] ?? 0
    if (lead === 0xdc || lead === 0xdd) return this.length(2 << (lead - 0xdc))
    return lead >= 0x90 && lead <= 0x9f ? lead & 0x0f : Number.POSITIVE_INFINITY
  }

  /** Passes `count` items, and puts them in the order of their bytes. False: one has not the form. */
  #eachInOrder(count: number, pass: () => boolean): boolean {
    if (!this.has(count)) return false
    const places = [this.at]
    let isOrdered = true
    for (let index = 0; index < count; index++) {
      if (!pass()) return false
      places.push(this.at)
      if (index > 0 && this.#compare(places[index - 1] ?? 0, places[index] ?? 0) > 0)
        isOrdered = false
    }
    if (!isOrdered) this.#order(places)
    return true
  }

  /** Compares the items at two places. None begins with another one. */
  #compare(one: number, other: number): number {
    const { bytes, at: end } = this
    let length = 0
    while (other + length < end && bytes[one + length] === bytes[other + length]) length++
    return (bytes[one + length] ?? 0) - (bytes[other + length] ?? 0)
  }

  /** Puts the items between these places in order. */
  #order(places: readonly number[]): void {
    const { length } = this.bytes
    // The second half is where the items are copied before they move.
    if (!this.#desk) {
      this.#desk = Buffer.allocUnsafe(2 * length)
      copyPart(this.bytes, 0, length, this.#desk, 0)
      this.bytes = this.#desk.subarray(0, length)
    }
    const desk = this.#desk
    const first = places[0] ?? 0
    copyPart(desk, first, this.at, desk, length + first)
    const order = places.map((_, index) => index)
    order.pop()
    order.sort((one, other) => this.#compare(places[one] ?? 0, places[other] ?? 0))
    let to = first
    for (const index of order) {
      const [start, end] = [places[index] ?? 0, places[index + 1] ?? 0]
      copyPart(desk, length + start, length + end, desk, to)
      to += end - start
    }
  }
}

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
