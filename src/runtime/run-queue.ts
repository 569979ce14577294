/**
 * Who runs next. Processes with work wait in one queue; each gets a quantum of messages, and a turn ends when its slice
 * of time or its budget of messages is spent, so that Node's input, output and timers get theirs however busy the
 * processes are. A turn begins in a microtask, so that an idle system answers at once.
 */
import type { Clock } from '../clock.ts'
import { Ring } from './ring.ts'

/** Something that has work: it handles up to `quantum` messages and answers how many it did. */
export interface Runnable {
  run(quantum: number): number
}

/** Messages that one process handles before the next gets its chance. */
const quantumMax = 64

/** Milliseconds of a turn. */
const sliceMs = 4

/**
 * What may be done between two turns of the event loop without looking at the clock: a message costs 1, a drain that
 * was begun in a microtask 16. A loop of awaited calls never leaves the microtasks by itself; this ends it.
 */
const turnBudget = 10_000
const drainCost = 16

/** The clock is read once in so many processes. */
const clockEvery = 8

/** The queue of one System. With `random`, the order between processes and the quantum are drawn from it. */
export class RunQueue {
  readonly #clock: Clock
  readonly #random: (() => number) | undefined
  readonly #waiting = new Ring<Runnable>()
  #scheduled = false
  #budget = turnBudget

  constructor(clock: Clock, random?: () => number) {
    this.#clock = clock
    this.#random = random
  }

  /** Queues `runnable`, which must not be in the queue already. */
  add(runnable: Runnable): void {
    this.#waiting.push(runnable)
    if (this.#scheduled) return
    this.#scheduled = true
    if (this.#budget > 0) queueMicrotask(this.#drain)
    else this.#yield()
  }

  readonly #drain = (): void => {
    let isEmpty = false
    try {
      isEmpty = this.#runTurn()
    } finally {
      // Also when something threw that should not have: the other processes go on in the next turn.
      if (isEmpty) this.#scheduled = false
      else this.#yield()
    }
  }

  /** Runs processes until none waits (true) or the turn is spent (false). */
  #runTurn(): boolean {
    let startedAt = 0
    let turns = 0
    this.#budget -= drainCost
    for (let next = this.#take(); next !== undefined; next = this.#take()) {
      this.#budget -= next.run(this.#quantum())
      if (this.#budget <= 0) break
      if (++turns % clockEvery !== 0) continue
      const now = this.#clock.monotonic()
      if (startedAt === 0) startedAt = now
      else if (now - startedAt >= sliceMs) break
    }
    return this.#waiting.length === 0
  }

  #yield(): void {
    this.#clock.soon(this.#nextTurn)
  }

  readonly #nextTurn = (): void => {
    this.#budget = turnBudget
    this.#drain()
  }

  #take(): Runnable | undefined {
    if (this.#random !== undefined && this.#waiting.length > 1) {
      this.#waiting.swapToFront(Math.floor(this.#random() * this.#waiting.length))
    }
    return this.#waiting.shift()
  }

  #quantum(): number {
    return this.#random === undefined ? quantumMax : 1 + Math.floor(this.#random() * 4)
  }
}
