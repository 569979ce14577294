/**
 * A reconcile: every row of the projection is read, and its checksum verified, a few rows in each
 * turn of the event loop. The rows are not computed again: they change in one transaction with the
 * position, so only damage can make them wrong. A damaged row is `CORRUPT`, and the projection is
 * rebuilt.
 */

import type { TurnShare } from '../../bytes/turn-share.ts'
import type { ProjectionStore } from '../../storage/index.ts'

/** The rows between two looks at the clock. */
const rowsPerLook = 50

/** A walk over all rows. */
export class Reconcile {
  /** A mark that was made after this epoch is not refuted by this walk. */
  readonly epoch: number
  readonly since: number
  #rows = 0
  #last: string | undefined

  constructor(epoch: number, since: number) {
    this.epoch = epoch
    this.since = since
  }

  /** The number of rows read. */
  get rows(): number {
    return this.#rows
  }

  /**
   * Reads rows until the share of this turn is over. Returns whether rows are left.
   * @throws KeelsonError `CORRUPT`
   */
  readSome(projection: ProjectionStore, share: TurnShare): boolean {
    share.begin()
    const rest = this.#last === undefined ? {} : { gt: this.#last }
    for (const [key] of projection.range(rest)) {
      this.#last = key
      this.#rows++
      if (this.#rows % rowsPerLook === 0 && share.isOver()) return true
    }
    return false
  }
}
