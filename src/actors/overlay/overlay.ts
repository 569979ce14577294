/**
 * What is committed and not yet in the projection, in memory: the newest row of each key. It stands in generations, each of which is
 * forgotten as a whole once the projection shows all of it: so nothing is paid to forget a row, and
 * what the projection shows already stays for about as many frames as it is behind, no longer.
 */
import { mergedLayers, type Row, type RowChange, type RowRange } from '../../storage/index.ts'
import { OverlayGeneration } from './overlay-generation.ts'

/** From so many bytes held, or keys, the overlay is full. */
export type OverlayLimits = { readonly bytes: number; readonly keys: number }

/** So many generations fill an overlay: the share that has to be projected before a full one has room again. */
const shares = 8

/** The overlay of one shard. */
export class Overlay {
  readonly #limits: OverlayLimits
  /** What is written goes into this one. */
  #youngest = new OverlayGeneration()
  /** Those before it, the younger ones first. Mostly one. */
  #older: readonly OverlayGeneration[] = []

  constructor(limits: OverlayLimits) {
    this.#limits = limits
  }

  /** Bytes held, about. */
  get bytes(): number {
    return this.#older.reduce((sum, { bytes }) => sum + bytes, this.#youngest.bytes)
  }

  /** Keys held, removed ones included; one that stands in two generations counts twice, as it takes twice the room. */
  get size(): number {
    return this.#older.reduce((sum, { size }) => sum + size, this.#youngest.size)
  }

  /** Before this, in ms since 1970, nothing held here has ended; `Infinity` when nothing ends. */
  get soonest(): number {
    return this.#older.reduce(
      (least, { soonest }) => Math.min(least, soonest),
      this.#youngest.soonest,
    )
  }

  /** Whether writers have to wait until something is forgotten. */
  get isFull(): boolean {
    return this.bytes >= this.#limits.bytes || this.size >= this.#limits.keys
  }

  /** The key's row, `null` where it was removed; `undefined` when the projection has to answer. */
  get(key: string): Row | null | undefined {
    const row = this.#youngest.get(key)
    if (row !== undefined) return row
    for (const older of this.#older) {
      const below = older.get(key)
      if (below !== undefined) return below
    }
    return undefined
  }

  /** What is set from now on is of frame `lsn`. LSNs never go down from call to call. */
  begin(lsn: number): void {
    const { bytes, size } = this.#youngest
    if (shares * bytes >= this.#limits.bytes || shares * size >= this.#limits.keys) this.#age()
    this.#youngest.lsn = lsn
  }

  /** Takes a row, or that there is none any more. */
  set(key: string, row: Row | undefined): void {
    if (this.#youngest.set(key, row ?? null) || this.#older.length < 2) return
    // It is about to fill: keys that are written again and again do not take room in each generation.
    for (const older of this.#older) older.drop(key)
  }

  /** The projection shows every frame up to `lsn`: what is only of those goes, as far as it stands together. */
  forget(lsn: number): void {
    this.#older = this.#older.filter((generation) => generation.lsn > lsn)
    if (this.#youngest.lsn <= lsn) this.#youngest = new OverlayGeneration()
    else if (this.#older.length === 0) this.#age()
  }

  /** The rows within `range`, in its order, `undefined` where one was removed. Sees one moment when it is used up within one turn. */
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
