/**
 * The outbox: committed frames on their way to the projection, in the order of their LSNs, bounded in frames and
 * bytes. When it is full it overflows: it forgets everything, and the log's files take its place until the projection has caught up.
 * So the commit path never waits for the projection, and nothing is lost.
 */
import { encodeFrame, type FrameMark, markOf, type Unit } from '../storage/index.ts'
import type { AppliedFrames } from './applier.ts'
import type { PendingFrames } from './projection-batch.ts'

/** The outbox of one shard. Frames stand in columns: nothing is made for one on its way. */
export class Outbox implements PendingFrames {
  readonly #slots: number
  readonly #bytesMax: number
  #lsns: number[] = []
  #times: number[] = []
  #units: (readonly Unit[])[] = []
  #lengths: number[] = []
  #head = 0
  #bytes = 0

  constructor(slots: number, bytesMax: number) {
    this.#slots = slots
    this.#bytesMax = bytesMax
  }

  get size(): number {
    return this.#lsns.length - this.#head
  }

  /** Bytes of the frames held. */
  get bytes(): number {
    return this.#bytes
  }

  /** Takes the frame at `at`; `false` when there is no room, and then nothing is held any more. */
  push({ lsns, time, units, lengths }: AppliedFrames, at: number): boolean {
    const length = lengths[at] ?? 0
    if (this.size >= this.#slots || this.#bytes + length > this.#bytesMax) {
      this.clear()
      return false
    }
    this.#lsns.push(lsns[at] ?? 0)
    this.#times.push(time)
    this.#units.push(units[at] ?? [])
    this.#lengths.push(length)
    this.#bytes += length
    return true
  }

  lsn(at: number): number {
    return this.#lsns[this.#head + at] ?? 0
  }

  time(at: number): number {
    return this.#times[this.#head + at] ?? 0
  }

  units(at: number): readonly Unit[] {
    return this.#units[this.#head + at] ?? []
  }

  mark(at: number): FrameMark {
    // The same units give the same bytes. Once for each batch, so that the bytes need not be kept.
    return markOf(this.time(at), encodeFrame(this.units(at)))
  }

  /** Lets go of the `count` oldest. */
  drop(count: number): void {
    for (let at = 0; at < count; at++) this.#bytes -= this.#lengths[this.#head + at] ?? 0
    this.#head += count
    // Moving what is left pays off once as much was taken: a constant share for each.
    if (this.#head * 2 > this.#lsns.length) this.#moveUp()
  }

  /** Forgets everything. */
  clear(): void {
    this.#head = this.#lsns.length
    this.#bytes = 0
    this.#moveUp()
  }

  #moveUp(): void {
    this.#lsns = this.#lsns.slice(this.#head)
    this.#times = this.#times.slice(this.#head)
    this.#units = this.#units.slice(this.#head)
    this.#lengths = this.#lengths.slice(this.#head)
    this.#head = 0
  }
}
