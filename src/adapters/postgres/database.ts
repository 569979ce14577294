/**
 * The door to a database that speaks PostgreSQL's SQL: one connection, statement after statement.
 * `pg` and PGlite implement it, and differ in their decoding of types. So statements here give back
 * numbers, texts, bytes and JSON only.
 */

/** A row by the names of its columns. */
export type Columns = Readonly<Record<string, unknown>>

/** One connection. Not for calls side by side. */
export interface Database {
  /**
   * Runs one statement. Parameters are texts, numbers, bytes or null. With a `name`, which belongs to
   * this text alone, the connection prepares it once. @throws the client's error
   */
  query(sql: string, parameters?: readonly unknown[], name?: string): Promise<readonly Columns[]>
  /**
   * Adds rows to a table, within a transaction. `pieces`: COPY's binary format (`copy-format.ts`).
   * Each is made while the server takes the one before, and the event loop has a turn in between.
   * @throws the client's error, or that of `pieces`: the transaction has failed
   */
  copy(table: string, columns: readonly string[], pieces: Iterable<Uint8Array>): Promise<void>
  /**
   * Ends the connection, also during a statement, which then rejects. Never rejects.
   */
  close(): Promise<void>
}

/**
 * Runs `work` in a transaction. If `work` rejects, nothing is changed; if the commit does, it is
 * open whether anything is.
 */
export const inTransaction = async <T>(database: Database, work: () => Promise<T>): Promise<T> => {
  await database.query('begin')
  try {
    const result = await work()
    await database.query('commit')
    return result
  } catch (error) {
    // Of a connection that is lost, the server takes the transaction back itself.
    await database.query('rollback').catch(() => undefined)
    throw error
  }
}

/** A column that holds a number, a `bigint` included, as a number. */
export const numberIn = (row: Columns, column: string): number => Number(row[column])

/** A column that holds bytes. */
export const bytesIn = (row: Columns, column: string): Uint8Array => row[column] as Uint8Array

/** Names of columns, as SQL. */
export const quoted = (columns: readonly string[]): string =>
  columns.map((name) => `"${name}"`).join(', ')
