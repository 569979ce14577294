/**
 * Keys that are put in order by those who read ranges, not by those who add: adding one costs a
 * push. Pure.
 */
import type { RowRange } from '../ports/projection-store.ts'
import { compareKeys } from './key.ts'

/** Keys in the order of their UTF-8 bytes. None of them leaves. */
export class SortedKeys {
  readonly #sorted: string[] = []
  #added: string[] = []

  /** The number of keys. */
  get size(): number {
    return this.#sorted.length + this.#added.length
  }

  /** Adds a key that was not added before. */
  add(key: string): void {
    this.#added.push(key)
  }

  /** All keys, in any order. */
  *all(): IterableIterator<string> {
    yield* this.#sorted
    yield* this.#added
  }

  /**
   * The keys within `range`, in its order. The first step puts the keys added so far in order. That
   * takes n (log n + log m) comparisons for n new keys among m, and moves the later ones. End the
   * iteration before the next range, if keys are added in between.
   */
  *within(range: RowRange): IterableIterator<string> {
    const keys = this.#inOrder()
    const from = range.gte ?? range.gt
    const to = range.lte ?? range.lt
    const first = from === undefined ? 0 : lowerBound(keys, from, range.gte === undefined)
    const end = to === undefined ? keys.length : lowerBound(keys, to, range.lte !== undefined)
    const step = range.reverse ? -1 : 1
    for (let at = range.reverse ? end - 1 : first; at >= first && at < end; at += step)
      yield keys[at] as string
  }

  #inOrder(): readonly string[] {
    if (this.#added.length > 0) {
      insert(this.#sorted, this.#added.sort(compareKeys))
      this.#added = []
    }
    return this.#sorted
  }
}

/** Inserts ordered keys into ordered keys. No key is in both. */
const insert = (keys: string[], added: readonly string[]): void => {
  let end = keys.length
  for (const key of added) keys.push(key)
  // From the last one down, so that each key is moved once, and none before the first new one.
  for (let left = added.length; left > 0; left--) {
    const key = added[left - 1] as string
    const at = lowerBound(keys, key, false, end)
    for (let from = end - 1; from >= at; from--) keys[from + left] = keys[from] as string
    keys[at + left - 1] = key
    end = at
  }
}

/**
 * The first index below `end` with a key at or after `bound`; with `after`, strictly after it. `end`
 * without one.
 */
const lowerBound = (
  keys: readonly string[],
  bound: string,
  after: boolean,
  end = keys.length,
): number => {
  let low = 0
  let high = end
  while (low < high) {
    const middle = (low + high) >>> 1
    const order = compareKeys(keys[middle] as string, bound)
    if (order < 0 || (after && order === 0)) low = middle + 1
    else high = middle
  }
  return low
}
