/**
 * One generation of the overlay: the newest row of each key among consecutive frames. A generation
 * is forgotten as a whole. A row may be dropped earlier, when a younger generation has its key.
 *
 * Keys are sorted by reads of ranges, not by writes: a range sorts the keys added since the last
 * one and merges them in. A write costs one map entry. A range after n new keys among m costs n log
 * n + m.
 */
import { compareKeys, type Row, type RowChange, type RowRange } from '../../storage/index.ts'

/** The approximate size of an entry without its key and value bytes: map slot, row, value. */
const entryBytes = 160

const costOf = (key: string, row: Row | null): number =>
  entryBytes + key.length * 2 + (row === null ? 0 : row.value.bytes.length)

/** One generation of the overlay. */
export class OverlayGeneration {
  /** The last frame that may have rows in this generation. */
  lsn = 0
  /** A removed row is `null`, so one look-up distinguishes it from an absent key. */
  readonly #rows = new Map<string, Row | null>()
  /** The keys sorted by the last range, and the keys added since. Some may have been dropped. */
  #sorted: readonly string[] = []
  #unsorted: string[] = []
  #bytes = 0
  #soonest = Number.POSITIVE_INFINITY

  /** The earliest expiry of a row, in ms since 1970; `Infinity` without expiries. */
  get soonest(): number {
    return this.#soonest
  }

  /** The approximate size in bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** The number of keys, removed ones included. */
  get size(): number {
    return this.#rows.size
  }

  /**
   * The key's row; `null` if it was removed, `undefined` if this generation does not have the key.
   */
  get(key: string): Row | null | undefined {
    return this.#rows.get(key)
  }

  /** Sets the row of a key (`null`: removed). Returns whether the key was present. */
  set(key: string, row: Row | null): boolean {
    const before = this.#rows.get(key)
    if (before === undefined) this.#unsorted.push(key)
    else this.#bytes -= costOf(key, before)
    this.#rows.set(key, row)
    this.#bytes += costOf(key, row)
    if (row !== null && row.expiresAt !== 0 && row.expiresAt < this.#soonest)
      this.#soonest = row.expiresAt
    return before !== undefined
  }

  /** Drops a key that a younger generation has. */
  drop(key: string): void {
    const row = this.#rows.get(key)
    if (row === undefined) return
    this.#rows.delete(key)
    this.#bytes -= costOf(key, row)
  }

  /**
   * The rows within `range`, in its order. It is a snapshot only if it is consumed within one turn.
   */
  *range(range: RowRange): IterableIterator<RowChange> {
    const keys = this.#sortedKeys()
    const from = range.gte ?? range.gt
    const to = range.lte ?? range.lt
    const first = from === undefined ? 0 : lowerBound(keys, from, range.gte === undefined)
    const end = to === undefined ? keys.length : lowerBound(keys, to, range.lte !== undefined)
    const step = range.reverse ? -1 : 1
    for (let at = range.reverse ? end - 1 : first; at >= first && at < end; at += step) {
      const key = keys[at] as string
      const row = this.#rows.get(key)
      if (row !== undefined) yield [key, row ?? undefined]
    }
  }

  #sortedKeys(): readonly string[] {
    if (this.#unsorted.length > 0) {
      this.#sorted = merged(this.#sorted, this.#unsorted.sort(compareKeys))
      this.#unsorted = []
    }
    return this.#sorted
  }
}

/** Merges two ordered lists without common keys. */
const merged = (one: readonly string[], other: readonly string[]): readonly string[] => {
  if (one.length === 0) return other
  const keys: string[] = []
  let at = 0
  for (const key of one) {
    for (; at < other.length && compareKeys(other[at] as string, key) < 0; at++)
      keys.push(other[at] as string)
    keys.push(key)
  }
  for (; at < other.length; at++) keys.push(other[at] as string)
  return keys
}

/** The first index with a key at or after `bound`; with `after`, strictly after it. */
const lowerBound = (keys: readonly string[], bound: string, after: boolean): number => {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const order = compareKeys(keys[middle] as string, bound)
    if (order < 0 || (after && order === 0)) low = middle + 1
    else high = middle
  }
  return low
}
