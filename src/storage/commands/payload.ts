/**
 * Encodes a frame's payload field by field, little endian. The same description runs twice: on a
 * `PayloadMeasure`, which counts and checks, then on a `PayloadWriter` of exactly that size. So no
 * length is computed twice and nothing is copied. `PayloadReader` decodes: it never reads beyond
 * the end and compares each count with the remaining bytes before using it.
 */

import { copyPart } from '../../bytes/copy-part.ts'
import { putU32, putU64 } from '../../bytes/u64.ts'
import { readUtf8, utf8Length } from '../../bytes/utf8.ts'
import { KeelsonError } from '../../errors.ts'
import { markBytes, type TurnMark, writeMark } from '../values/entity-row.ts'

/** A position in a payload that cannot move beyond its end. @throws KeelsonError `CORRUPT` */
export class PayloadReader {
  readonly bytes: Uint8Array
  /** The offset of the next byte. */
  at: number
  /** The end of the part that is being read. */
  end: number

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.at = 0
    this.end = bytes.length
  }

  /** The error for damage at this place. */
  damaged(evidence: string): KeelsonError {
    return new KeelsonError('CORRUPT', `a frame's payload is damaged: ${evidence}`, {
      details: { evidence, offset: this.at },
    })
  }

  /** Skips `count` bytes and returns the offset of the first. */
  take(count: number): number {
    if (count > this.end - this.at) throw this.damaged('it ends too early')
    const from = this.at
    this.at += count
    return from
  }

  u8(): number {
    return this.bytes[this.take(1)] ?? 0
  }

  u16(): number {
    return this.u8() | (this.u8() << 8)
  }

  u32(): number {
    return this.u16() + this.u16() * 0x10000
  }

  /** Reads a u64 that must be a safe integer. */
  u64(): number {
    const low = this.u32()
    const high = this.u32()
    if (high > 0x1fffff) throw this.damaged('a number beyond 2^53')
    return low + high * 2 ** 32
  }

  /** Reads bytes after their length as u32. They are a view. */
  sized(): Uint8Array {
    const length = this.u32()
    const from = this.take(length)
    return this.bytes.subarray(from, from + length)
  }

  /** Reads a text after its length as u16. */
  text(what: string, bytesMax: number): string {
    return this.textOf(what, this.u16(), bytesMax)
  }

  /** Reads a text of `length` bytes. */
  textOf(what: string, length: number, bytesMax: number): string {
    if (length === 0 || length > bytesMax) throw this.damaged(`${what} of ${length} bytes`)
    const from = this.take(length)
    const text = readUtf8(this.bytes, from, from + length)
    if (text.includes('\0')) throw this.damaged(`${what} with a NUL`)
    return text
  }

  /**
   * Reads a list after its length as u32. It grows item by item, so a wrong length reserves no
   * memory.
   */
  list<T>(read: () => T): T[] {
    const count = this.u32()
    const list: T[] = []
    for (let index = 0; index < count; index++) list.push(read())
    return list
  }

  /** Runs `read` on the next `length` bytes. It must consume all of them. */
  within<T>(length: number, read: () => T): T {
    const outer = this.end
    this.end = this.take(length) + length
    this.at = this.end - length
    const result = read()
    if (this.at !== this.end) throw this.damaged('bytes that belong to nothing')
    this.end = outer
    return result
  }
}

/** The target of an encoding: a measure or bytes. */
export interface PayloadSink {
  u8(value: number): void
  u16(value: number): void
  u32(value: number): void
  /** Writes a safe integer as u64. */
  u64(value: number): void
  bytes(bytes: Uint8Array): void
  /** Writes the bytes from `from` up to `to`. */
  part(bytes: Uint8Array, from: number, to: number): void
  /** Writes bytes after their length as u32. */
  sized(bytes: Uint8Array): void
  /** Writes the mark of a turn. */
  mark(mark: TurnMark): void
  /**
   * Writes a text after its length as u16. @throws KeelsonError `INVALID_ARGUMENT` unless it is
   * well-formed, has 1 to `bytesMax` bytes and no NUL
   */
  text(what: string, text: string, bytesMax: number): void
  /** Writes a row key, which may have NULs, after its length as u16. It was checked before. */
  rowKey(rowKey: string): void
  /** Leaves room for a length as u32. Returns where what it counts begins. */
  beginSized(): number
  /** Writes the length of everything since `from`. */
  endSized(from: number): void
}

