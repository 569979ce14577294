/**
 * The overlay: committed rows that the projection does not show yet, the newest of each key. Rows
 * are kept in generations. A generation is forgotten as a whole once the projection shows all of
 * it, so forgetting a row costs nothing. A projected row stays for about as many frames as the
 * projection lags.
 */
import { mergedLayers, type Row, type RowChange, type RowRange } from '../../storage/index.ts'
import { OverlayGeneration } from './overlay-generation.ts'

/** The bytes or keys from which on the overlay is full. */
export type OverlayLimits = { readonly bytes: number; readonly keys: number }

/** The number of generations of a full overlay. One of them must be projected to make room. */
const shares = 8

/** The overlay of one shard. */
export class Overlay {
  readonly #limits: OverlayLimits
  /** The generation for new rows. */
  #youngest = new OverlayGeneration()
  /** The generations before it, youngest first. Usually one. */
  #older: readonly OverlayGeneration[] = []

  constructor(limits: OverlayLimits) {
    this.#limits = limits
  }

  /** The approximate size in bytes. */
  get bytes(): number {
    return this.#older.reduce((sum, { bytes }) => sum + bytes, this.#youngest.bytes)
  }

  /** The number of keys, removed ones included. A key in two generations counts twice. */
  get size(): number {
    return this.#older.reduce((sum, { size }) => sum + size, this.#youngest.size)
  }

  /** The earliest expiry of a row, in ms since 1970; `Infinity` without expiries. */
  get soonest(): number {
    return this.#older.reduce(
      (least, { soonest }) => Math.min(least, soonest),
      this.#youngest.soonest,
    )
  }

  /** Whether writers must wait until rows are forgotten. */
  get isFull(): boolean {
    return this.bytes >= this.#limits.bytes || this.size >= this.#limits.keys
  }

  /** The key's row; `null` if it was removed, `undefined` if the projection has the answer. */
  get(key: string): Row | null | undefined {
    const row = this.#youngest.get(key)
    if (row !== undefined) return row
    for (const older of this.#older) {
      const below = older.get(key)
      if (below !== undefined) return below
    }
    return undefined
  }

  /** Rows set from now on are of frame `lsn`. LSNs never decrease from call to call. */
  begin(lsn: number): void {
    const { bytes, size } = this.#youngest
    if (shares * bytes >= this.#limits.bytes || shares * size >= this.#limits.keys) this.#age()
    this.#youngest.lsn = lsn
  }

  /** Sets the row of a key; `undefined` removes it. */
  set(key: string, row: Row | undefined): void {
    if (this.#youngest.set(key, row ?? null) || this.#older.length < 2) return
    // Hot keys must not take room in every generation when the overlay is about to fill.
    for (const older of this.#older) older.drop(key)
  }

  /**
   * Forgets every generation whose frames are all at or before `lsn`, which the projection shows.
   */
  forget(lsn: number): void {
    this.#older = this.#older.filter((generation) => generation.lsn > lsn)
    if (this.#youngest.lsn <= lsn) this.#youngest = new OverlayGeneration()
    else if (this.#older.length === 0) this.#age()
  }

  /**
   * The rows within `range`, in its order; removed rows are `undefined`. Consume it within one
   * turn.
   */
  range(range: RowRange): IterableIterator<RowChange> {
    let rows = this.#youngest.range(range)
    for (const older of this.#older) rows = mergedLayers(rows, older.range(range), range)
    return rows
  }

  #age(): void {
    this.#older = [this.#youngest, ...this.#older]
    this.#youngest = new OverlayGeneration()
  }
}
