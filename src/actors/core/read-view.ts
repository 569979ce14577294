/**
 * The read view of a shard: the overlay over the projection, without expired keys, and with the
 * head of a compound in place of its field rows. An incarnation of the applier publishes the view
 * when it is complete; the view is withdrawn when that incarnation dies. Nothing else answers
 * reads.
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
  mergedLayers,
  type ProjectionStore,
  type Row,
  type RowChange,
  type RowRange,
  rowTags,
} from '../../storage/index.ts'

/** A key with its row. */
export type KeyRow = readonly [key: string, row: Row]

/** The rows over those of the projection: committed, and not projected yet. */
export type RowLayer = {
  /** The soonest moment at which a row has something to remove, in ms since 1970; or `Infinity`. */
  readonly soonest: number
  /** The key's row; `null` if it was removed, `undefined` if the projection has the answer. */
  get(key: string): Row | null | undefined
  /** The rows within `range`, in its order; removed rows are `undefined`. */
  range(range: RowRange): IterableIterator<RowChange>
}

const nothing: RowLayer = {
  soonest: Number.POSITIVE_INFINITY,
  get: () => undefined,
  range: () => [].values(),
}

/** The field rows that a range skips one by one before it seeks past the compound. */
const stepsMax = 8

/** The readable state of one shard. */
export class ReadView {
  readonly #overlay: RowLayer
  readonly #projection: ProjectionStore
  #projected: ReadView | undefined

  constructor(overlay: RowLayer, projection: ProjectionStore) {
    this.#overlay = overlay
    this.#projection = projection
  }

  /** The same rows without the overlay: what the projection shows alone. */
  get projected(): ReadView {
    this.#projected ??= new ReadView(nothing, this.#projection)
    return this.#projected
  }

  /** The layers, for callers that need every row, internal rows included. */
  get layers(): { readonly overlay: RowLayer; readonly projection: ProjectionStore } {
    return { overlay: this.#overlay, projection: this.#projection }
  }

  /** The key's row, expired or not; `undefined` when it has none. @throws KeelsonError `CORRUPT` */
  row(key: string): Row | undefined {
    const row = this.#overlay.get(key)
    return row === undefined ? this.#projection.get(key) : (row ?? undefined)
  }

  /**
   * As `get`, for a caller that decodes the value at once: the next read of the view may overwrite
   * its bytes. It asks for the time only if the row expires. @throws KeelsonError `CORRUPT`
   */
  peek(key: string, time: { now(): number }): Row | undefined {
    const row = this.#overlay.get(key)
    const found = row === undefined ? this.#projection.peek(key) : (row ?? undefined)
    return found === undefined || found.expiresAt === 0 ? found : living(found, time.now())
  }

  /**
   * The key's row at `now`; the head of a compound, whose tag says so. @throws KeelsonError
   * `CORRUPT`
   */
  get(key: string, now: number): Row | undefined {
    return living(this.row(key), now)
  }

  /**
   * Whether the key is a compound at `now`. @throws KeelsonError `CORRUPT`; `WRONG_TYPE` for a
   * plain value
   */
  #hasFields(key: string, now: number): boolean {
    const head = this.get(key, now)
    if (head && head.value.tag !== rowTags.compound)
      throw new KeelsonError('WRONG_TYPE', 'The key has a value and no fields.', {
        details: { key },
      })
    return head !== undefined
  }

  /**
   * The row of a field at `now`, or `undefined`. @throws KeelsonError `CORRUPT`; `WRONG_TYPE` for a
   * plain value
   */
  field(key: string, field: string, now: number): Row | undefined {
    return this.#hasFields(key, now) ? this.row(fieldRowKey(key, field)) : undefined
  }

  /**
   * The fields of a compound in order; none if the key is absent. Consume or end it within one
   * turn.
   * @throws KeelsonError `CORRUPT`; `WRONG_TYPE` for a plain value
   */
  *fields(key: string, now: number): IterableIterator<readonly [field: string, row: Row]> {
    if (!this.#hasFields(key, now)) return
    for (const [rowKey, row] of this.rows(fieldRows(key))) yield [fieldOf(rowKey), row]
  }

  /**
   * Every row of a range, internal rows included, expired or not. Consume or end it within one
   * turn. @throws KeelsonError `CORRUPT`
   */
  *rows(range: RowRange): IterableIterator<KeyRow> {
    for (const [key, row] of newestRows(this.#overlay, this.#projection, range))
      if (row) yield [key, row]
  }

  /**
   * Live rows in order, a compound as its head. Consume or end it within one turn. @throws
   * KeelsonError `CORRUPT`
   */
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

/** The range, clamped to users' keys. */
const userKeys = (range: RowRange): RowRange => {
  if (range.gt || range.gte) return range
  const { gt: _, ...bounds } = range
  return { ...bounds, gte: firstUserKey }
}

/** The rest of a range after the fields of `compound`. In reverse the head is still part of it. */
const passing = ({ gt, gte, lt, lte, reverse }: RowRange, compound: string): RowRange => {
  if (reverse) {
    const lower = gt !== undefined ? { gt } : gte !== undefined ? { gte } : {}
    return { ...lower, lte: compound, reverse }
  }
  const upper = lt !== undefined ? { lt } : lte !== undefined ? { lte } : {}
  return { ...upper, gte: `${compound}\x01` }
}

/** The newest rows of a range; removed rows are `undefined`. Consume or end it within one turn. */
export const newestRows = (
  overlay: RowLayer,
  projection: ProjectionStore,
  range: RowRange,
): IterableIterator<RowChange> => mergedLayers(overlay.range(range), projection.range(range), range)

/**
 * Merges the rows of several shards in order; those of one key in the order of the shards. Ending it
 * ends all inputs.
 */
export function* mergedRows<R>(
  walks: readonly IterableIterator<readonly [key: string, row: R]>[],
  reverse: boolean,
): IterableIterator<readonly [key: string, row: R]> {
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
