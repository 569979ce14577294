/**
 * The refusals of a body: of operations after its cancel or its end, under keys that it has used, beyond a
 * bound. Each refusal gives control to the body, which may ask at once again. So refusals wait for the
 * next turn of the event loop, and a body that gets nothing else for too many turns is stuck. The state
 * is apart from the activation, which says when a turn comes.
 */

import type { KeptError } from '../../errors.ts'
import { blockedBy } from '../runs/turns.ts'

/** Why such a body does not go on. */
export const stuck: KeptError = blockedBy(
  'STUCK',
  'its body asks again and again for what it is refused, and waits for nothing else',
)

/** So many turns of the event loop in a row a body may get refusals alone. */
const turnsMax = 1_000

/** The refusals of one activation. */
export class Refusals {
  #waiting: (() => void)[] = []
  #turns = 0
  /** A turn has refused what was asked for after the cancel of the whole body. */
  #isLast = false

  get areWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** The body has got nothing but refusals for too long. */
  get isStuck(): boolean {
    return this.#turns > turnsMax
  }

  /** The body was refused something after its cancel, and had its turn for that. */
  get wasLast(): boolean {
    return this.#isLast
  }

  /** `reject` refuses something to the body: in the next turn of the event loop. */
  add(reject: () => void): void {
    this.#waiting.push(reject)
  }

  /** The next turn has come. `isCancelled`: the whole body is cancelled. */
  give(isCancelled: boolean): void {
    this.#turns++
    this.#isLast ||= isCancelled
    if (!this.isStuck) for (const reject of this.#waiting.splice(0)) reject()
  }

  /** The body has ended: nobody waits for them. */
  drop(): void {
    this.#waiting = []
  }

  /** The body has got an outcome. */
  ends(): void {
    this.#turns = 0
  }
}
