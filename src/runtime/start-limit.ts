/** The time that a start may take: when it is over, the process that is still in `init` is killed. */
import type { Process } from './process.ts'
import type { HeapEntry } from './timer-heap.ts'

/** The limit of one start. */
export class StartLimit implements HeapEntry {
  dueAt = 0
  order = 0
  slot = -1
  readonly #process: Process
  #isOver = false

  private constructor(process: Process) {
    this.#process = process
  }

  /** Begins to count; `undefined` without a limit. */
  static of(process: Process, timeoutMs: number | undefined): StartLimit | undefined {
    if (timeoutMs === undefined) return undefined
    const limit = new StartLimit(process)
    process.kernel.timers.add(limit, timeoutMs)
    return limit
  }

  /** Whether the time ran out before the start was done. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** The start is done. */
  lift(): void {
    this.#process.kernel.timers.remove(this)
  }

  fire(): void {
    this.#isOver = true
    // The starter learns it from the answer and from nothing else, trapping or not (OTP unlinks before it kills).
    this.#process.unlink(this.#process.parent)
    this.#process.end('killed')
  }
}
