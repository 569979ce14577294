/** The bounds of a walk through rows, as bytes: where to begin, and for each key whether it is before, within or beyond. */
import type { RowRange } from './projection-store.ts'
import { positionKey, rowKeyBytesMax } from './row-codec.ts'

/** The bounds of a range as bytes. LMDB is only asked where to begin; what lies within is decided here. */
export class RowBounds {
  readonly #reverse: boolean
  readonly #from: Buffer | undefined
  readonly #fromOpen: boolean
  readonly #to: Buffer | undefined
  readonly #toOpen: boolean

  constructor(range: RowRange) {
    const from = range.gt ?? range.gte
    const to = range.lt ?? range.lte
    this.#reverse = range.reverse === true
    this.#from = from === undefined ? undefined : Buffer.from(from)
    this.#fromOpen = range.gt !== undefined
    this.#to = to === undefined ? undefined : Buffer.from(to)
    this.#toOpen = range.lt !== undefined
  }

  /** Where LMDB begins; `undefined` for the first key of all, or in reverse the last. */
  start(): Uint8Array | undefined {
    const key = this.#reverse ? this.#to : this.#from
    // No row has a longer key, so cutting a bound to that length passes by none. LMDB refuses an empty key.
    return key?.length === 0 ? positionKey : key?.subarray(0, rowKeyBytesMax)
  }

  /** Where `key` lies: before the range, in it, or beyond it in the direction of the walk. */
  place(key: Uint8Array): 'before' | 'within' | 'beyond' {
    if (key.length === 1 && key[0] === 0) return this.#reverse ? 'beyond' : 'before'
    const low = this.#from === undefined ? 1 : Buffer.compare(key, this.#from)
    const high = this.#to === undefined ? -1 : Buffer.compare(key, this.#to)
    if (low < 0 || (low === 0 && this.#fromOpen)) return this.#reverse ? 'beyond' : 'before'
    if (high > 0 || (high === 0 && this.#toOpen)) return this.#reverse ? 'before' : 'beyond'
    return 'within'
  }
}
