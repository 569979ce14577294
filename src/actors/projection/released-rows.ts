/**
 * The rows of blobs whose last frame the log has given back. They go with the next commits of the
 * projection, some at a time: a row too many keeps a row, never a blob.
 */
import { isKeelsonError } from '../../errors.ts'
import {
  loggedBlobRows,
  type ProjectionStore,
  type RowChange,
  recordOfLogged,
} from '../../storage/index.ts'

/** The rows that one commit looks at: about 1 ms. */
const rowsAtOnce = 500

/** The walk over the rows of one shard's logged blobs. */
export class ReleasedRows {
  #firstLsn = 1
  /** The last row that was looked at; `undefined` while there is nothing to do. */
  #after: string | undefined

  /** The log begins with `firstLsn` now. */
  begin(firstLsn: number): void {
    if (firstLsn <= this.#firstLsn) return
    this.#firstLsn = firstLsn
    this.#after = loggedBlobRows.gt
  }

  /** Puts the removals of some of them before `changes`, which may set them again. */
  *before(changes: Iterable<RowChange>, projection: ProjectionStore): IterableIterator<RowChange> {
    yield* this.#take(projection)
    yield* changes
  }

  #take(projection: ProjectionStore): RowChange[] {
    if (this.#after === undefined) return []
    const rest = { ...loggedBlobRows, gt: this.#after }
    const removals: RowChange[] = []
    let looked = 0
    this.#after = undefined
    try {
      for (const [key, row] of projection.range(rest)) {
        if (recordOfLogged(key, row).lsn < this.#firstLsn) removals.push([key, undefined])
        if (++looked < rowsAtOnce) continue
        this.#after = key
        break
      }
    } catch (error) {
      // A damaged row is reported by its readers, and left over here.
      if (!isKeelsonError(error, 'CORRUPT')) throw error
    }
    return removals
  }
}
