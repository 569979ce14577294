/**
 * The group that fills, which every write joins, and the memory that goes round between groups.
 * Pure.
 */
import type { Clock } from '../../clock.ts'
import { type GroupLimits, type GroupWrite, roomMin, WriteGroup } from './write-group.ts'

/** The group that fills, one after another. */
export class GroupFiller<Write extends GroupWrite> {
  readonly #clock: Clock
  readonly #limits: GroupLimits
  #last: WriteGroup<Write> | undefined
  /** The remains of a group that was written. */
  #memory: Buffer | undefined

  constructor(limits: GroupLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  /** The group that `write` joins; `undefined` when one is to be begun. */
  groupFor(write: Write): WriteGroup<Write> | undefined {
    return this.#last?.takes(write) ? this.#last : undefined
  }

  /** Begins a group, likely as large as the one before it, which waits for no more writes. */
  begin(): WriteGroup<Write> {
    this.#last?.leave()
    const room = Math.max(roomMin, this.#last?.size ?? 0)
    this.#last = new WriteGroup(this.#takeMemory(room), this.#limits, this.#clock)
    return this.#last
  }

  /** The group that was begun last. */
  get last(): WriteGroup<Write> | undefined {
    return this.#last
  }

  /**
   * Takes back the memory of a group that was written: the next one to begin is written into it.
   */
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
