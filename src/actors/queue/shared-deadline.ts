/** One timer for many who give up at times of their own: it is set for the earliest, and most of them never need it. */
import type { Cancel, Clock } from '../../clock.ts'

/** Deadlines are looked at no finer than timers fire, in ms. */
const tickMs = 1

/** Tells those whose time is up at `now`, and answers when the next one's is; `Infinity` when nobody is left. */
export type GiveUp = (now: number) => number

/** The deadline of a group. All times are by the monotonic clock. */
export class SharedDeadline {
  readonly #clock: Clock
  readonly #giveUp: GiveUp
  #dueAt = Number.POSITIVE_INFINITY
  #cancel: Cancel | undefined

  constructor(clock: Clock, giveUp: GiveUp) {
    this.#clock = clock
    this.#giveUp = giveUp
  }

  /** Somebody gives up at `endsAt`. */
  watch(endsAt: number): void {
    if (endsAt >= this.#dueAt) return
    this.#cancel?.()
    this.#dueAt = endsAt
    const inMs = Math.max(tickMs, endsAt - this.#clock.monotonic())
    this.#cancel = this.#clock.after(inMs, () => this.#ring())
  }

  /** Nobody waits any more. */
  end(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#dueAt = Number.POSITIVE_INFINITY
  }

  #ring(): void {
    this.end()
    this.watch(this.#giveUp(this.#clock.monotonic() + tickMs / 2))
  }
}
