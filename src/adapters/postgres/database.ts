/**
 * The door to a database that speaks PostgreSQL's SQL: one connection, statement after statement.
 * `pg` and PGlite stand behind it, and differ in what they make of types. So statements here give
 * back numbers, texts, bytes and JSON only.
 */

/** A row by the names of its columns. */
export type Columns = Readonly<Record<string, unknown>>

/** One connection. Not for calls side by side. */
export interface Database {
  /**
   * Runs one statement. Parameters are texts, numbers, bytes or null. @throws the client's error
   */
  query(sql: string, parameters?: readonly unknown[]): Promise<readonly Columns[]>
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

/** Pieces of bytes as one parameter, and where each of them is in it. */
export type Packed = {
  readonly bytes: Uint8Array
  /** Arrays of PostgreSQL: the place of each piece, from 1 on, and its length. */
  readonly places: string
  readonly lengths: string
}

/** Packs pieces into one parameter: an array of bytes would go as text, twice as long. */
export const packed = (pieces: readonly Uint8Array[]): Packed => {
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  const places: number[] = []
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    places.push(at + 1)
    at += piece.length
  }
  return { bytes, places: arrayOf(places), lengths: arrayOf(pieces.map(({ length }) => length)) }
}

/** Numbers as an array of PostgreSQL. */
export const arrayOf = (numbers: readonly number[]): string => `{${numbers.join(',')}}`
