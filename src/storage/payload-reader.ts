/**
 * Reads a frame's payload piece by piece, little endian, and never beyond its end: a count is compared with what is left
 * before anything is done with it. Everything that does not fit is `CORRUPT`.
 */
import { KeelsonError } from '../errors.ts'

/** A place in a payload, which refuses to be moved beyond its end. */
export class PayloadReader {
  readonly bytes: Uint8Array
  /** The place: the offset of the next byte. */
  at: number
  /** Where the part ends that is being read. */
  end: number

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.at = 0
    this.end = bytes.length
  }

  /** The error for what does not fit here. */
  damaged(evidence: string): KeelsonError {
    return new KeelsonError('CORRUPT', `a frame's payload is damaged: ${evidence}`, {
      details: { evidence, offset: this.at },
    })
  }

  /** Moves on by `count` bytes and answers where they begin. */
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

  /** A u64 that is a safe integer. */
  u64(): number {
    const low = this.u32()
    const high = this.u32()
    if (high > 0x1fffff) throw this.damaged('a number beyond 2^53')
    return low + high * 2 ** 32
  }

  /** Runs `read` on the next `length` bytes, all of which it has to use. */
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
