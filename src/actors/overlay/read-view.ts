/**
 * What a shard shows to readers: the overlay over the projection, expired keys left out, and of a compound its head in
 * place of all its rows. A view is published by one incarnation of the applier once it is complete, and taken back when
 * that dies; nothing else may answer a read.
 */
import { KeelsonError } from '../../errors.ts'
import {
  compareKeys,
  compoundOf,
  fieldOf,
  fieldRowKey,
  fieldRows,
  firstUserKey,
  living,
  type ProjectionStore,
  type Row,
  type RowRange,
  rowTags,
} from '../../storage/index.ts'
import type { Overlay } from './overlay.ts'
import { newestRows } from './shard-rows.ts'

/** A key with its row. */
export type KeyRow = readonly [key: string, row: Row]

/** So many rows of fields are stepped over one by one; from then on the walk begins anew behind them. */
const stepsMax = 8

/** One shard's readable state. */
export class ReadView {
  readonly #overlay: Overlay
  readonly #projection: ProjectionStore

  constructor(overlay: Overlay, projection: ProjectionStore) {
    this.#overlay = overlay
    this.#projection = projection
  }

  /** What it is made of, for whoever has to see every row, the inner ones too. */
  get layers(): { readonly overlay: Overlay; readonly projection: ProjectionStore } {
    return { overlay: this.#overlay, projection: this.#projection }
  }

  /** The key's row, expired or not; `undefined` when it has none. @throws KeelsonError `CORRUPT` */
  row(key: string): Row | undefined {
    const row = this.#overlay.get(key)
    return row === undefined ? this.#projection.get(key) : (row ?? undefined)
  }

  /** The key's row at `now`; the head of a compound, whose tag says so. @throws KeelsonError `CORRUPT` */
  get(key: string, now: number): Row | undefined {
    return living(this.row(key), now)
  }

  /** Whether there is a compound at `now`. @throws KeelsonError `CORRUPT`; `WRONG_TYPE` where there is a value */
  #hasFields(key: string, now: number): boolean {
    const head = this.get(key, now)
    if (head && head.value.tag !== rowTags.compound)
      throw new KeelsonError('WRONG_TYPE', 'The key has a value and no fields.', {
        details: { key },
      })
    return head !== undefined
  }

  /** The row of a field at `now`, `undefined` without one. @throws KeelsonError `CORRUPT`; `WRONG_TYPE` where there is a value */
  field(key: string, field: string, now: number): Row | undefined {
    return this.#hasFields(key, now) ? this.row(fieldRowKey(key, field)) : undefined
  }

  /**
   * The fields of a compound in order, none where nothing is. Use it up, or end it, within one turn.
   * @throws KeelsonError `CORRUPT`; `WRONG_TYPE` where there is a value
   */
  *fields(key: string, now: number): IterableIterator<readonly [field: string, row: Row]> {
    if (!this.#hasFields(key, now)) return
    for (const [rowKey, row] of newestRows(this.#overlay, this.#projection, fieldRows(key)))
      if (row) yield [fieldOf(rowKey), row]
  }

  /** Live rows in order, a compound as its head. Use it up, or end it, within one turn. @throws KeelsonError `CORRUPT` at a damaged row */
  *range(range: RowRange, now: number): IterableIterator<KeyRow> {
    let rest: RowRange | undefined = userKeys(range)
    while (rest) {
      const walk: RowRange = rest
      rest = undefined
      let fields = 0
      for (const [key, row] of newestRows(this.#overlay, this.#projection, walk)) {
        const compound = compoundOf(key)
        if (compound === undefined) {
          fields = 0
          const live = living(row, now)
          if (live) yield [key, live]
        } else if (++fields > stepsMax) {
          rest = passing(walk, compound)
          break
        }
      }
    }
  }
}

/** The range without what stands before users' keys. */
const userKeys = (range: RowRange): RowRange => {
  if (range.gt || range.gte) return range
  const { gt: _, ...bounds } = range
  return { ...bounds, gte: firstUserKey }
}

/** What is left of a range behind the fields of `compound`, in its direction; in reverse the head is still to come. */
const passing = ({ gt, gte, lt, lte, reverse }: RowRange, compound: string): RowRange => {
  if (reverse) {
    const lower = gt !== undefined ? { gt } : gte !== undefined ? { gte } : {}
    return { ...lower, lte: compound, reverse }
  }
  const upper = lt !== undefined ? { lt } : lte !== undefined ? { lte } : {}
  return { ...upper, gte: `${compound}\x01` }
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
