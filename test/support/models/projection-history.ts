/** A history of commits that follows from their numbers alone: new rows, replaced, removed, a large one now and then. */
import type { Row, RowChange } from '../../../src/storage/ports/projection-store.ts'

/** The changes of commit `lsn`. */
export const changesOf = (lsn: number): RowChange[] =>
  Array.from({ length: 20 }, (_, index): RowChange => {
    const key = `key ${(lsn * 37 + index * index * 11) % 900}`
    if ((lsn + index) % 5 === 0) return [key, undefined]
    const size = index === 7 && lsn % 9 === 0 ? 9000 : (lsn * 7 + index) % 300
    return [key, { value: { tag: 2, bytes: Buffer.alloc(size, lsn + index) }, expiresAt: lsn }]
  })

/** The rows there are after commit `lsn`. */
export const rowsAt = (lsn: number): Map<string, Row> => {
  const rows = new Map<string, Row>()
  for (let next = 1; next <= lsn; next++)
    for (const [key, row] of changesOf(next)) row ? rows.set(key, row) : rows.delete(key)
  return rows
}
