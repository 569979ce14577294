/**
 * How long background work may occupy a turn of the event loop: as long as other work took since
 * its last turn, within bounds. On an idle loop it takes short turns. On a busy one it gets half of
 * the time, so it keeps up.
 */
import type { Clock } from '../clock.ts'

/** The shortest and the longest turn, in ms. */
const leastMs = 0.05
const mostMs = 2

/** The turns of one background task. */
export class TurnShare {
  readonly #clock: Pick<Clock, 'monotonic'>
  #endedAt = Number.NEGATIVE_INFINITY
  #until = 0

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** Starts a turn. */
  begin(): void {
    const now = this.#clock.monotonic()
    this.#until = now + Math.max(leastMs, Math.min(mostMs, now - this.#endedAt))
  }

  /** Whether the turn is over. Ask after each small step, and start a new turn after `true`. */
  isOver(): boolean {
    this.#endedAt = this.#clock.monotonic()
    return this.#endedAt >= this.#until
  }
}
