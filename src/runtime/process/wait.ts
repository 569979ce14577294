/**
 * A wait of a process for something other than an answer: a message, a task, a sleep. It settles
 * exactly once: by its outcome, its time limit, or the end of the process.
 */
import type { HeapEntry } from '../queues/timer-heap.ts'
import type { Waiter } from './pending-call.ts'
import { hasEnded, type Process } from './process.ts'

/**
 * One wait. Its promise never counts as an unhandled rejection: a process that waits for two things
 * and fails by the second must end nothing but itself.
 */
export class Wait<T> implements HeapEntry, Waiter {
  dueAt = 0
  order = 0
  slot = -1
  readonly promise: Promise<T>
  readonly #process: Process
  #isSettled = false
  #resolve!: (value: T) => void
  #reject!: (error: unknown) => void
  #onTimeout: (() => void) | undefined = undefined

  /** Starts the wait. If the process has ended, it is over at once. */
  constructor(process: Process) {
    this.#process = process
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (process.alive) process.made.add(this)
    else this.makerEnded()
  }

  /**
   * Calls `onTimeout` in `ms` unless it has settled by then. The wait itself continues. Replaces an
   * earlier limit.
   */
  limit(ms: number, onTimeout: () => void): void {
    if (this.#isSettled) return
    const { timers } = this.#process.kernel
    timers.remove(this)
    this.#onTimeout = onTimeout
    timers.add(this, ms)
  }

  /** False: it has settled before. */
  resolve(value: T): boolean {
    if (!this.#close()) return false
    this.#resolve(value)
    return true
  }

  /** False: it has settled before. */
  reject(error: unknown): boolean {
    if (!this.#close()) return false
    this.promise.catch(ignore)
    this.#reject(error)
    return true
  }

  fire(): void {
    this.#onTimeout?.()
  }

  makerEnded(): void {
    this.reject(hasEnded(this.#process))
  }

  #close(): boolean {
    if (this.#isSettled) return false
    this.#isSettled = true
    this.#process.kernel.timers.remove(this)
    this.#process.made.delete(this)
    return true
  }
}

const ignore = (): void => {}
