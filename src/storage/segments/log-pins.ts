/** Pins on positions of a log, of readers that must find its frames. */
import { KeelsonError } from '../../errors.ts'

/** Pins on positions: nothing from a pinned LSN on is removed. Pins last while the log is open. */
export class Pins {
  readonly #held = new Map<number, number>()
  #lastPin = 0

  /** The lowest pinned LSN; `Infinity` without a pin. */
  get least(): number {
    let least = Number.POSITIVE_INFINITY
    for (const from of this.#held.values()) least = Math.min(least, from)
    return least
  }

  /**
   * Pins `from`, with a new pin or by moving `pin`. @throws KeelsonError `INVALID_ARGUMENT` for an
   * unknown pin
   */
  hold(from: number, pin?: number): number {
    if (pin !== undefined && !this.#held.has(pin))
      throw new KeelsonError('INVALID_ARGUMENT', 'unknown pin', { details: { pin } })
    if (pin === undefined) this.#lastPin += 1
    const held = pin ?? this.#lastPin
    this.#held.set(held, from)
    return held
  }

  /** Removes a pin; has no effect if it is already removed. */
  drop(pin: number): void {
    this.#held.delete(pin)
  }
}
