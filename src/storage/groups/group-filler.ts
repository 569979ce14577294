/** The group that fills, which every write joins, and the memory that goes round between groups. Pure. */
import type { Clock } from '../../clock.ts'
import { type GroupLimits, type GroupWrite, roomMin, WriteGroup } from './write-group.ts'

/** The group that fills, one after another. */
export class GroupFiller<Write extends GroupWrite> {
  readonly #clock: Clock
  readonly #limits: GroupLimits
  #open: WriteGroup<Write> | undefined
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
    const open = this.#open
    if (!open?.takes(write)) return undefined
    // With nothing else in flight many are enough: the next group fills while the log writes this one.
    const isEnough = open.isMany && (this.#before?.isBack ?? true)
    return isEnough ? undefined : open
  }

  /** Begins a group, likely as large as the one before it, which waits for no more writes. */
  begin(): WriteGroup<Write> {
    this.#open?.leave()
    this.#before = this.#open
    const room = Math.max(roomMin, this.#before?.size ?? 0)
    this.#open = new WriteGroup(this.#takeMemory(room), this.#limits, this.#clock)
    return this.#open
  }

  /** When the group that fills leaves at the latest. */
  get departsAt(): number {
    return this.#open?.departsAt ?? Number.POSITIVE_INFINITY
  }

  /** The group that fills leaves as soon as the log takes it. */
  leave(): void {
    this.#open?.leave()
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
