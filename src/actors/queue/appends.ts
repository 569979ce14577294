/**
 * The appends of a shard on their way into its log: the group that fills, which whoever writes puts its frame into, and the
 * memory that goes round between groups. What is in a group lives and dies with the call that handed the group to the writer.
 */
import type { Clock } from '../../clock.ts'
import { AppendGroup } from './append-group.ts'

/** A group begins with at least so much room, in bytes. */
const roomMin = 512

/** The open group of one shard. */
export class Appends {
  readonly #clock: Clock
  #open: AppendGroup | undefined
  /** What a group that was written has left. */
  #memory: Buffer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The group that a frame of so many bytes joins; `undefined` when one is to be begun. */
  groupFor(length: number): AppendGroup | undefined {
    return this.#open?.takes(length) ? this.#open : undefined
  }

  /** A new group, likely as large as the one before it. */
  begin(): AppendGroup {
    const room = Math.max(roomMin, this.#open?.size ?? 0)
    this.#open = new AppendGroup(this.#takeMemory(room), this.#clock)
    return this.#open
  }

  /** Takes back the memory of a group that was written: the next one to begin is written into it. */
  reuse(spent: Uint8Array): void {
    this.#memory = Buffer.from(spent.buffer)
  }

  #takeMemory(room: number): Buffer {
    const memory = this.#memory
    this.#memory = undefined
    // When groups have become small, a large buffer is not kept for them.
    if (memory && memory.length >= room && memory.length <= 4 * room) return memory
    return Buffer.allocUnsafeSlow(room)
  }
}
