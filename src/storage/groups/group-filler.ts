/**
 * The group that fills, which every write joins, and the memory that goes round between groups.
 * Pure.
 */
import type { Clock } from '../../clock.ts'
import { type GroupLimits, type GroupWrite, roomMin, WriteGroup } from './write-group.ts'

/**
 * With nothing in flight, many writes leave together only if the log answers later than this, in
 * ms. If it is quicker, the next group fills, and the callers of the last are served, while it
 * writes. On a slower disk each sync more costs more.
 */
const quickMs = 2

/** The group that fills, one after another. */
export class GroupFiller<Write extends GroupWrite> {
  readonly #clock: Clock
  readonly #limits: GroupLimits
  #last: WriteGroup<Write> | undefined
  /** The group that was begun before it. */
  #before: WriteGroup<Write> | undefined
  /** What a group that was written has left. */
  #memory: Buffer | undefined

  constructor(limits: GroupLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  /** The group that `write` joins; `undefined` when one is to be begun. */
  groupFor(write: Write): WriteGroup<Write> | undefined {
    const last = this.#last
    if (!last?.takes(write)) return undefined
    const isEnough = last.isMany && this.#before !== undefined && this.#before.tookMs <= quickMs
    return isEnough ? undefined : last
  }

  /** Begins a group, likely as large as the one before it, which waits for no more writes. */
  begin(): WriteGroup<Write> {
    this.#last?.leave()
    this.#before = this.#last
    const room = Math.max(roomMin, this.#before?.size ?? 0)
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
