/**
 * The current rows of a shard: the overlay over the projection. Commands are applied to them, reads
 * see them.
 */
import {
  fieldRows,
  hintsOf,
  isDueRow,
  isLockRow,
  isRemovalRow,
  keysOf,
  lockRows,
  mergedLayers,
  type ProjectionStore,
  parseDue,
  type ReadBlob,
  type Row,
  type RowHints,
  type RowRange,
  type RowSink,
  type Rows,
  removalAt,
} from '../../storage/index.ts'
import type { Overlay } from './overlay.ts'

/** The overlay over the projection, as one set of rows. */
export class ShardRows implements Rows, RowSink {
  readonly hints: RowHints
  readonly blob: ReadBlob
  readonly #overlay: Overlay
  readonly #projection: ProjectionStore
  #soonest = Number.POSITIVE_INFINITY
  #soonestDue = Number.POSITIVE_INFINITY
  #soonestRemoval = Number.POSITIVE_INFINITY
  /** The number of locks. At zero, puts skip the look-up of a lock. */
  #locks: number

  constructor(overlay: Overlay, projection: ProjectionStore, blob: ReadBlob) {
    this.#overlay = overlay
    this.#projection = projection
    this.blob = blob
    this.hints = hintsOf(projection)
    this.#locks = countOf(projection.range(lockRows))
  }

  get(rowKey: string): Row | undefined {
    const row = this.#overlay.get(rowKey)
    return row === undefined ? this.#projection.get(rowKey) : (row ?? undefined)
  }

  *range(range: RowRange): IterableIterator<readonly [rowKey: string, row: Row]> {
    const layers = [this.#overlay.range(range), this.#projection.range(range)] as const
    for (const [key, row] of mergedLayers(...layers, range)) if (row) yield [key, row]
  }

  fields(key: string): Iterable<string> {
    return keysOf(this.range(fieldRows(key)))
  }

  /** Rows set from now on are of frame `lsn`. */
  begin(lsn: number): void {
    this.#overlay.begin(lsn)
    // A refused unit may have noted a lock without taking it.
    this.hints.locks = this.#locks > 0
  }

  set(rowKey: string, row: Row | undefined): void {
    const at = row ? removalAt(row) : 0
    if (at !== 0) this.#soonest = Math.min(this.#soonest, at)
    // Only keys of internal rows begin with a NUL.
    if (rowKey.charCodeAt(0) === 0) this.#noteInternal(rowKey, row)
    this.#overlay.set(rowKey, row)
  }

  #noteInternal(rowKey: string, row: Row | undefined): void {
    if (isLockRow(rowKey)) this.#countLock(rowKey, row)
    else if (row && isRemovalRow(rowKey)) this.#soonestRemoval = 0
    else if (row && isDueRow(rowKey))
      this.#soonestDue = Math.min(this.#soonestDue, parseDue(rowKey).dueMs)
  }

  #countLock(rowKey: string, row: Row | undefined): void {
    this.#locks += Number(!!row) - Number(!!this.get(rowKey))
    this.hints.locks = this.#locks > 0
  }

  /** The soonest removal of the rows applied since the last call; `Infinity` without one. */
  takeSoonest(): number {
    const soonest = this.#soonest
    this.#soonest = Number.POSITIVE_INFINITY
    return soonest
  }

  /** The soonest alarm of the rows applied since the last call; `Infinity` without one. */
  takeSoonestDue(): number {
    const soonest = this.#soonestDue
    this.#soonestDue = Number.POSITIVE_INFINITY
    return soonest
  }

  /** 0 if a birth of an entity has ended since the last call; else `Infinity`. */
  takeSoonestRemoval(): number {
    const soonest = this.#soonestRemoval
    this.#soonestRemoval = Number.POSITIVE_INFINITY
    return soonest
  }
}

const countOf = (walk: Iterable<unknown>): number => {
  let count = 0
  for (const _ of walk) count++
  return count
}
