/**
 * How long work that can wait may hold up a turn of the event loop: as long as others took since it had its last turn, within
 * bounds. Where there is little to do it takes little at a time, and nobody notices; where everybody is busy it gets half of
 * the time, and so keeps up.
 */
import type { Clock } from '../../clock.ts'

/** The least and the most that is taken at a time, in ms. */
const leastMs = 0.05
const mostMs = 2

/** The turns of one piece of work. */
export class TurnShare {
  readonly #clock: Pick<Clock, 'monotonic'>
  #endedAt = Number.NEGATIVE_INFINITY
  #until = 0

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** A turn begins. */
  begin(): void {
    const now = this.#clock.monotonic()
    this.#until = now + Math.max(leastMs, Math.min(mostMs, now - this.#endedAt))
  }

  /** Whether to let others have their turn now; asked after each small step, and not again once it says so. */
  isOver(): boolean {
    this.#endedAt = this.#clock.monotonic()
    return this.#endedAt >= this.#until
  }
}
