/**
 * The deadlines of a System: one binary heap over one timer of the clock. Entries know their place
 * in the heap, so cancelling is logarithmic and complete: an answered call keeps no timer. Entries
 * fire in the async context in which the heap was made, not in that of the code that arms them.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { AsyncContext } from './async-context.ts'

/** An entry of the heap. The heap owns the three fields; an entry is in one heap at a time. */
export interface HeapEntry {
  /** When it fires, on the clock's monotonic scale. */
  dueAt: number
  /** Its rank among entries due at the same moment. */
  order: number
  /** Its place in the heap, -1 while it is not in it. */
  slot: number
  fire(): void
}

/**
 * Whether `ms` is a valid delay: any number but NaN and -Infinity. A negative one fires at once.
 */
export const isDelay = (ms: unknown): ms is number =>
  typeof ms === 'number' && ms > Number.NEGATIVE_INFINITY

/** Throws `INVALID_ARGUMENT` unless `ms` is a valid delay; `what` names it in the message. */
export const expectDelay = (what: string, ms: unknown): void => {
  if (!isDelay(ms)) throw noDelay(what, ms)
}

/** The error of an invalid delay. */
export const noDelay = (what: string, found: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${what}: expected a number of milliseconds`, {
    details: { found },
  })

/** Deadlines, earliest first; among equals in the order in which they were added. */
export class TimerHeap {
  /** For entries that do not hold the operating system's process open, as after Node's `unref`. */
  readonly unheld: TimerHeap
  readonly #clock: Clock
  readonly #onThrow: (thrown: unknown) => void
  readonly #holdsProcess: boolean
  readonly #context = new AsyncContext()
  readonly #heap: HeapEntry[] = []
  #added = 0
  #armedFor = Number.POSITIVE_INFINITY
  #disarm: Cancel | undefined
  #tidying = false

  /** `onThrow` gets what an entry throws when it fires; the others fire all the same. */
  constructor(clock: Clock, onThrow: (thrown: unknown) => void, holdsProcess = true) {
    this.#clock = clock
    this.#onThrow = onThrow
    this.#holdsProcess = holdsProcess
    this.unheld = holdsProcess ? new TimerHeap(clock, onThrow, false) : this
  }

  /** The number of entries. */
  get size(): number {
    return this.#heap.length
  }

  /**
   * Lets `entry` fire in `ms`; never, if that is infinite. Throws `INVALID_ARGUMENT` for NaN, which
   * would break the order of the heap.
   */
  add(entry: HeapEntry, ms: number): void {
    expectDelay('timer', ms)
    if (ms === Number.POSITIVE_INFINITY) return
    entry.dueAt = this.#clock.monotonic() + Math.max(0, ms)
    entry.order = this.#added++
    this.#rise(entry, this.#heap.length)
    if (entry.slot === 0) this.#arm()
  }

  /** Removes `entry`. False: it is not in the heap. */
  remove(entry: HeapEntry): boolean {
    const slot = entry.slot
    if (slot < 0) return false
    entry.slot = -1
    const last = this.#heap.pop()
    if (last !== undefined && last !== entry) this.#place(last, slot)
    if (this.#heap.length === 0) this.#tidySoon()
    return true
  }

  /** Milliseconds until `entry` fires; `undefined` when it is not in the heap. */
  left(entry: HeapEntry): number | undefined {
    return entry.slot < 0 ? undefined : Math.max(0, entry.dueAt - this.#clock.monotonic())
  }

  readonly #ring = this.#context.bind(() => {
    this.#disarm = undefined
    this.#armedFor = Number.POSITIVE_INFINITY
    const now = this.#clock.monotonic()
    for (
      let first = this.#heap[0];
      first !== undefined && first.dueAt <= now;
      first = this.#heap[0]
    ) {
      this.remove(first)
      try {
        first.fire()
      } catch (thrown) {
        this.#onThrow(thrown)
      }
    }
    this.#arm()
  })

  /**
   * The clock's timer is set again only for an earlier deadline. If it fires too early, it is set
   * for the first deadline then.
   */
  #arm(): void {
    const first = this.#heap[0]
    if (first === undefined || first.dueAt >= this.#armedFor) return
    this.#disarm?.()
    this.#armedFor = first.dueAt
    const left = first.dueAt - this.#clock.monotonic()
    if (left > 0)
      this.#disarm = this.#clock.after(left, this.#ring, { holdsProcess: this.#holdsProcess })
    else this.#ringSoon()
  }

  /** An entry that is due needs only a separate turn. */
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
   * An empty heap must not keep the program running. Most empty heaps are filled again at once (one
   * call after another), so the clock's timer is cancelled in a later turn, if the heap is still
   * empty then.
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
