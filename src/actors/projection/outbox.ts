/**
 * The outbox: committed frames on their way to the projection, in the order of their LSNs, bounded in frames and
 * bytes. When it is full it overflows: it forgets everything, and the log's files take its place until the projection has caught up.
 * So the commit path never waits for the projection, and nothing is lost.
 */
import {
  decodeFrame,
  encodeFrame,
  type FrameMark,
  type FrameUnits,
  markOf,
  type ReadAnswer,
  type Unit,
} from '../../storage/index.ts'
import { commandsIn } from '../admission/allowance.ts'
import type { AppliedFrames } from './applier.ts'
import type { PendingFrames } from './projection-batch.ts'

// Frames that were read from the log for the projection, and how many of them are taken: decoded one by one, when it is their turn.

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

/** Frames as they were applied together, and where they stand among all that ever came here: nothing is made for one of them. */
type Part = {
  readonly frames: AppliedFrames
  /** The frame at `from` is the one with the number `first`; the first number behind them is `end`. */
  readonly from: number
  readonly first: number
  readonly end: number
  /** How many commands are in them. */
  readonly commands: number
  /** When they came. */
  readonly at: number
}

/** The outbox of one shard. */
export class Outbox implements PendingFrames {
  readonly #slots: number
  readonly #bytesMax: number
  #parts: Part[] = []
  /** The numbers of the first frame here, and of the next that comes. */
  #head = 0
  #end = 0
  /** The part that was asked for last: mostly the next one that is asked for. */
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

  /** Bytes of the frames held. */
  get bytes(): number {
    return this.#bytes
  }

  /** Commands in the frames held; those of a group count until all of it is gone. */
  get commands(): number {
    return this.#commands
  }

  /** When the oldest of the frames held came; 0 without any. */
  get oldestAt(): number {
    return this.#parts[0]?.at ?? 0
  }

  /**
   * Takes the frames from `from` on, which came at `at`; `false` when there is no room for all of them, and then nothing is held any
   * more.
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

  units(at: number): FrameUnits {
    const { frames, from, first } = this.#partOf(at)
    return frames.units[this.#head + at - first + from] ?? []
  }

  mark(at: number): FrameMark {
    // The same units give the same bytes. Once for each batch, so that the bytes need not be kept.
    return markOf(this.time(at), encodeFrame(this.units(at)))
  }

  /** Lets go of the `count` oldest. */
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

  /** Forgets everything. */
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

const bytesOf = ({ lengths }: AppliedFrames, from: number, count: number): number => {
  let bytes = 0
  for (let at = from; at < from + count; at++) bytes += lengths[at] ?? 0
  return bytes
}
