/**
 * Layers of rows that commands read and change. The changes of a unit lie over the rows before it,
 * the frames of one transaction over the projection, and the overlay over the projection. Each
 * layer implements `Rows` for the layer above. A row expires at its time, whether or not it was
 * removed already.
 */
import type { Expiry, KeepExpiry } from '../commands/command.ts'
import type { ProjectionStore, Row, RowChange, RowRange } from '../ports/projection-store.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import { compareKeys } from '../values/key.ts'
import { compoundMarkerKey, compoundOf, fieldRows, isLockRow, lockRows } from '../values/row-key.ts'
import { SortedKeys } from '../values/sorted-keys.ts'

/** Whether a row has expired at `now` (ms). From its time of expiry on it is invisible. */
export const isExpired = (row: Row, now: number): boolean =>
  row.expiresAt !== 0 && row.expiresAt <= now

/** `row`, unless it has expired at `now`. */
export const living = (row: Row | undefined, now: number): Row | undefined =>
  row && !isExpired(row, now) ? row : undefined

/** The time `ms` after `time`, at most the greatest safe integer. */
export const momentAfter = (time: number, ms: number): number =>
  Math.min(time + ms, Number.MAX_SAFE_INTEGER)

/**
 * The time of expiry of a row written by a frame stamped `time`; 0 for never. `kept` is the expiry
 * of the previous row.
 */
export const expiresAt = (expiry: Expiry | KeepExpiry, time: number, kept = 0): number => {
  switch (expiry.kind) {
    case 'none':
      return 0
    case 'at':
      return expiry.ms
    case 'after':
      return momentAfter(time, expiry.ms)
    case 'keep':
      return kept
  }
}

/**
 * Whether any row may be a lock or a compound. `false` is certain and saves each put a look-up for
 * a lock, or for fields to remove. `true` may be outdated. All layers over one store share one
 * object.
 */
export type RowHints = { locks: boolean; compounds: boolean }

/** Rows to read. An iteration is a snapshot if it is consumed within one turn. */
export interface Rows {
  readonly hints: RowHints
  /** The row of a row key, expired or not. */
  get(rowKey: string): Row | undefined
  /** Rows in order. */
  range(range: RowRange): IterableIterator<readonly [rowKey: string, row: Row]>
  /** The row keys of a compound's fields, in any order. */
  fields(key: string): Iterable<string>
  /**
   * The bytes of a blob from `from` up to `to`. Only `compareAndSet` needs them, and only if no
   * checksum decides.
   */
  blob(ref: BlobRef, from: number, to: number): Uint8Array
}

/**
 * The target of a unit's changes. It may be the rows that the unit reads: changes are passed on
 * only after the unit was decided.
 */
export interface RowSink {
  /** Sets the row of a key; `undefined` removes it. */
  set(rowKey: string, row: Row | undefined): void
}

/** Updates the hints for a row that is written. */
export const noteRow = (hints: RowHints, rowKey: string): void => {
  if (rowKey.charCodeAt(0) !== 0) return
  if (rowKey === compoundMarkerKey) hints.compounds = true
  else if (isLockRow(rowKey)) hints.locks = true
}

/** Reads the hints of a projection with two look-ups. */
export const hintsOf = (projection: ProjectionStore): RowHints => {
  const locks = projection.range(lockRows)
  const first = locks.next()
  locks.return?.()
  return {
    locks: first.done !== true,
    compounds: projection.get(compoundMarkerKey) !== undefined,
  }
}

/** The keys of the rows of an iteration. */
export function* keysOf(walk: Iterable<readonly [string, unknown]>): IterableIterator<string> {
  for (const [key] of walk) yield key
}

/** Reads the bytes of blobs. */
export type ReadBlob = Rows['blob']

/** The rows of a projection. */
export class ProjectionRows implements Rows {
  readonly hints: RowHints
  readonly blob: ReadBlob
  readonly #projection: ProjectionStore

  constructor(projection: ProjectionStore, blob: ReadBlob) {
    this.#projection = projection
    this.hints = hintsOf(projection)
    this.blob = blob
  }

