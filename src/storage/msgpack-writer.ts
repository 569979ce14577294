/**
 * Encodes a structured value in one walk that refuses at once what could not come back equal, and names the place.
 * One writer encodes one value. Nothing of the caller's is changed or kept.
 */
/// <reference lib="es2024.string" />
import { types } from 'node:util'
import { KeelsonError } from '../errors.ts'
import { depthMax, extension, first, structuredBytesMax, timeBytes } from './msgpack-format.ts'

/** The scratch buffer's first size: enough for most values, and small enough to come from Node's pool. */
const scratchBytes = 256

/** Up to this many units a string is copied by a loop; from here on Node's native copy is faster. */
const shortText = 24

/** Number of prototypes above `value`: 0 for `Object.create(null)`, 1 for a plain object, 2 for a built-in's instance. */
const prototypes = (value: object): number => {
  let count = 0
  for (let above = Object.getPrototypeOf(value); above !== null && count < 3; count++)
    above = Object.getPrototypeOf(above)
  return count
}

/** Whether an object is plain, also one of another realm (the prompt's, a vm's): its prototype is an `Object.prototype`. */
const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return true
  return prototypes(value) === 1 && Object.hasOwn(prototype as object, 'isPrototypeOf')
}

/** Writes one structured value. */
export class MsgpackWriter {
  #bytes = Buffer.allocUnsafe(scratchBytes)
  #at = 0
  #depth = 0
  /** Where the walk is: one step for each container it is in. Only the first `#depth` steps count. */
  readonly #path: (string | number)[] = []
  /** The containers it is in, so that a cycle is seen when it closes. */
  readonly #within: object[] = []

  /**
   * The encoding of `value`, in memory of its own.
   * @throws KeelsonError `INVALID_ARGUMENT` with `details.path`, `TOO_LARGE`.
   */
  encode(value: unknown): Uint8Array {
    this.#write(value)
    return new Uint8Array(this.#bytes.subarray(0, this.#at))
  }

  #refuse(why: string): never {
    const path = this.#path.slice(0, this.#depth)
    const place = path.length === 0 ? 'the value' : `the value at ${path.join('.')}`
    throw new KeelsonError('INVALID_ARGUMENT', `${place} cannot be stored: ${why}`, {
      details: { path },
    })
  }

  /** Makes room for `count` more bytes. */
  #reserve(count: number): void {
    const needed = this.#at + count
    if (needed <= this.#bytes.length) return
    if (needed > structuredBytesMax)
      throw new KeelsonError('TOO_LARGE', 'a structured value takes too many bytes', {
        details: { bytesMax: structuredBytesMax },
      })
    const wider = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(wider, 0, 0, this.#at)
    this.#bytes = wider
  }

  #write(value: unknown): void {
    // Room for any number, and for the head of anything else.
    this.#reserve(9)
    if (typeof value === 'string') this.#text(value)
    else if (typeof value === 'number') this.#number(value)
    else if (typeof value === 'boolean') this.#bytes[this.#at++] = value ? first.true : first.false
    else if (value === null) this.#bytes[this.#at++] = first.nil
    else if (typeof value === 'object') this.#object(value)
    else if (typeof value === 'bigint') this.#bigint(value)
    else this.#refuse(typeof value)
  }

