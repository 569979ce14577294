/** A virtual clock that counts turns of the event loop, so that a process that spins is noticed. */
import type { VirtualClock } from '../../../src/clock.ts'

/** More turns at one instant than any life takes: a process spins. */
const turnsMax = 20_000

/** The turns of one machine. */
export class CountedTurns {
  /** All turns so far. */
  turns = 0
  readonly #clock: VirtualClock
  readonly #spins: (what: string) => void
  #turnsHere = 0
  #instant = 0

  constructor(clock: VirtualClock, spins: (what: string) => void) {
    this.#clock = clock
    this.#spins = spins
  }

  /** The clock to run on. A turn too many at one instant never happens. */
  get clock(): VirtualClock {
    const clock = this.#clock
    return {
      ...clock,
      soon: (action: () => void): void => {
        const now = clock.monotonic()
        if (now !== this.#instant) this.#turnsHere = 0
        this.#instant = now
        this.turns++
        if (++this.#turnsHere < turnsMax) clock.soon(action)
        else if (this.#turnsHere === turnsMax) this.#spins(`spins at ${now} ms`)
      },
    }
  }
}