const invalid = (message: string): KeelsonError => new KeelsonError('INVALID_ARGUMENT', message)

/** The length in bytes of a text in a frame. @throws KeelsonError `INVALID_ARGUMENT` as `text` */
export const textBytes = (what: string, text: string, bytesMax: number): number => {
  const bytes = utf8Length(text)
  if (bytes < 1 || bytes > bytesMax || text.includes('\0'))
    throw invalid(`a command needs ${what} of 1 to ${bytesMax} bytes without NUL`)
  return bytes
}

/** Counts the bytes and refuses values that could not be decoded again. */
export class PayloadMeasure implements PayloadSink {
  length = 0

  u8(): void {
    this.length += 1
  }

  u16(): void {
    this.length += 2
  }

  u32(value: number): void {
    if (value > 0xffff_ffff) throw invalid('a count exceeds 4,294,967,295')
    this.length += 4
  }

  u64(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0)
      throw invalid('a number must be a whole number from 0 on')
    this.length += 8
  }

  bytes(bytes: Uint8Array): void {
    this.length += bytes.length
  }

  part(_bytes: Uint8Array, from: number, to: number): void {
    this.length += to - from
  }

  sized(bytes: Uint8Array): void {
    this.u32(bytes.length)
    this.bytes(bytes)
  }

  mark({ seq }: TurnMark): void {
    this.u64(seq)
    this.length += markBytes - 8
  }

  text(what: string, text: string, bytesMax: number): void {
    this.length += 2 + textBytes(what, text, bytesMax)
  }

  rowKey(rowKey: string): void {
    this.length += 2 + utf8Length(rowKey)
  }

  beginSized(): number {
    this.length += 4
    return 0
  }

  endSized(): void {}
}

/** Up to this many characters a loop over ASCII costs less than the call into Node. */
const shortText = 24

/** Writes the bytes that were measured. */
export class PayloadWriter implements PayloadSink {
  readonly #bytes: Buffer
  #at: number

  /** Writes into `bytes` from `at` on. */
  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  u8(value: number): void {
    this.#bytes[this.#at++] = value
  }

  u16(value: number): void {
    this.u8(value)
    this.u8(value >>> 8)
  }

  u32(value: number): void {
    putU32(this.#bytes, this.#at, value)
    this.#at += 4
  }

  u64(value: number): void {
    putU64(this.#bytes, this.#at, value)
    this.#at += 8
  }

  bytes(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  part(bytes: Uint8Array, from: number, to: number): void {
    copyPart(bytes, from, to, this.#bytes, this.#at)
    this.#at += to - from
  }

  sized(bytes: Uint8Array): void {
    this.u32(bytes.length)
    this.bytes(bytes)
  }

  mark(mark: TurnMark): void {
    writeMark(this.#bytes, this.#at, mark)
    this.#at += markBytes
  }

  text(_what: string, text: string): void {
    const from = this.#at + 2
    const length = this.#shortAscii(text, from) ? text.length : this.#bytes.write(text, from)
    this.u16(length)
    this.#at = from + length
  }

  rowKey(rowKey: string): void {
    this.text('', rowKey)
  }

  #shortAscii(text: string, from: number): boolean {
    if (text.length > shortText) return false
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index)
      if (unit > 0x7f) return false
      this.#bytes[from + index] = unit
    }
    return true
  }

  beginSized(): number {
    this.#at += 4
    return this.#at
  }

  endSized(from: number): void {
    putU32(this.#bytes, from - 4, this.#at - from)
  }
}
