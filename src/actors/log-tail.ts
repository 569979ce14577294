/** Frames that were read from the log for the projection, and how many of them are taken: decoded one by one, when it is their turn. */
import {
  decodeFrame,
  type FrameMark,
  markOf,
  type ReadAnswer,
  type Unit,
} from '../storage/index.ts'
import type { PendingFrames } from './projection-batch.ts'

/** One reading of the log. */
export class LogTail implements PendingFrames {
  readonly #read: Pick<ReadAnswer, 'frames' | 'bytes' | 'next'>
  #taken = 0

  constructor(read: Pick<ReadAnswer, 'frames' | 'bytes' | 'next'>) {
    this.#read = read
  }

  /** Where to read on. */
  get next(): number {
    return this.#read.next
  }

  get size(): number {
    return this.#read.frames.length - this.#taken
  }

  lsn(at: number): number {
    return this.#read.frames[this.#taken + at]?.lsn ?? 0
  }

  time(at: number): number {
    return this.#read.frames[this.#taken + at]?.time ?? 0
  }

  units(at: number): readonly Unit[] {
    return decodeFrame(this.#payload(at)).units
  }

  mark(at: number): FrameMark {
    return markOf(this.time(at), this.#payload(at))
  }

  /** Lets go of the `count` oldest. */
  drop(count: number): void {
    this.#taken += count
  }

  #payload(at: number): Uint8Array {
    const { offset, length } = this.#read.frames[this.#taken + at] ?? { offset: 0, length: 0 }
    return this.#read.bytes.subarray(offset, offset + length)
  }
}
