/**
 * The bytes of the log that are applied and that the projection does not show. A start after a
 * crash reads them again. The overlay bounds rows; this bounds the log, which also grows while a few
 * rows are overwritten.
 */

/** The frames up to `lsn` that count together. */
type Stretch = { lsn: number; bytes: number }

/** How many stretches a full lag has: the lag shrinks by one of them at a time. */
const stretches = 64

/** The lag of one shard's projection, in bytes of log. */
export class LogLag {
  readonly #bytesMax: number
  #stretches: Stretch[] = []
  #bytes = 0

  /** `bytesMax`: writers wait from here on. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Whether writers must wait until the projection shows more. */
  get isFull(): boolean {
    return this.#bytes >= this.#bytesMax
  }

  /** Counts the applied frame `lsn`. LSNs increase from call to call. */
  add(lsn: number, bytes: number): void {
    this.#bytes += bytes
    const last = this.#stretches.at(-1)
    if (!last || stretches * last.bytes >= this.#bytesMax) this.#stretches.push({ lsn, bytes })
    else {
      last.lsn = lsn
      last.bytes += bytes
    }
  }

  /** The projection shows every frame up to `lsn`. */
  shown(lsn: number): void {
    let gone = 0
    for (const stretch of this.#stretches) {
      if (stretch.lsn > lsn) break
      this.#bytes -= stretch.bytes
      gone++
    }
    this.#stretches.splice(0, gone)
  }
}
