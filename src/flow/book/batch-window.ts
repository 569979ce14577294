/**
 * When the ready jobs of a queue with batches start: as soon as a batch is full, and else when the
 * first one that may start has waited. Until then nothing is claimed, so that a crash or a close in
 * between costs no job a try. The wait is in memory alone: after a start it begins again. It is apart
 * from the book, its one importer, because it knows counts and times, and no job. Pure.
 */

/** The batches of a queue: the most jobs of one, and how long its first job waits for others, in ms. */
export type BatchLimits = { readonly max: number; readonly waitMs: number }

/** The wait of one queue. */
export class BatchWindow {
  readonly #waitMs: number
  #until = Number.POSITIVE_INFINITY

  constructor(waitMs: number) {
    this.#waitMs = waitMs
  }

  /** When the jobs that wait for others start, in ms since 1970. Infinite: none waits. */
  get until(): number {
    return this.#until
  }

  /** How many of these jobs, which may start, do so now: full batches, and after the wait all. */
  admits(ready: number, size: number, now: number): number {
    const rest = ready % size
    // Jobs beyond full batches have not waited with the first one.
    const isNew = ready >= size || this.#until === Number.POSITIVE_INFINITY
    // A wait that the clock was set back in is no longer than it says.
    this.#until = Math.min(isNew ? Number.POSITIVE_INFINITY : this.#until, now + this.#waitMs)
    if (rest > 0 && this.#until > now) return ready - rest
    this.close()
    return ready
  }

  /** Nothing may start: the next job that may begins another wait. */
  close(): void {
    this.#until = Number.POSITIVE_INFINITY
  }
}
