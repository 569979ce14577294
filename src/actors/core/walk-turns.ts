/**
 * The turns in which the shards of an instance walk through all their rows. Each shard walks by
 * itself, and all walk on one thread: without turns, a start with many shards would leave that
 * thread no time for anything else.
 */
import type { Clock } from '../../clock.ts'

/** After a turn there is a pause of so many times its length: walks take a twentieth of the thread. */
const pauseShare = 20

/** The least and the longest pause between two turns. A turn that a slow disk held up is an exception. */
const pauseMsMin = 25
const pauseMsMax = 1_000

/** Turns of walks, one at a time. */
export class WalkTurns {
  readonly #clock: Pick<Clock, 'monotonic'>
  #next = 0
  #pauseMs = pauseMsMin

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** Takes the next turn, and answers in how many ms it begins. One that is not used is lost. */
  take(): number {
    const now = this.#clock.monotonic()
    const begin = Math.max(now, this.#next)
    this.#next = begin + this.#pauseMs
    return begin - now
  }

  /** Walks in a turn that was taken. The turns that are taken next follow by its length. */
  walk<T>(step: () => T): T {
    const begun = this.#clock.monotonic()
    const result = step()
    this.#ends(begun)
    return result
  }

  /** As `walk`, for a step of some turns of the event loop. The work of others in between counts too: a busy thread walks less. */
  async walkOn<T>(step: () => Promise<T>): Promise<T> {
    const begun = this.#clock.monotonic()
    const result = await step()
    this.#ends(begun)
    return result
  }

  #ends(begun: number): void {
    const tookMs = this.#clock.monotonic() - begun
    this.#pauseMs = Math.min(pauseMsMax, Math.max(pauseMsMin, pauseShare * tookMs))
  }
}
