/**
 * When what waits for the log leaves. What is handed in together leaves together: many who were just answered have the turn
 * of the event loop to come again, one who is alone does not wait for others, and where a delay is wanted, a group has that
 * long to fill. One group is under way, or two when the second is large; a step is done alone.
 */
import type { Cancel, Clock } from '../../clock.ts'

/**
 * So many entries do not wait for more, nor for the group before them: the thread finds them when it has synced that one, and
 * has work while its callers are answered and hand in their next. Fewer are better off as one group with one sync.
 */
export const manyFrom = 512

/** Groups under way at most: one that is written, and one that waits for the thread. */
const underWayMax = 2

/** Calls `leave` when it is time for what waits. */
export class WalPace {
  readonly #clock: Clock
  readonly #maxDelayMs: number
  readonly #leave: () => void
  /** It leaves in this turn of the event loop, or at the end of it. */
  #isDue = false
  /** Set while a group has time to fill. */
  #filling: Cancel | undefined
  #underWay = 0
  #isStepping = false
  /** The last group had one entry. */
  #wasAlone = true

  constructor(clock: Clock, maxDelayMs: number, leave: () => void) {
    this.#clock = clock
    this.#maxDelayMs = maxDelayMs
    this.#leave = leave
  }

  /** Whether what waits will be looked at again, soon or when something comes back, without being armed. */
  get isMoving(): boolean {
    return this.#isDue || this.#isStepping || this.#underWay > 0
  }

  /** Whether a group of so many may leave now, or, with a count of 0, a step. */
  mayLeave(count: number): boolean {
    if (this.#isStepping) return false
    return this.#underWay === 0 || (this.#underWay < underWayMax && count >= manyFrom)
  }

  /** Something waits and nothing moves: has it leave in its time. What is urgent does not wait for a group to fill. */
  arm(isUrgent: boolean): void {
    const leave = (): void => this.#leave()
    if (this.#maxDelayMs > 0 && !isUrgent) {
      this.#filling ??= this.#clock.after(this.#maxDelayMs, leave)
      return
    }
    this.#isDue = true
    if (this.#wasAlone) queueMicrotask(leave)
    else this.#clock.soon(leave)
  }

  /** It leaves now, or nothing is to leave any more. */
  disarm(): void {
    this.#isDue = false
    this.#filling?.()
    this.#filling = undefined
  }

  /** A group of so many goes on its way. */
  begins(count: number): void {
    this.#underWay += 1
    this.#wasAlone = count === 1
  }

  /** A group has come back. */
  ends(): void {
    this.#underWay -= 1
  }

  /** Does something alone. */
  async step(action: () => Promise<void>): Promise<void> {
    this.#isStepping = true
    await action()
    this.#isStepping = false
  }
}
