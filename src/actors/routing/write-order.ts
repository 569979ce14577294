/**
 * The order of the writes of a member to a shard elsewhere. An owner may refuse one, and take a
 * later one that was on its way: if its log began again between them, say. Sent again, the first
 * would take effect after the second. So a refused write waits until every write that was sent has its
 * answer. It is sent again, in the order of the calls, if none after it was taken. It is apart from
 * `store-routes.ts`: the order of one shard, which a test has without members.
 */
import type { Clock } from '../../clock.ts'
import type { Gate } from '../admission/gate.ts'

/** The pause before an owner is asked again that has refused, in ms. */
export const pauseMs = 50

const moving = 'moving'

/** A write that was sent. While it is refused, `decide` says whether it may be sent again. */
export type SentWrite = { decide?: ((isNext: boolean) => void) | undefined }

/** The writes to one shard that have passed its gate and have not ended. */
export class WriteOrder {
  readonly #clock: Clock
  readonly #gate: Gate
  /** In the order in which they were sent first. */
  readonly #sent = new Set<SentWrite>()
  /** How many of them are refused. */
  #refused = 0
  #isPausing = false

  constructor(clock: Clock, gate: Gate) {
    this.#clock = clock
    this.#gate = gate
  }

  /** A write is sent. */
  begin(): SentWrite {
    const write = {}
    this.#sent.add(write)
    return write
  }

  /**
   * The owner has refused it, and nothing has happened. Resolves with whether it may be sent again
   * now: false after `leftMs`, and if a later one was taken, or may have been. Until then later
   * writes wait at the gate.
   */
  refused(write: SentWrite, leftMs: number): Promise<boolean> {
    this.#gate.hold(moving)
    this.#refused++
    return new Promise((resolve) => {
      const cancel = this.#clock.after(leftMs, () => write.decide?.(false))
      write.decide = (isNext) => {
        write.decide = undefined
        this.#refused--
        cancel()
        resolve(isNext)
      }
      this.#proceed()
    })
  }

  /** It has ended. `isUndone`: the owner has not taken it, so earlier ones may be sent again. */
  end(write: SentWrite, isUndone: boolean): void {
    if (!isUndone)
      for (const earlier of this.#sent) {
        if (earlier === write) break
        earlier.decide?.(false)
      }
    this.#sent.delete(write)
    this.#proceed()
  }

  #proceed(): void {
    if (this.#isPausing) return
    if (this.#refused === 0) this.#gate.release(moving)
    else if (this.#refused === this.#sent.size) this.#sendAgain()
  }

  #sendAgain(): void {
    this.#isPausing = true
    this.#clock.after(pauseMs, () => {
      for (const { decide } of this.#sent) decide?.(true)
      // They are sent before any that waits at the gate.
      this.#clock.soon(() => {
        this.#isPausing = false
        this.#proceed()
      })
    })
  }
}
