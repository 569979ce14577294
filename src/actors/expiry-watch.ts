/**
 * When the next row of a shard ends, as far as anybody knows, and who wants to be told. It lives in the `Shard` value:
 * whoever applies frames notes what it writes, whether or not anybody removes what has ended at the moment.
 */

/** The soonest end that was noted, in ms since 1970. */
export class ExpiryWatch {
  #soonest = Number.POSITIVE_INFINITY
  #told: (() => void) | undefined

  /** `Infinity` when nothing is known to end. */
  get soonest(): number {
    return this.#soonest
  }

  /** Something ends at `ms`; `Infinity` says nothing. Whoever listens is told when that is sooner than all before. */
  note(ms: number): void {
    if (ms >= this.#soonest) return
    this.#soonest = ms
    this.#told?.()
  }

  /** Forgets what was noted: whoever calls this looks at every projected row from now on. `soonest` of those that are not. */
  begin(soonest: number): void {
    this.#soonest = soonest
  }

  /** Tells `told` of what ends sooner than all before, in place of whoever was told until now. */
  listen(told: () => void): void {
    this.#told = told
  }
}
