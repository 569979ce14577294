/**
 * How far a log is written and synced, and the waiters for a sync. It decides when to sync: one
 * sync at a time, and only while there are waiters. Pure.
 */

/** A wait until every frame up to `lsn` is durable. */
type Waiting = { readonly lsn: number; readonly reached: () => void }

/** The durability of one log. */
export class Durability {
  #lastLsn: number
  #durableLsn: number
  #isSyncing = false
  #waiting: Waiting[] = []

  constructor(lastLsn: number, durableLsn = lastLsn) {
    this.#lastLsn = lastLsn
    this.#durableLsn = durableLsn
  }

  /** The last frame written. */
  get lastLsn(): number {
    return this.#lastLsn
  }

  /** Every frame up to this LSN is synced. */
  get durableLsn(): number {
    return this.#durableLsn
  }

  /** Whether everything that was written is synced. */
  get isDurable(): boolean {
    return this.#lastLsn <= this.#durableLsn
  }

  /** Records that frames were written up to `lastLsn`, and synced up to `durableLsn`. */
  written(lastLsn: number, durableLsn: number): void {
    this.#lastLsn = Math.max(this.#lastLsn, lastLsn)
    this.#durableLsn = Math.max(this.#durableLsn, durableLsn)
  }

  /** Records the end of the requested sync: every frame up to `durableLsn` is synced. */
  synced(durableLsn: number): void {
    this.#isSyncing = false
    this.proven(durableLsn)
  }

  /**
   * Records that every frame up to `durableLsn` is synced, without a requested sync. The last of
   * them may be an IDLE frame, which no group has written.
   */
  proven(durableLsn: number): void {
    this.#lastLsn = Math.max(this.#lastLsn, durableLsn)
    this.#durableLsn = Math.max(this.#durableLsn, durableLsn)
  }

  /** Adds a waiter: `settle` calls `reached` when every frame written so far is durable. */
  wait(reached: () => void): void {
    this.#waiting.push({ lsn: this.#lastLsn, reached })
  }

  /**
   * Notifies the waiters that were reached. Returns true if the caller must sync now; the sync then
   * counts as requested.
   */
  settle(): boolean {
    const waiting = this.#waiting
    this.#waiting = waiting.filter(({ lsn }) => lsn > this.#durableLsn)
    for (const { lsn, reached } of waiting) if (lsn <= this.#durableLsn) reached()
    if (this.#waiting.length === 0 || this.#isSyncing) return false
    this.#isSyncing = true
    return true
  }
}
