/**
 * Decodes what `MsgpackWriter` wrote, and refuses everything else: bytes are decoded after their checksum held, so what
 * does not fit the format is damage that nobody summed, or somebody else's bytes. No length is believed before it is
 * compared with the bytes that are left, and no type comes out but those that may go in.
 */
import { KeelsonError } from '../errors.ts'
import { depthMax, extension, first, timeBytes } from './msgpack-format.ts'
import { asBuffer, readUtf8 } from './utf8.ts'

/** Dates end this many milliseconds from 1970 on either side. */
const dateMax = 8.64e15

const malformed = (evidence: string, at?: number): KeelsonError =>
  new KeelsonError('CORRUPT', `a stored value is damaged: ${evidence}`, {
    details: { evidence, ...(at === undefined ? {} : { offset: at }) },
  })

/** A copy of `bytes` as a Buffer with memory of its own, not Node's pool. */
export const ownBuffer = (bytes: Uint8Array): Buffer => {
  const own = Buffer.allocUnsafeSlow(bytes.length)
  own.set(bytes)
  return own
}

/** Reads one structured value. */
export class MsgpackReader {
  readonly #bytes: Buffer
  #at = 0
  /** Where the value, or the extension that is being read, ends. */
  #end: number
  #depth = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = asBuffer(bytes)
    this.#end = bytes.length
  }

  /**
   * The one value that the bytes hold.
   * @throws KeelsonError `CORRUPT` with `details.evidence` when they hold anything else.
   */
  decode(): unknown {
    const value = this.#read()
    if (this.#at !== this.#end) throw malformed('bytes behind the value', this.#at)
    return value
  }

  /** Moves on by `count` bytes and answers where they begin. */
  #take(count: number): number {
    const from = this.#at
    if (count > this.#end - from) throw malformed('it ends too early', from)
    this.#at = from + count
    return from
  }

  #unsigned8(): number {
    return this.#bytes[this.#take(1)] ?? 0
  }

  #unsigned16(): number {
    return this.#bytes.readUInt16BE(this.#take(2))
  }

  #unsigned32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  #read(): unknown {
    const token = this.#unsigned8()
    if (token < 0x80) return token
    if (token < first.smallArray) return this.#record(token & 0x0f)
    if (token < first.smallText) return this.#array(token & 0x0f)
    if (token < first.nil) return this.#text(token & 0x1f)
    if (token >= 0xe0) return token - 0x100
    return this.#readWide(token)
  }

  #readWide(token: number): unknown {
    switch (token) {
      case first.nil:
        return null
      case first.false:
        return false
      case first.true:
        return true
      case first.text8:
        return this.#text(this.#unsigned8())
      case first.text16:
        return this.#text(this.#unsigned16())
      case first.text32:
        return this.#text(this.#unsigned32())
      case first.array16:
        return this.#array(this.#unsigned16())
      case first.array32:
        return this.#array(this.#unsigned32())
      case first.map16:
        return this.#record(this.#unsigned16())
      case first.map32:
        return this.#record(this.#unsigned32())
      case first.bytes8:
        return this.#binary(this.#unsigned8())
      case first.bytes16:
        return this.#binary(this.#unsigned16())
      case first.bytes32:
        return this.#binary(this.#unsigned32())
      case first.extension8:
        return this.#time()
      case first.extension32:
        return this.#collection()
      default:
        return this.#readNumber(token)
    }
  }

  #readNumber(token: number): number | bigint {
    switch (token) {
      case first.float64:
        return this.#bytes.readDoubleBE(this.#take(8))
      case first.unsigned8:
        return this.#unsigned8()
      case first.unsigned16:
        return this.#unsigned16()
      case first.unsigned32:
        return this.#unsigned32()
      case first.signed8:
        return this.#bytes.readInt8(this.#take(1))
      case first.signed16:
        return this.#bytes.readInt16BE(this.#take(2))
      case first.signed32:
        return this.#bytes.readInt32BE(this.#take(4))
      case first.unsigned64:
        return this.#bytes.readBigUInt64BE(this.#take(8))
      case first.signed64:
        return this.#bytes.readBigInt64BE(this.#take(8))
      default:
        throw malformed(`the type 0x${token.toString(16)} is not in use`, this.#at - 1)
    }
  }

  #text(count: number): string {
    const from = this.#take(count)
    return readUtf8(this.#bytes, from, from + count)
  }

  #binary(count: number): Buffer {
    const from = this.#take(count)
    return ownBuffer(this.#bytes.subarray(from, from + count))
  }

  #enter(): void {
    if (++this.#depth > depthMax) throw malformed('too many containers in one another', this.#at)
  }

  #array(count: number): unknown[] {
    this.#enter()
    // Members are pushed one by one: a false count runs out of bytes before it has cost memory.
    const array: unknown[] = []
    for (let index = 0; index < count; index++) array.push(this.#read())
    this.#depth--
    return array
  }

  #record(count: number): Record<string, unknown> {
    this.#enter()
    const record: Record<string, unknown> = {}
    for (let index = 0; index < count; index++) {
      const name = this.#read()
      if (typeof name !== 'string') throw malformed('the name of a property is no string', this.#at)
      if (name === '__proto__') throw malformed('a property named __proto__', this.#at)
      record[name] = this.#read()
    }
    this.#depth--
    return record
  }

  #time(): Date {
    const count = this.#unsigned8()
    const type = this.#unsigned8()
    if (type !== extension.time || count !== timeBytes)
      throw malformed(`the extension ${type} of ${count} bytes is not in use`, this.#at)
    const nanoseconds = this.#unsigned32()
    const seconds = Number(this.#bytes.readBigInt64BE(this.#take(8)))
    const ms = seconds * 1000 + nanoseconds / 1e6
    if (nanoseconds >= 1e9 || nanoseconds % 1e6 !== 0 || Math.abs(ms) > dateMax)
      throw malformed('a time that no Date has', this.#at)
    return new Date(ms)
  }

  #collection(): Map<unknown, unknown> | Set<unknown> {
    const count = this.#unsigned32()
    const type = this.#unsigned8()
    if (count > this.#end - this.#at) throw malformed('it ends too early', this.#at)
    const outer = this.#end
    this.#end = this.#at + count
    this.#enter()
    const collection = this.#members(type)
    this.#depth--
    this.#end = outer
    return collection
  }

  #members(type: number): Map<unknown, unknown> | Set<unknown> {
    if (type === extension.map) {
      const map = new Map<unknown, unknown>()
      while (this.#at < this.#end) map.set(this.#read(), this.#read())
      return map
    }
    if (type !== extension.set) throw malformed(`the extension ${type} is not in use`, this.#at)
    const set = new Set<unknown>()
    while (this.#at < this.#end) set.add(this.#read())
    return set
  }
}