  #number(value: number): void {
    if (
      !Number.isInteger(value) ||
      value > 0xffffffff ||
      value < -0x80000000 ||
      Object.is(value, -0)
    )
      this.#float(value)
    else if (value >= 0) this.#unsigned(value)
    else this.#negative(value)
  }

  #float(value: number): void {
    this.#bytes[this.#at] = first.float64
    this.#at = this.#bytes.writeDoubleBE(value, this.#at + 1)
  }

  #unsigned(value: number): void {
    if (value < 0x80) this.#bytes[this.#at++] = value
    else this.#head(value, first.unsigned8, first.unsigned16, first.unsigned32)
  }

  #negative(value: number): void {
    if (value >= -0x20) this.#bytes[this.#at++] = value & 0xff
    else if (value >= -0x80) {
      this.#bytes[this.#at++] = first.signed8
      this.#bytes[this.#at++] = value & 0xff
    } else if (value >= -0x8000) {
      this.#bytes[this.#at] = first.signed16
      this.#at = this.#bytes.writeInt16BE(value, this.#at + 1)
    } else {
      this.#bytes[this.#at] = first.signed32
      this.#at = this.#bytes.writeInt32BE(value, this.#at + 1)
    }
  }

  /** A first byte and a count behind it, as narrow as it fits. */
  #head(count: number, narrow: number, middle: number, wide: number): void {
    if (count < 0x100) {
      this.#bytes[this.#at++] = narrow
      this.#bytes[this.#at++] = count
    } else this.#wideHead(count, middle, wide)
  }

  #wideHead(count: number, middle: number, wide: number): void {
    if (count < 0x10000) {
      this.#bytes[this.#at++] = middle
      this.#bytes[this.#at++] = count >>> 8
      this.#bytes[this.#at++] = count & 0xff
    } else {
      this.#bytes[this.#at] = wide
      this.#at = this.#bytes.writeUInt32BE(count, this.#at + 1)
    }
  }

  /** The head of an array or a map, whose counts have no form of one byte. */
  #countHead(count: number, small: number, middle: number, wide: number): void {
    this.#reserve(5)
    if (count < 0x10) this.#bytes[this.#at++] = small | count
    else this.#wideHead(count, middle, wide)
  }

  #bigint(value: bigint): void {
    if (BigInt.asIntN(64, value) === value) {
      this.#bytes[this.#at] = first.signed64
      this.#at = this.#bytes.writeBigInt64BE(value, this.#at + 1)
    } else if (BigInt.asUintN(64, value) === value) {
      this.#bytes[this.#at] = first.unsigned64
      this.#at = this.#bytes.writeBigUInt64BE(value, this.#at + 1)
    } else this.#refuse('a bigint of more than 64 bits')
  }

  #text(text: string): void {
    this.#reserve(shortText + 1)
    if (text.length < shortText && this.#shortAscii(text)) return
    if (!text.isWellFormed()) this.#refuse('an ill-formed string: it has a lone surrogate')
    const count = Buffer.byteLength(text)
    this.#reserve(count + 5)
    if (count < 0x20) this.#bytes[this.#at++] = first.smallText | count
    else this.#head(count, first.text8, first.text16, first.text32)
    // Pure ASCII needs no conversion, and Latin-1's copy does none.
    this.#at += this.#bytes.write(text, this.#at, count, count === text.length ? 'latin1' : 'utf8')
  }

  /** Writes a short string of ASCII; answers false, with nothing written, when it is not one. */
  #shortAscii(text: string): boolean {
    const bytes = this.#bytes
    let at = this.#at
    bytes[at++] = first.smallText | text.length
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index)
      if (unit > 0x7f) return false
      bytes[at++] = unit
    }
    this.#at = at
    return true
  }

  #object(value: object): void {
    // The common ones first: the checks of the others cost a native call each.
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype) this.#record(value)
    else if (Array.isArray(value)) this.#array(value)
    else if (types.isUint8Array(value)) this.#binary(value)
    else if (types.isDate(value)) this.#time(value)
    else if (types.isMap(value)) this.#map(value)
    else if (types.isSet(value)) this.#set(value)
    else if (isPlain(value)) this.#record(value)
    else this.#refuse(`an instance of ${value.constructor?.name || 'a class'}`)
  }

  #enter(container: object): void {
    if (this.#depth === depthMax) this.#refuse(`more than ${depthMax} containers in one another`)
    for (let level = 0; level < this.#depth; level++)
      if (this.#within[level] === container) this.#refuse('it contains itself')
    if (Object.getOwnPropertySymbols(container).length > 0) this.#refuse('a key that is a symbol')
    this.#within[this.#depth++] = container
  }

  /** Refuses the instance of a derived class, and one with properties of its own: both would be lost. */
  #checkBuiltIn(value: object, name: string): void {
    if (prototypes(value) !== 2) this.#refuse(`an instance of a class derived from ${name}`)
    if (Object.keys(value).length > 0) this.#refuse(`a ${name} with properties of its own`)
  }

  #array(array: readonly unknown[]): void {
    if (prototypes(array) !== 2) this.#refuse('an instance of a class derived from Array')
    if (Object.keys(array).length !== array.length)
      this.#refuse('an array with holes, or with properties of its own')
    this.#enter(array)
    const count = array.length
    this.#countHead(count, first.smallArray, first.array16, first.array32)
    for (let index = 0; index < count; index++) {
      this.#path[this.#depth - 1] = index
      this.#write(array[index])
    }
    this.#depth--
  }

  #record(record: object): void {
    this.#enter(record)
    const names = Object.keys(record)
    this.#countHead(names.length, first.smallMap, first.map16, first.map32)
    for (const name of names) {
      this.#path[this.#depth - 1] = name
      if (name === '__proto__') this.#refuse('a key named __proto__')
      this.#text(name)
      this.#write((record as Record<string, unknown>)[name])
    }
    this.#depth--
  }

  /** Begins an extension whose length is not known yet; answers where its content begins. */
  #openExtension(type: number): number {
    this.#bytes[this.#at] = first.extension32
    this.#bytes[this.#at + 5] = type
    this.#at += 6
    return this.#at
  }

  #closeExtension(from: number): void {
    this.#bytes.writeUInt32BE(this.#at - from, from - 5)
    this.#depth--
  }

  #map(map: ReadonlyMap<unknown, unknown>): void {
    this.#checkBuiltIn(map, 'Map')
    this.#enter(map)
    const from = this.#openExtension(extension.map)
    let index = 0
    for (const [key, value] of map) {
      this.#path[this.#depth - 1] = index++
      this.#write(key)
      this.#write(value)
    }
    this.#closeExtension(from)
  }

  #set(set: ReadonlySet<unknown>): void {
    this.#checkBuiltIn(set, 'Set')
    this.#enter(set)
    const from = this.#openExtension(extension.set)
    let index = 0
    for (const member of set) {
      this.#path[this.#depth - 1] = index++
      this.#write(member)
    }
    this.#closeExtension(from)
  }

  #time(date: Date): void {
    this.#checkBuiltIn(date, 'Date')
    const ms = date.getTime()
    if (Number.isNaN(ms)) this.#refuse('an invalid Date')
    const seconds = Math.floor(ms / 1000)
    this.#reserve(15)
    const bytes = this.#bytes
    bytes[this.#at++] = first.extension8
    bytes[this.#at++] = timeBytes
    bytes[this.#at++] = extension.time
    this.#at = bytes.writeUInt32BE((ms - seconds * 1000) * 1e6, this.#at)
    this.#at = bytes.writeBigInt64BE(BigInt(seconds), this.#at)
  }

  #binary(bytes: Uint8Array): void {
    const count = bytes.length
    this.#reserve(count + 5)
    this.#head(count, first.bytes8, first.bytes16, first.bytes32)
    this.#bytes.set(bytes, this.#at)
    this.#at += count
  }
}
