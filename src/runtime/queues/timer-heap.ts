/**
 * Every deadline of a System in one binary heap over one timer of the clock. Entries carry their own place in the heap,
 * so that taking one back is logarithmic and leaves nothing behind: an answered call costs no timer until its timeout.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'

/** What can wait in the heap. The heap owns the three fields; an entry waits in one heap at a time. */
export interface HeapEntry {
  /** When it fires, on the clock's monotonic scale. */
  dueAt: number
  /** Its rank among entries due at the same moment. */
  order: number
  /** Its place in the heap, -1 while it is not in it. */
  slot: number
  fire(): void
}

/** Whether `ms` can be waited for: any number but NaN and -Infinity. What is negative is over at once. */
export const isDelay = (ms: unknown): ms is number =>
  typeof ms === 'number' && ms > Number.NEGATIVE_INFINITY

/** Throws `INVALID_ARGUMENT` unless `ms` can be waited for; `what` says whose it is. */
export const expectDelay = (what: string, ms: unknown): void => {
  if (!isDelay(ms)) throw noDelay(what, ms)
}

/** The error of a time that cannot be waited for. */
export const noDelay = (what: string, found: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${what}: no number of milliseconds`, { details: { found } })

/** Deadlines, earliest first; among equals in the order in which they were added. */
export class TimerHeap {
  readonly #clock: Clock
  readonly #heap: HeapEntry[] = []
  #added = 0
  #armedFor = Number.POSITIVE_INFINITY
  #disarm: Cancel | undefined
  #tidying = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many entries wait. */
  get size(): number {
    return this.#heap.length
  }

  /**
   * Lets `entry` fire in `ms`; never, when that is infinite. Throws `INVALID_ARGUMENT` when it is no number: a deadline
   * that compares with nothing would stop all others.
   */
  add(entry: HeapEntry, ms: number): void {
    expectDelay('timer', ms)
    if (ms === Number.POSITIVE_INFINITY) return
    entry.dueAt = this.#clock.monotonic() + Math.max(0, ms)
    entry.order = this.#added++
    this.#rise(entry, this.#heap.length)
    if (entry.slot === 0) this.#arm()
  }

  /** Takes `entry` back; false when it does not wait here any more. */
  remove(entry: HeapEntry): boolean {
    const slot = entry.slot
    if (slot < 0) return false
    entry.slot = -1
    const last = this.#heap.pop()
    if (last !== undefined && last !== entry) this.#place(last, slot)
    if (this.#heap.length === 0) this.#tidySoon()
    return true
  }

  /** Milliseconds until `entry` fires; `undefined` when it does not wait. */
  left(entry: HeapEntry): number | undefined {
    return entry.slot < 0 ? undefined : Math.max(0, entry.dueAt - this.#clock.monotonic())
  }

  readonly #ring = (): void => {
    this.#disarm = undefined
    this.#armedFor = Number.POSITIVE_INFINITY
    const now = this.#clock.monotonic()
    for (
      let first = this.#heap[0];
      first !== undefined && first.dueAt <= now;
      first = this.#heap[0]
    ) {
      this.remove(first)
      first.fire()
    }
    this.#arm()
  }

  /** The clock's timer is set anew only for something earlier; when it rings too early, it is set for what is first then. */
  #arm(): void {
    const first = this.#heap[0]
    if (first === undefined || first.dueAt >= this.#armedFor) return
    this.#disarm?.()
    this.#armedFor = first.dueAt
    const left = first.dueAt - this.#clock.monotonic()
    if (left > 0) this.#disarm = this.#clock.after(left, this.#ring)
    else this.#ringSoon()
  }

  /** What is due now needs no time to pass, only a turn of its own. */
  #ringSoon(): void {
    let isWanted = true
    this.#disarm = () => {
      isWanted = false
    }
    this.#clock.soon(() => {
      if (isWanted) this.#ring()
    })
  }

  /**
   * An empty heap must not hold the program open, but most empty heaps are filled again at once (one call after
   * another), so the clock's timer is taken back in a later turn, if the heap is still empty then.
   */
  #tidySoon(): void {
    if (this.#tidying || this.#disarm === undefined) return
    this.#tidying = true
    this.#clock.soon(() => {
      this.#tidying = false
      if (this.#heap.length > 0) return
      this.#disarm?.()
      this.#disarm = undefined
      this.#armedFor = Number.POSITIVE_INFINITY
    })
  }

  #place(entry: HeapEntry, slot: number): void {
    const parent = this.#heap[(slot - 1) >> 1]
    if (slot > 0 && parent !== undefined && isBefore(entry, parent)) this.#rise(entry, slot)
    else this.#sink(entry, slot)
  }

  #rise(entry: HeapEntry, from: number): void {
    let slot = from
    while (slot > 0) {
      const above = (slot - 1) >> 1
      const parent = this.#heap[above]
      if (parent === undefined || !isBefore(entry, parent)) break
      this.#put(parent, slot)
      slot = above
    }
    this.#put(entry, slot)
  }

  #sink(entry: HeapEntry, from: number): void {
    let slot = from
    for (;;) {
      let below = 2 * slot + 1
      let child = this.#heap[below]
      if (child === undefined) break
      const right = this.#heap[below + 1]
      if (right !== undefined && isBefore(right, child)) {
        child = right
        below++
      }
      if (!isBefore(child, entry)) break
      this.#put(child, slot)
      slot = below
    }
    this.#put(entry, slot)
  }

  #put(entry: HeapEntry, slot: number): void {
    this.#heap[slot] = entry
    entry.slot = slot
  }
}

const isBefore = (left: HeapEntry, right: HeapEntry): boolean =>
  left.dueAt < right.dueAt || (left.dueAt === right.dueAt && left.order < right.order)
