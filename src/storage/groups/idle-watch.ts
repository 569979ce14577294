/**
 * Notices when nothing has happened for a while. One timer is enough, however often something
 * happens: when it fires too early, it is set again for the rest. A timer for each group would cost
 * more than the group.
 */
import type { Cancel, Clock } from '../../clock.ts'

/**
 * Calls `idle` once after each activity, when it has been over for `ms`; 0: never. It does not hold
 * the process open.
 */
export class IdleWatch {
  readonly #clock: Clock
  readonly #ms: number
  readonly #idle: () => void
  #lastStir = 0
  #isEnded = false
  #cancel: Cancel | undefined

  constructor(clock: Clock, ms: number, idle: () => void) {
    this.#clock = clock
    this.#ms = ms
    this.#idle = idle
  }

  /** Something happened. */
  stir(): void {
    if (this.#ms <= 0 || this.#isEnded) return
    this.#lastStir = this.#clock.monotonic()
    if (!this.#cancel) this.#arm(this.#ms)
  }

  /** Ends the watch. */
  end(): void {
    this.#isEnded = true
    this.#cancel?.()
    this.#cancel = undefined
  }

  #arm(ms: number): void {
    this.#cancel = this.#clock.after(ms, () => this.#look(), { holdsProcess: false })
  }

  #look(): void {
    const left = this.#lastStir + this.#ms - this.#clock.monotonic()
    this.#cancel = undefined
    if (left > 0) this.#arm(left)
    else this.#idle()
  }
}
