/**
 * The shards whose owner has refused messages or returned them, and still says that it has the shard.
 * What is for such a shard waits, longer after each refusal, so that an owner which refuses for long
 * costs nothing. A shard that moves waits no longer. It is apart from `kept-calls.ts`, which has what
 * waits.
 */
import { againPauses, backoffMs, type Cancel, type Clock } from '../../clock.ts'

/** The refusals of one shard. */
type Refused = { count: number; endPause: Cancel | undefined; pausedUntil: number }

/** The refusals that one member has got. */
export class Refusals {
  readonly #clock: Clock
  readonly #onOver: (shard: number) => void
  readonly #of = new Map<number, Refused>()

  /** `onOver` is called when a shard waits no longer. */
  constructor(clock: Clock, onOver: (shard: number) => void) {
    this.#clock = clock
    this.#onOver = onOver
  }

  /** Whether what is for the shard waits. */
  pauses(shard: number): boolean {
    return this.#of.get(shard)?.endPause !== undefined
  }

  /** The owner has refused a message. All refusals during one pause count as one refusal. */
  refused(shard: number): void {
    const now = this.#clock.monotonic()
    const refused = this.#of.get(shard) ?? { count: 0, endPause: undefined, pausedUntil: now }
    if (refused.endPause) return
    // Refusals of long ago say nothing about this one.
    refused.count = now - refused.pausedUntil > againPauses.maxMs ? 1 : refused.count + 1
    const pauseMs = backoffMs(againPauses, refused.count)
    refused.pausedUntil = now + pauseMs
    refused.endPause = this.#clock.after(pauseMs, () => this.#over(shard), { holdsProcess: false })
    this.#of.set(shard, refused)
  }

  /** The shard has another owner, or none. Its refusals count if that goes on. */
  moved(shard: number): void {
    const refused = this.#of.get(shard)
    refused?.endPause?.()
    if (refused) refused.endPause = undefined
  }

  #over(shard: number): void {
    this.moved(shard)
    this.#onOver(shard)
  }
}
