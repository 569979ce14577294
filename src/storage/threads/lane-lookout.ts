/**
 * One side of a lane, looking out: turn by turn of the event loop for a while, so that whoever has something for it need not
 * wake its thread (some 20 µs each way), then asleep until it is rung. All else that the loop has to do goes on meanwhile.
 */
import type { Clock } from '../../clock.ts'
import type { CommitLane, LaneSide } from './commit-lane.ts'

/** What a lookout needs. */
export type LookoutParts = {
  readonly lane: CommitLane
  readonly side: LaneSide
  readonly clock: Clock
  /** Sees whether there is something, deals with it, and answers whether there was. */
  readonly look: () => boolean
}

/**
 * How long a turn looks, in ms. A turn that looked once only would pay more for the next turn, and leave more garbage behind,
 * than it waits; what else there is to do in the loop waits so long at most.
 */
const turnMs = 0.05
const looksPerReading = 1_000

/** Begins asleep. */
export class LaneLookout {
  readonly #parts: LookoutParts
  #until = 0
  #isAwake = false

  constructor(parts: LookoutParts) {
    this.#parts = parts
  }

  /** Looks in each turn for `ms` from now on. */
  stayAwake(ms: number): void {
    const { lane, side, clock } = this.#parts
    this.#until = clock.monotonic() + ms
    if (this.#isAwake) return
    this.#isAwake = true
    lane.setAwake(side, true)
    clock.soon(this.#turn)
  }

  /** Looks once more, and then not until it is rung or told to. */
  sleepSoon(): void {
    this.#until = 0
  }

  readonly #turn = (): void => {
    const { lane, side, clock, look } = this.#parts
    const end = clock.monotonic() + turnMs
    while (!this.#looksOften() && clock.monotonic() < end);
    if (clock.monotonic() < this.#until) {
      clock.soon(this.#turn)
      return
    }
    this.#isAwake = false
    lane.setAwake(side, false)
    // What came in before the other side could know that it has to ring.
    look()
  }

  /** A reading of the clock is garbage too. */
  #looksOften(): boolean {
    for (let times = 0; times < looksPerReading; times++) if (this.#parts.look()) return true
    return false
  }
}
