/**
 * What is committed and not yet in the projection, in memory: the newest row of each key with the LSN that wrote it.
 * Keys are forgotten in the order of their LSNs once the projection shows them.
 *
 * Order is made when somebody ranges, not when somebody writes: new keys are collected unsorted and merged into the
 * sorted ones by the next range. A write thus costs one map entry; a range after n new keys among m costs n log n + m.
 */
import { compareKeys, type Row, type RowChange, type RowRange } from '../storage/index.ts'

/** A key's newest committed state: a row, or `undefined` where it was removed. */
export type OverlayEntry = {
  readonly row: Row | undefined
  readonly lsn: number
  /** What it counts. */
  readonly bytes: number
}

/** What one entry costs beside its key and value, about: map slot, entry, row. */
const entryBytes = 160

const costOf = (key: string, row: Row | undefined): number =>
  entryBytes + key.length * 2 + (row?.value.bytes.length ?? 0)

/** The overlay of one shard. */
export class Overlay {
  /** In the order of LSNs: what is written again goes to the end. */
  readonly #entries = new Map<string, OverlayEntry>()
  #sorted: string[] = []
  #unsorted: string[] = []
  #bytes = 0

  /** Bytes held, about. */
  get bytes(): number {
    return this.#bytes
  }

  /** Keys held, removed ones included. */
  get size(): number {
    return this.#entries.size
  }

  /** The key's state; `undefined` when the projection has to answer. */
  get(key: string): OverlayEntry | undefined {
    return this.#entries.get(key)
  }

  /** Takes the changes of frame `lsn`. LSNs never go down from call to call. */
  apply(changes: readonly RowChange[], lsn: number): void {
    for (const change of changes) this.#take(change[0], change[1], lsn)
  }

  /** Forgets what the projection shows: every entry written at `lsn` or before. */
  forget(lsn: number): void {
    for (const [key, entry] of this.#entries) {
      if (entry.lsn > lsn) break
      this.#entries.delete(key)
      this.#bytes -= entry.bytes
    }
    this.#trim()
  }

  /** The entries within `range`, in its order. Sees one moment when it is used up within one turn. */
  *range(range: RowRange): IterableIterator<readonly [key: string, entry: OverlayEntry]> {
    this.#sort()
    const keys = this.#sorted
    const from = range.gte ?? range.gt
    const to = range.lte ?? range.lt
    const first = from === undefined ? 0 : lowerBound(keys, from, range.gte === undefined)
    const end = to === undefined ? keys.length : lowerBound(keys, to, range.lte !== undefined)
    const step = range.reverse ? -1 : 1
    for (let at = range.reverse ? end - 1 : first; at >= first && at < end; at += step) {
      const key = keys[at] as string
      const entry = this.#entries.get(key)
      if (entry) yield [key, entry]
    }
  }

  #take(key: string, row: Row | undefined, lsn: number): void {
    const before = this.#entries.get(key)
    if (before) {
      this.#bytes -= before.bytes
      this.#entries.delete(key)
    } else this.#unsorted.push(key)
    const bytes = costOf(key, row)
    this.#entries.set(key, { row, lsn, bytes })
    this.#bytes += bytes
  }

  /** Lets go of sorted keys when most of them are gone. */
  #trim(): void {
    if (this.#sorted.length + this.#unsorted.length > 2 * this.#entries.size + 1_024) {
      this.#sorted = []
      this.#unsorted = [...this.#entries.keys()]
    }
  }

  #sort(): void {
    if (this.#unsorted.length === 0) return
    const fresh = this.#unsorted.sort(compareKeys)
    const merged: string[] = []
    let at = 0
    for (const key of this.#sorted) {
      for (; at < fresh.length && compareKeys(fresh[at] as string, key) < 0; at++)
        push(merged, fresh[at] as string)
      push(merged, key)
    }
    for (; at < fresh.length; at++) push(merged, fresh[at] as string)
    this.#sorted = merged
    this.#unsorted = []
  }
}

/** A key that was forgotten and written again stands among the sorted and the new ones. */
const push = (keys: string[], key: string): void => {
  if (keys[keys.length - 1] !== key) keys.push(key)
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
