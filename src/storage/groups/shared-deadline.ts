/** One timer for many deadlines: it is set for the earliest, and most groups are answered before it fires. */
import type { Cancel, Clock } from '../../clock.ts'

/** Deadlines are looked at no finer than timers fire, in ms. */
const tickMs = 1

/** Ends what is late at `now`, and answers when the next deadline is; `Infinity` when there is none. */
export type Expire = (now: number) => number

/** The deadlines of a group, by the monotonic clock. */
export class SharedDeadline {
  readonly #clock: Clock
  readonly #expire: Expire
  #dueAt = Number.POSITIVE_INFINITY
  #cancel: Cancel | undefined

  constructor(clock: Clock, expire: Expire) {
    this.#clock = clock
    this.#expire = expire
  }

  /** Something is late at `endsAt`. */
  watch(endsAt: number): void {
    if (endsAt >= this.#dueAt) return
    this.#cancel?.()
    this.#dueAt = endsAt
    const inMs = Math.max(tickMs, endsAt - this.#clock.monotonic())
    this.#cancel = this.#clock.after(inMs, () => this.#ring())
  }

  /** There are no more deadlines. */
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
