/**
 * The next moment at which something of a shard is due. It outlives the actors: the applier notes
 * each moment, even while no process listens.
 */

/**
 * The soonest known moment at which something of a shard is due, in ms since 1970, and the listener
 * for a sooner one.
 */
export class MomentWatch {
  #soonest = Number.POSITIVE_INFINITY
  #listener: (() => void) | undefined

  /** `Infinity` if none is known. */
  get soonest(): number {
    return this.#soonest
  }

  /**
   * Notes a moment; `Infinity` is ignored. The listener is notified if it is sooner than all known
   * ones.
   */
  note(ms: number): void {
    if (ms >= this.#soonest) return
    this.#soonest = ms
    this.#listener?.()
  }

  /**
   * Replaces the noted moments before a walk over all projected rows. `soonest`: the soonest moment
   * of the rows that are not projected.
   */
  begin(soonest: number): void {
    this.#soonest = soonest
  }

  /** Sets the listener for sooner moments; it replaces the one before. */
  listen(listener: () => void): void {
    this.#listener = listener
  }
}
