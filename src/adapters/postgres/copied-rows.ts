/**
 * Reads rows in the binary format of PostgreSQL's COPY. As text, bytes take twice their length, and a
 * client needs 20 times as long to make them bytes again as to copy them.
 * The format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
 */
import type { Columns } from './database.ts'

/** The columns of rows in their order: `bigint`, `text` or `bytea`, by the SQL types. */
export type CopiedColumns = Readonly<Record<string, 'bigint' | 'text' | 'bytea'>>

/** These columns of a table or a part, as SQL. */
export const selected = (from: string, columns: CopiedColumns): string =>
  Object.keys(columns)
    .map((name) => `${from}.${name}`)
    .join()

/** The signature and the flags, before the length of what further versions may add. */
const headBytes = 15

/** The rows of a whole answer. Their bytes are views of it. */
export const copiedRows = (answer: Buffer, columns: CopiedColumns): readonly Columns[] => {
  const kinds = Object.entries(columns)
  const rows: Columns[] = []
  let at = headBytes + 4 + answer.readInt32BE(headBytes)
  const field = (kind: CopiedColumns[string]): unknown => {
    const bytes = answer.readInt32BE(at)
    const from = at + 4
    if (bytes < 0) {
      at = from
      return null
    }
    at = from + bytes
    if (kind === 'bigint') return Number(answer.readBigInt64BE(from))
    return kind === 'text' ? answer.toString('utf8', from, at) : answer.subarray(from, at)
  }
  // The end is a row of -1 columns.
  while (answer.readInt16BE(at) >= 0) {
    at += 2
    rows.push(Object.fromEntries(kinds.map(([name, kind]) => [name, field(kind)])))
  }
  return rows
}
