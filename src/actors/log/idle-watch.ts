/**
 * Notices when nothing has happened for a while. However often something happens, one timer is enough: when it fires too
 * early it is set again for the rest. It never holds a process open.
 */
import type { Cancel, Clock } from '../../clock.ts'

/** Calls `idle` once after each time of activity, when it has been over for so many ms; 0: never. */
export class IdleWatch {
  readonly #clock: Clock
  readonly #ms: number
  readonly #idle: () => void
  readonly #signal: AbortSignal
  #lastStir = 0
  #cancel: Cancel | undefined

  /** Watches until `signal` is aborted. */
  constructor(clock: Clock, ms: number, signal: AbortSignal, idle: () => void) {
    this.#clock = clock
    this.#ms = ms
    this.#idle = idle
    this.#signal = signal
    signal.addEventListener('abort', () => this.#cancel?.(), { once: true })
  }

  /** Something happened. */
  stir(): void {
    if (this.#ms <= 0 || this.#signal.aborted) return
    this.#lastStir = this.#clock.monotonic()
    if (!this.#cancel) this.#arm(this.#ms)
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
