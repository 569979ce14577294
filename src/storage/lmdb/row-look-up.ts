/**
 * Looks up rows by their keys. Key and record are in memory that is used again: memory made for one
 * look-up costs more than LMDB's search. Only the row and a view of its value are new. So it is
 * apart from `lmdb-projection-store.ts`: it owns that memory.
 */

import type { ViewedBytes } from '../../bytes/u64.ts'
import { viewOf } from '../../bytes/u64.ts'
import type { ProjectedPosition, Row } from '../ports/projection-store.ts'
import { decodePosition, positionKey, rowIn } from '../values/row-codec.ts'
import { rowKeyBytesMax } from '../values/row-key.ts'
import { memoryOver, writeKey } from './encoded-commit.ts'
import { type LmdbDatabase, translated } from './lmdb-environment.ts'

/** A UTF-16 unit takes at most three bytes. */
const keyMemoryBytes = 3 * rowKeyBytesMax

/** The look-ups in one store. */
export class RowLookUp {
  readonly #database: LmdbDatabase
  readonly #key = memoryOver(new Uint8Array(keyMemoryBytes))
  /** LMDB's memory of the last look-up, usually that of the next one too, with a view of it. */
  #record: ViewedBytes = memoryOver(new Uint8Array(0))

  constructor(database: LmdbDatabase) {
    this.#database = database
  }

  /**
   * The row of a key. The bytes of its value are overwritten by the next look-up. @throws
   * KeelsonError `CORRUPT`
   */
  find(key: string): Row | undefined {
    if (key.length === 0 || key.length > rowKeyBytesMax) return undefined
    const bytes = this.#key.bytes.subarray(0, writeKey(this.#key.bytes, 0, key))
    const length = this.#read(bytes)
    return length === undefined ? undefined : rowIn(bytes, this.#key, this.#record, length)
  }

  /** The position; `undefined` in a new store. @throws KeelsonError `CORRUPT` */
  position(): ProjectedPosition | undefined {
    const length = this.#read(positionKey)
    return length === undefined ? undefined : decodePosition(this.#record.bytes.subarray(0, length))
  }

  /** Reads the record of `key` and returns its length; `undefined` if there is none. */
  #read(key: Uint8Array): number | undefined {
    if (key.length > rowKeyBytesMax) return undefined
    try {
      const bytes = this.#database.getBinaryFast(key)
      if (bytes && bytes !== this.#record.bytes) this.#record = { bytes, view: viewOf(bytes) }
      // LMDB sets the length of its memory to that of the record.
      return bytes?.length
    } catch (error) {
      throw translated(error, 'a row was read')
    }
  }
}
