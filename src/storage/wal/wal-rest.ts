/**
 * Sees when a log has rested for a while. The timer is armed once and looks, when it fires, how long the rest has been: a log
 * that is busy begins and ends a rest with every group, and a timer for each would cost more than the group.
 */
import type { Cancel, Clock } from '../../clock.ts'

/** Calls `rested` once in a rest, `afterMs` from its beginning. It does not hold the process. */
export class WalRest {
  readonly #clock: Clock
  readonly #afterMs: number
  readonly #rested: () => void
  #since: number | undefined
  #cancel: Cancel | undefined

  constructor(clock: Clock, afterMs: number, rested: () => void) {
    this.#clock = clock
    this.#afterMs = afterMs
    this.#rested = rested
  }

  /** A rest begins; a no-op in a rest. */
  begin(): void {
    if (this.#since !== undefined) return
    this.#since = this.#clock.monotonic()
    if (!this.#cancel) this.#wait(this.#afterMs)
  }

  /** The rest is over; the next may begin. */
  interrupt(): void {
    this.#since = undefined
  }

  /** There are no more rests. */
  end(): void {
    this.#since = undefined
    this.#cancel?.()
    this.#cancel = undefined
  }

  #wait(ms: number): void {
    this.#cancel = this.#clock.after(ms, () => this.#look(), { holdsProcess: false })
  }

  #look(): void {
    this.#cancel = undefined
    if (this.#since === undefined) return
    const left = this.#since + this.#afterMs - this.#clock.monotonic()
    if (left > 0) this.#wait(left)
    else {
      this.#since = undefined
      this.#rested()
    }
  }
}