  get(rowKey: string): Row | undefined {
    return this.#projection.get(rowKey)
  }

  range(range: RowRange): IterableIterator<readonly [string, Row]> {
    return this.#projection.range(range)
  }

  fields(key: string): Iterable<string> {
    return keysOf(this.#projection.range(fieldRows(key)))
  }
}

/** Changes over a layer of rows. Reads see the changes. */
export class ChangedRows implements Rows {
  readonly #below: Rows
  /** The last change of each row; `undefined` for a removed row. */
  readonly changes = new Map<string, Row | undefined>()
  /** The changed field rows of each compound. */
  #fields: Map<string, Set<string>> | undefined
  /** The keys of the changes before the last range, and an iteration over the later ones. */
  #keys: SortedKeys | undefined
  #newKeys: Iterator<string> | undefined

  constructor(below: Rows) {
    this.#below = below
  }

  get hints(): RowHints {
    return this.#below.hints
  }

  get(rowKey: string): Row | undefined {
    const changed = this.changes.get(rowKey)
    return changed || this.changes.has(rowKey) ? changed : this.#below.get(rowKey)
  }

  /** Sets the row of a key; `undefined` removes it. */
  set(rowKey: string, row: Row | undefined): void {
    this.changes.set(rowKey, row)
    noteRow(this.hints, rowKey)
    if (this.hints.compounds) this.#noteField(rowKey)
  }

  #noteField(rowKey: string): void {
    const key = compoundOf(rowKey)
    if (key === undefined) return
    this.#fields ??= new Map()
    const fields = this.#fields.get(key)
    if (fields) fields.add(rowKey)
    else this.#fields.set(key, new Set([rowKey]))
  }

  *fields(key: string): IterableIterator<string> {
    const changed = this.#fields?.get(key)
    for (const rowKey of this.#below.fields(key)) if (!changed?.has(rowKey)) yield rowKey
    for (const rowKey of changed ?? []) if (this.changes.get(rowKey)) yield rowKey
  }

  *range(range: RowRange): IterableIterator<readonly [string, Row]> {
    const changed = this.#changedWithin(range)
    for (const [key, row] of mergedLayers(changed, this.#below.range(range), range))
      if (row) yield [key, row]
  }

  *#changedWithin(range: RowRange): IterableIterator<RowChange> {
    for (const key of this.#sortedKeys().within(range)) yield [key, this.changes.get(key)]
  }

  #sortedKeys(): SortedKeys {
    this.#keys ??= new SortedKeys()
    // A Map gives its keys in the order in which they came. No change leaves.
    this.#newKeys ??= this.changes.keys()
    while (this.#keys.size < this.changes.size) this.#keys.add(this.#newKeys.next().value as string)
    return this.#keys
  }

  blob(ref: BlobRef, from: number, to: number): Uint8Array {
    return this.#below.blob(ref, from, to)
  }
}

/** Whether a key lies within the bounds of a range. */
export const isWithin = (key: string, { gt, gte, lt, lte }: RowRange): boolean =>
  (gt === undefined || compareKeys(key, gt) > 0) &&
  (gte === undefined || compareKeys(key, gte) >= 0) &&
  (lt === undefined || compareKeys(key, lt) < 0) &&
  (lte === undefined || compareKeys(key, lte) <= 0)

/**
 * Merges two ordered iterations. If both have a key, the upper one counts, also for a removed row
 * (`undefined`). Ending it ends both.
 */
export function* mergedLayers(
  upper: Iterator<RowChange>,
  lower: Iterator<RowChange>,
  { reverse }: RowRange,
): IterableIterator<RowChange> {
  const sign = reverse ? -1 : 1
  try {
    let above = upper.next()
    let below = lower.next()
    while (!above.done || !below.done) {
      const order = above.done
        ? 1
        : below.done
          ? -1
          : sign * compareKeys(above.value[0], below.value[0])
      const entry = order <= 0 && !above.done ? above.value : below.value
      if (order <= 0) above = upper.next()
      if (order >= 0) below = lower.next()
      if (entry) yield entry
    }
  } finally {
    upper.return?.()
    lower.return?.()
  }
}
