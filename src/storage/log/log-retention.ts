/** What may be removed from a log: whole segments, the oldest first, none that anybody still needs. Pure. */
import { KeelsonError } from '../../errors.ts'
import type { LogSegment } from '../segments/segment-chain.ts'

/** Leases on positions: nothing from a pinned LSN on is removed. They live as long as the log is open. */
export class Pins {
  readonly #held = new Map<number, number>()
  #lastPin = 0

  /** How many are held. */
  get count(): number {
    return this.#held.size
  }

  /** The least pinned LSN; `Infinity` without a pin. */
  get least(): number {
    let least = Number.POSITIVE_INFINITY
    for (const from of this.#held.values()) least = Math.min(least, from)
    return least
  }

  /** Holds `from`, in a new pin or in the one that is given. @throws KeelsonError `INVALID_ARGUMENT` when that one is not held. */
  hold(from: number, pin?: number): number {
    if (pin !== undefined && !this.#held.has(pin))
      throw new KeelsonError('INVALID_ARGUMENT', 'There is no such pin', { details: { pin } })
    if (pin === undefined) this.#lastPin += 1
    const held = pin ?? this.#lastPin
    this.#held.set(held, from)
    return held
  }

  /** Ends a pin; a no-op when it had ended. */
  drop(pin: number): void {
    this.#held.delete(pin)
  }
}

/** Of `sealed`, oldest first, those that hold nothing beyond any of `limits`. Pure. */
export const releasable = (
  sealed: readonly LogSegment[],
  ...limits: readonly number[]
): readonly LogSegment[] => {
  const limit = Math.min(...limits)
  const kept = sealed.findIndex(({ lastLsn }) => lastLsn > limit)
  return sealed.slice(0, kept < 0 ? sealed.length : kept)
}
