/**
 * Rows that were written one after another, up to some LSN, and are forgotten together: of each key the newest among them, which may
 * be dropped once a younger generation has the key.
 *
 * Order is made when somebody ranges, not when somebody writes: keys that came since the last range are sorted by the next one
 * and merged into those before. A write thus costs one map entry; a range after n new keys among m costs n log n + m.
 */
import { compareKeys, type Row, type RowChange, type RowRange } from '../../storage/index.ts'

/** What one entry costs beside its key and value, about: map slot, row, value. */
const entryBytes = 160

const costOf = (key: string, row: Row | null): number =>
  entryBytes + key.length * 2 + (row === null ? 0 : row.value.bytes.length)

/** One generation of the overlay. */
export class OverlayGeneration {
  /** The last frame of which something may be in here. */
  lsn = 0
  /** A row that was removed is `null`, which one look tells from a key that is not here. */
  readonly #rows = new Map<string, Row | null>()
  /** The keys that the last range met, in order, and those that came since; some may have left. */
  #sorted: readonly string[] = []
  #unsorted: string[] = []
  #bytes = 0
  #soonest = Number.POSITIVE_INFINITY

  /** Before this, in ms since 1970, no row that was put in here has ended; `Infinity` when none ends. */
  get soonest(): number {
    return this.#soonest
  }

  /** Bytes held, about. */
  get bytes(): number {
    return this.#bytes
  }

  /** Keys held, removed ones included. */
  get size(): number {
    return this.#rows.size
  }

  /** The key's row, `null` where it was removed; `undefined` when nothing of the key is here. */
  get(key: string): Row | null | undefined {
    return this.#rows.get(key)
  }

  /** Puts a row, or that there is none, in place of what is here; answers whether something was. */
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

  /** A younger generation has the key: what is here goes, for good. */
  drop(key: string): void {
    const row = this.#rows.get(key)
    if (row === undefined) return
    this.#rows.delete(key)
    this.#bytes -= costOf(key, row)
  }

  /** The rows within `range`, in its order. Sees one moment when it is used up within one turn. */
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

/** Two ordered lists without a common key as one. */
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

/** The first index whose key is not before `bound`, or with `after` the first that is behind it. */
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
