/**
 * The run queue. Processes with work wait in one queue, and each gets a quantum of messages. A turn
 * ends when its time slice or its message budget is spent, so that Node's input, output and timers
 * are never starved. A turn begins in a microtask, so that an idle system answers at once. It runs
 * in the async context in which the queue was made, not in that of the code that wakes it.
 */
import type { Clock } from '../../clock.ts'
import { AsyncContext } from './async-context.ts'
import { Ring } from './ring.ts'

/** A process with work. It handles up to `quantum` messages and returns the number handled. */
export interface Runnable {
  run(quantum: number): number
}

/** Messages that one process handles before the next gets its chance. */
const quantumMax = 64

/** Milliseconds of a turn. */
export const sliceMs = 4

/**
 * The budget between two turns of the event loop, whatever the clock says. A message costs 1, a
 * drain that begins in a microtask 16. A loop of awaited calls never leaves the microtasks by
 * itself; this budget ends it.
 */
const turnBudget = 10_000
const drainCost = 16

/**
 * The most steps (a message, a process's turn) between two reads of the clock, and the milliseconds
 * that they should take.
 */
const strideMax = 32
const strideMs = 0.5

/**
 * Drains between two reads of the clock. Awaited calls and restarts spend their time in promises
 * between drains. Idle time looks the same; then one drain in so many starts a turn later, which
 * does no harm.
 */
const drainsPerLook = 32

/**
 * The queue of one System. With `random`, the order between processes and the quantum are drawn
 * from it.
 */
export class RunQueue {
  readonly #clock: Clock
  readonly #onThrow: (thrown: unknown) => void
  readonly #random: (() => number) | undefined
  readonly #context = new AsyncContext()
  /** Starts a microtask at less cost than `queueMicrotask`. */
  readonly #settled = Promise.resolve()
  readonly #waiting = new Ring<Runnable>()
  #scheduled = false
  #running: Runnable | undefined = undefined
  // Of the present turn: the budget that is left, the time of its messages, and its start.
  #budget = turnBudget
  #spentMs = 0
  #beganAt = 0
  #drains = 0
  /** Steps between two reads of the clock: many while messages are quick, one when each is slow. */
  #stride = strideMax

  /** Runs one message of a process instead of its turn, while the System is watched. */
  watch: ((next: Runnable) => number) | undefined = undefined

  /** `onThrow` gets what a process throws out of its turn; the other processes continue. */
  constructor(clock: Clock, onThrow: (thrown: unknown) => void, random?: () => number) {
    this.#clock = clock
    this.#onThrow = onThrow
    this.#random = random
  }

  /** Whether the present code is within a turn of `runnable`, before its first `await`. */
  isRunning(runnable: Runnable): boolean {
    return this.#running === runnable
  }

  /** The process within whose turn the present code is, before its first `await`. */
  get running(): Runnable | undefined {
    return this.#running
  }

  /** Calls `work`, which belongs to no process, also within a turn. */
  outside<T>(work: () => T): T {
    const running = this.#running
    this.#running = undefined
    try {
      return work()
    } finally {
      this.#running = running
    }
  }

  /** Queues `runnable`, which must not be in the queue already. */
  add(runnable: Runnable): void {
    this.#waiting.push(runnable)
    if (this.#scheduled) return
    this.#scheduled = true
    if (this.#budget > 0) void this.#settled.then(this.#drain)
    else this.#yield()
  }

  readonly #drain = this.#context.bind(() => {
    let isEmpty = false
    try {
      isEmpty = this.#runTurn()
    } catch (thrown) {
      this.#onThrow(thrown)
    }
    this.#running = undefined
    // After a throw the other processes continue in the next turn.
    if (isEmpty) this.#scheduled = false
    else this.#yield()
  })

  /** Runs processes until none waits (true) or the turn is spent (false). */
  #runTurn(): boolean {
    this.#budget -= drainCost
    if (++this.#drains % drainsPerLook === 0) this.#lookAround()
    // If messages are quick, the clock is not read before the first of them.
    let lookedAt = this.#stride < strideMax ? this.#clock.monotonic() : undefined
    let steps = 0
    // The last messages may not be like these: the first few are timed closely, the others by
    // those.
    let ramp = 1
    for (let next = this.#take(); next !== undefined; next = this.#take()) {
      this.#running = next
      const stride = Math.min(this.#stride, ramp)
      const count =
        this.watch === undefined ? next.run(Math.min(this.#quantum(), stride)) : this.watch(next)
      this.#budget -= count
      steps += count + 1
      if (steps >= stride && this.#waiting.length > 0) {
        const now = this.#clock.monotonic()
        if (lookedAt !== undefined) {
          this.#account(steps, now - lookedAt)
          ramp *= 2
        }
        lookedAt = now
        steps = 0
      }
      if (this.#budget <= 0) break
    }
    return this.#waiting.length === 0
  }

  /**
   * Notes that so many steps took `ms`. This decides the end of the turn and the next read of the
   * clock.
   */
  #account(steps: number, ms: number): void {
    this.#spentMs += ms
    if (this.#spentMs >= sliceMs) this.#budget = 0
    this.#stride = Math.max(1, Math.min(strideMax, Math.floor((steps * strideMs) / ms)))
  }

  /**
   * Ends a turn that took its time, in drains or between them, and has the next messages timed one
   * by one.
   */
  #lookAround(): void {
    if (this.#clock.monotonic() - this.#beganAt < sliceMs) return
    this.#budget = 0
    this.#stride = 1
  }

  #yield(): void {
    this.#clock.soon(this.#nextTurn)
  }

  readonly #nextTurn = (): void => {
    this.#budget = turnBudget
    this.#spentMs = 0
    this.#beganAt = this.#clock.monotonic()
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
