/**
 * The time slice of a loop within one handler. The run queue ends a turn between messages; a handler
 * that goes through many children has to give way by itself, so that Node's input and timers and the
 * other processes are not held up.
 */
import type { Clock } from '../../clock.ts'
import { sliceMs } from './run-queue.ts'

/** The slice of one loop. It begins when it is made. */
export class TimeSlice {
  readonly #clock: Clock
  readonly #ms: number
  #beganAt: number

  constructor(clock: Clock, ms: number = sliceMs) {
    this.#clock = clock
    this.#ms = ms
    this.#beganAt = clock.monotonic()
  }

  get isSpent(): boolean {
    return this.#clock.monotonic() - this.#beganAt >= this.#ms
  }

  /** When the slice is spent, resolves in the next turn of the event loop; else `undefined`. */
  spent(): Promise<void> | undefined {
    if (!this.isSpent) return undefined
    return new Promise((resolve) => {
      this.#clock.soon(() => {
        this.#beganAt = this.#clock.monotonic()
        resolve()
      })
    })
  }
}
