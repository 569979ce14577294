/**
 * How far the log is written and synced, and who waits until what was written is synced. Says when
 * a sync is to be asked for: one at a time, and only while somebody waits. Pure.
 */

/** Somebody waits until everything up to `lsn` is durable. */
type Waiting = { readonly lsn: number; readonly reached: () => void }

/** How durable one log is. */
export class Durability {
  #lastLsn: number
  #durableLsn: number
  #isSyncing = false
  #waiting: Waiting[] = []

  /** Begins with a log that is durable as a whole. */
  constructor(lastLsn: number) {
    this.#lastLsn = lastLsn
    this.#durableLsn = lastLsn
  }

  /** The last frame that was written. */
  get lastLsn(): number {
    return this.#lastLsn
  }

  /** Everything up to here is synced. */
  get durableLsn(): number {
    return this.#durableLsn
  }

  /** Frames were written up to `lastLsn`, and synced up to `durableLsn`. */
  written(lastLsn: number, durableLsn: number): void {
    this.#lastLsn = Math.max(this.#lastLsn, lastLsn)
    this.#durableLsn = Math.max(this.#durableLsn, durableLsn)
  }

  /** The sync that was asked for has come back: everything up to `durableLsn` is synced. */
  synced(durableLsn: number): void {
    this.#isSyncing = false
    this.proven(durableLsn)
  }

  /** Everything up to `durableLsn` is synced, without a sync having been asked for. */
  proven(durableLsn: number): void {
    this.#durableLsn = Math.max(this.#durableLsn, durableLsn)
  }

  /** Once all that is written now is durable, `settle` calls `reached`. */
  wait(reached: () => void): void {
    this.#waiting.push({ lsn: this.#lastLsn, reached })
  }

  /** Tells those whose turn has come. Answers whether a sync is to be asked for now; it counts as asked for then. */
  settle(): boolean {
    const waiting = this.#waiting
    this.#waiting = waiting.filter(({ lsn }) => lsn > this.#durableLsn)
    for (const { lsn, reached } of waiting) if (lsn <= this.#durableLsn) reached()
    if (this.#waiting.length === 0 || this.#isSyncing) return false
    this.#isSyncing = true
    return true
  }
}
