/** Rows in a Map, for the state machine: the plainest store there is. */

import { KeelsonError } from '../../../src/errors.ts'
import type { Row, RowChange, RowRange } from '../../../src/storage/ports/projection-store.ts'
import { noteRow, type ReadBlob, type RowHints, type Rows } from '../../../src/storage/rows/rows.ts'
import { compareKeys } from '../../../src/storage/values/key.ts'
import { compoundOf } from '../../../src/storage/values/row-key.ts'

/** For stores without blobs: every blob is missing. */
export const missingBlob: ReadBlob = ({ segment, offset }) => {
  throw new KeelsonError('CORRUPT', 'there is no blob store', { details: { segment, offset } })
}

/** Rows that can be looked into, and that take changes. */
export class MapRows implements Rows {
  readonly rows: Map<string, Row>
  readonly blob: ReadBlob
  readonly hints: RowHints = { locks: false, compounds: false }

  constructor(rows: Iterable<readonly [string, Row]> = [], blob: ReadBlob = missingBlob) {
    this.rows = new Map(rows)
    this.blob = blob
    for (const key of this.rows.keys()) noteRow(this.hints, key)
  }

  get(rowKey: string): Row | undefined {
    return this.rows.get(rowKey)
  }

  *range({ gt, gte, lt, lte, reverse }: RowRange): IterableIterator<readonly [string, Row]> {
    const within = [...this.rows].filter(
      ([key]) =>
        (gt === undefined || compareKeys(key, gt) > 0) &&
        (gte === undefined || compareKeys(key, gte) >= 0) &&
        (lt === undefined || compareKeys(key, lt) < 0) &&
        (lte === undefined || compareKeys(key, lte) <= 0),
    )
    within.sort(([a], [b]) => (reverse ? compareKeys(b, a) : compareKeys(a, b)))
    yield* within
  }

  fields(key: string): Iterable<string> {
    return [...this.rows.keys()].filter((rowKey) => compoundOf(rowKey) === key)
  }

  /** Takes what a unit changed. */
  take(changes: Iterable<RowChange>): void {
    for (const [key, row] of changes) {
      noteRow(this.hints, key)
      if (row) this.rows.set(key, row)
      else this.rows.delete(key)
    }
  }
}
