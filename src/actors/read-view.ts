/**
 * What a shard shows to readers: the overlay over the projection, expired keys left out. A view is published by one
 * incarnation of the applier once it is complete, and taken back when that dies; nothing else may answer a read.
 */
import {
  compareKeys,
  isExpired,
  type ProjectionStore,
  type Row,
  type RowRange,
} from '../storage/index.ts'
import type { Overlay } from './overlay.ts'

/** A key with its row. */
export type KeyRow = readonly [key: string, row: Row]

/** One shard's readable state. */
export class ReadView {
  readonly #overlay: Overlay
  readonly #projection: ProjectionStore

  constructor(overlay: Overlay, projection: ProjectionStore) {
    this.#overlay = overlay
    this.#projection = projection
  }

  /** The key's row, expired or not; `undefined` when it has none. @throws KeelsonError `CORRUPT` */
  row(key: string): Row | undefined {
    const entry = this.#overlay.get(key)
    return entry ? entry.row : this.#projection.get(key)
  }

  /** The key's row at `now`. @throws KeelsonError `CORRUPT` */
  get(key: string, now: number): Row | undefined {
    const row = this.row(key)
    return row && !isExpired(row, now) ? row : undefined
  }

  /** Live rows in order. Use it up, or end it, within one turn. @throws KeelsonError `CORRUPT` at a damaged row */
  *range(range: RowRange, now: number): IterableIterator<KeyRow> {
    const sign = range.reverse ? -1 : 1
    const overlay = this.#overlay.range(range)
    const projection = this.#projection.range(range)
    try {
      let above = overlay.next()
      let below = projection.next()
      while (!above.done || !below.done) {
        const order = above.done
          ? 1
          : below.done
            ? -1
            : sign * compareKeys(above.value[0], below.value[0])
        // The overlay's word counts where both know the key: it is the newer one.
        const [key, row] =
          order <= 0 && !above.done ? [above.value[0], above.value[1].row] : below.value
        if (order <= 0) above = overlay.next()
        if (order >= 0) below = projection.next()
        if (row && !isExpired(row, now)) yield [key, row]
      }
    } finally {
      projection.return?.()
    }
  }
}

/** The rows of several shards as one ordered walk. Each key is in one shard only. Ends all walks when it ends. */
export function* mergedRows(
  walks: readonly IterableIterator<KeyRow>[],
  reverse: boolean,
): IterableIterator<KeyRow> {
  const sign = reverse ? -1 : 1
  const heads = walks.map((walk) => ({ walk, at: walk.next() }))
  try {
    for (;;) {
      let first: (typeof heads)[number] | undefined
      for (const head of heads) {
        if (head.at.done) continue
        if (!first || sign * compareKeys(head.at.value[0], first.at.value[0]) < 0) first = head
      }
      if (!first) return
      yield first.at.value
      first.at = first.walk.next()
    }
  } finally {
    for (const { walk } of heads) walk.return?.()
  }
}
