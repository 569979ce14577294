/**
 * When the callers of a group give up: one timer for all their deadlines, set for the earliest.
 * Most groups are answered before it fires.
 */
import type { Cancel, Clock } from '../../clock.ts'

/** The resolution of timers in ms: deadlines are checked no more often. */
const tickMs = 1

/** Fails the writes that are late at `now`. Returns the next deadline; `Infinity` without one. */
export type Expire = (now: number) => number

/** The deadlines of the callers of a group, by the monotonic clock. */
export class CallersDeadline {
  readonly #clock: Clock
  readonly #expire: Expire
  #dueAt = Number.POSITIVE_INFINITY
  #cancel: Cancel | undefined

  constructor(clock: Clock, expire: Expire) {
    this.#clock = clock
    this.#expire = expire
  }

  /** Watches a deadline. */
  watch(endsAt: number): void {
    if (endsAt >= this.#dueAt) return
    this.#cancel?.()
    this.#dueAt = endsAt
    const inMs = Math.max(tickMs, endsAt - this.#clock.monotonic())
    this.#cancel = this.#clock.after(inMs, () => this.#ring())
  }

  /** Stops the timer: no deadline is left. */
  end(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#dueAt = Number.POSITIVE_INFINITY
  }

  #ring(): void {
    this.end()
    this.watch(this.#expire(this.#clock.monotonic() + tickMs / 2))
  }
}
