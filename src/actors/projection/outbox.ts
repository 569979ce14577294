/**
 * The outbox: applied frames that wait for the projection, in LSN order, bounded in frames and
 * bytes. When it is full it overflows: it drops all frames, and the projection reads the log files
 * until it has caught up. So commits never wait for the projection, and no frame is lost. It is
 * apart from `projection-feed.ts` because it only holds frames; the feed decides which come next.
 */
import {
  applyUnits,
  decodeFrame,
  encodeFrame,
  type FrameMark,
  markOf,
  type ReadAnswer,
  type RowSink,
  type Rows,
} from '../../storage/index.ts'
import { commandsIn } from '../core/write-weight.ts'
import type { AppliedFrames } from './applied-frames.ts'
import type { PendingFrames } from './projection-batch.ts'

// Frames read from the log for the projection. Each one is decoded when it is taken.

/** The frames that one pass over the log has read and the projection has not taken. */
export class LogTail implements PendingFrames {
  readonly #read: Pick<ReadAnswer, 'frames' | 'bytes' | 'next'>
  #taken = 0

  constructor(read: Pick<ReadAnswer, 'frames' | 'bytes' | 'next'>) {
    this.#read = read
  }

  /** The LSN to continue reading from. */
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

  apply(at: number, rows: Rows, into: RowSink): void {
    const { units } = decodeFrame(this.#payload(at))
    applyUnits(units, rows, { lsn: this.lsn(at), time: this.time(at) }, into)
  }

  mark(at: number): FrameMark {
    return markOf(this.time(at), this.#payload(at))
  }

  /** Drops the `count` oldest frames. */
  drop(count: number): void {
    this.#taken += count
  }

  #payload(at: number): Uint8Array {
    const { offset, length } = this.#read.frames[this.#taken + at] ?? { offset: 0, length: 0 }
    return this.#read.bytes.subarray(offset, offset + length)
  }
}

/**
 * Frames that were applied together, and their place among all frames that were pushed. A frame has
 * no object.
 */
type Part = {
  readonly frames: AppliedFrames
  /** The frame at `from` has the number `first`. `end` is the number after the last frame. */
  readonly from: number
  readonly first: number
  readonly end: number
  /** The number of commands in the frames. */
  readonly commands: number
  /** When the frames were pushed. */
  readonly at: number
}

/** The outbox of one shard. */
export class Outbox implements PendingFrames {
  readonly #slots: number
  readonly #bytesMax: number
  #parts: Part[] = []
  /** The number of the first frame here, and of the next frame to be pushed. */
  #head = 0
  #end = 0
  /** The part of the last look-up: usually the part of the next one too. */
  #cursor = 0
  #bytes = 0
  #commands = 0

  constructor(slots: number, bytesMax: number) {
    this.#slots = slots
    this.#bytesMax = bytesMax
  }

  get size(): number {
    return this.#end - this.#head
  }

  /** The bytes of the frames held. */
  get bytes(): number {
    return this.#bytes
  }

  /** The commands in the frames held. Those of a group count until all of the group is dropped. */
  get commands(): number {
    return this.#commands
  }

  /** When the oldest frame was pushed; 0 without frames. */
  get oldestAt(): number {
    return this.#parts[0]?.at ?? 0
  }

  /**
   * Adds the frames from index `from` on. `at`: the time of the push. Returns false if there is no
   * room for all of them; then the outbox is empty.
   */
  push(frames: AppliedFrames, from: number, at: number): boolean {
    const count = frames.lsns.length - from
    const bytes = bytesOf(frames, from, count)
    if (this.size + count > this.#slots || this.#bytes + bytes > this.#bytesMax) {
      this.clear()
      return false
    }
    const commands = commandsOf(frames, from)
    this.#parts.push({ frames, from, first: this.#end, end: this.#end + count, commands, at })
    this.#end += count
    this.#bytes += bytes
    this.#commands += commands
    return true
  }

  lsn(at: number): number {
    const { frames, from, first } = this.#partOf(at)
    return frames.lsns[this.#head + at - first + from] ?? 0
  }

  time(at: number): number {
    return this.#partOf(at).frames.time
  }

  apply(at: number, _rows: Rows, into: RowSink): void {
    const { frames, from, first } = this.#partOf(at)
    const { rowKeys, rows, ends } = frames.changes
    const index = this.#head + at - first + from
    const end = ends[index] ?? 0
    for (let row = ends[index - 1] ?? 0; row < end; row++)
      into.set(rowKeys[row] as string, rows[row])
  }

  mark(at: number): FrameMark {
    const { frames, from, first } = this.#partOf(at)
    // The same units encode to the same bytes. This runs once per batch, so the bytes need not be
    // kept.
    return markOf(frames.time, encodeFrame(frames.units[this.#head + at - first + from] ?? []))
  }

  /** Drops the `count` oldest frames. */
  drop(count: number): void {
    const head = this.#head + count
    let gone = 0
    for (const { frames, from, first, end, commands } of this.#parts) {
      const begin = Math.max(this.#head, first)
      this.#bytes -= bytesOf(frames, begin - first + from, Math.min(head, end) - begin)
      if (end > head) break
      this.#commands -= commands
      gone++
    }
    this.#parts.splice(0, gone)
    this.#head = head
    this.#cursor = 0
  }

  /** Drops all frames. */
  clear(): void {
    this.#parts = []
    this.#head = this.#end
    this.#cursor = 0
    this.#bytes = 0
    this.#commands = 0
  }

  #partOf(at: number): Part {
    const number = this.#head + at
    while (number < this.#part.first) this.#cursor--
    while (number >= this.#part.end) this.#cursor++
    return this.#part
  }

  get #part(): Part {
    const part = this.#parts[this.#cursor]
    if (!part) throw new RangeError('the outbox has no such frame')
    return part
  }
}

const commandsOf = ({ units, lsns }: AppliedFrames, from: number): number => {
  let commands = 0
  for (let at = from; at < lsns.length; at++) commands += commandsIn(units[at] ?? [])
  return commands
}

const bytesOf = ({ changes }: AppliedFrames, from: number, count: number): number => {
  let bytes = 0
  for (let at = from; at < from + count; at++) bytes += changes.bytes[at] ?? 0
  return bytes
}
