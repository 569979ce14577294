/**
 * The overlay: committed rows that the projection does not show yet, the newest of each key. Rows
 * are kept in generations. A generation is forgotten as a whole once the projection shows all of
 * it. A projected row stays for about as many frames as the projection lags.
 *
 * There are at most two maps of rows, however many generations there are: a read waits for memory
 * in each map. Usually each of two generations has a map, and forgetting its rows costs nothing.
 * While the projection lags, the younger generations share one; their rows leave it one by one.
 */
import {
  mergedLayers,
  type Row,
  type RowChange,
  type RowRange,
  type RowTag,
  removalAt,
  SortedKeys,
} from '../../storage/index.ts'

// One generation of the overlay: the keys that consecutive frames wrote last. A generation is
// forgotten as a whole. A key leaves earlier when a younger generation writes it. While the
// projection lags, several generations keep their rows in one map, so that a read asks one.
//
// Keys are sorted by reads of ranges, not by writes.

/** The approximate size of a row without its key and value bytes: map slot, row, value. */
const rowBytes = 160

/**
 * The newest row of a key. It is one object, because a read of many rows waits for memory at each
 * object that it passes.
 */
export class HeldRow {
  /** The generation that wrote it. */
  generation: OverlayGeneration
  #tag: RowTag = 0
  #bytes: Uint8Array | undefined
  #expiresAt = 0

  constructor(generation: OverlayGeneration) {
    this.generation = generation
  }

  /** The row; `null` if it was removed. */
  get row(): Row | null {
    const bytes = this.#bytes
    return bytes ? { value: { tag: this.#tag, bytes }, expiresAt: this.#expiresAt } : null
  }

  /** Sets the row; `undefined` removes it. */
  set(row: Row | undefined): void {
    this.#tag = row ? row.value.tag : 0
    this.#bytes = row?.value.bytes
    this.#expiresAt = row ? row.expiresAt : 0
  }

  /** The bytes of its value. */
  get length(): number {
    return this.#bytes?.length ?? 0
  }
}

/** Rows by their keys. */
export type HeldRows = Map<string, HeldRow>

/** One generation of the overlay. */
export class OverlayGeneration {
  /** The rows of this generation, and of others while the projection lags. */
  readonly rows: HeldRows
  /** The last frame that may have rows in this generation. */
  lsn = 0
  /** Every key that it wrote. Some may have left. */
  readonly #keys = new SortedKeys()
  /** The keys that have not left, once the generation is forgotten. */
  #leaving: Iterator<string> | undefined
  #size = 0
  #bytes = 0
  #soonest = Number.POSITIVE_INFINITY

  constructor(rows: HeldRows) {
    this.rows = rows
  }

  /** The soonest moment at which a row has something to remove, in ms since 1970; `Infinity` for never. */
  get soonest(): number {
    return this.#soonest
  }

  /** The approximate size in bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** The number of keys, removed ones included. */
  get size(): number {
    return this.#size
  }

  /** Sets the row of a key; `undefined` removes it. The key leaves the generation that had it. */
  set(key: string, row: Row | undefined): void {
    let held = this.rows.get(key)
    if (held === undefined) {
      held = new HeldRow(this)
      this.rows.set(key, held)
      this.#keys.add(key)
    } else {
      held.generation.#lose(key, held)
      if (held.generation !== this) this.#keys.add(key)
      held.generation = this
    }
    held.set(row)
    this.#size++
    this.#bytes += rowBytes + key.length * 2 + held.length
    const at = row ? removalAt(row) : 0
    if (at !== 0 && at < this.#soonest) this.#soonest = at
  }

  #lose(key: string, held: HeldRow): void {
    this.#size--
    this.#bytes -= rowBytes + key.length * 2 + held.length
  }

  /**
   * Removes up to `count` of the rows that it shares. Returns false when all have left. Nothing is
   * added after the first call.
   */
  leave(count: number): boolean {
    this.#leaving ??= this.#keys.all()
    for (let step = 0; step < count; step++) {
      const { value: key, done } = this.#leaving.next()
      if (done) return false
      if (this.rows.get(key)?.generation === this) this.rows.delete(key)
    }
    return true
  }

  /**
   * The rows within `range`, in its order. It is a snapshot only if it is consumed within one turn.
   */
  *range(range: RowRange): IterableIterator<RowChange> {
    for (const key of this.#keys.within(range)) {
      const held = this.rows.get(key)
      if (held?.generation === this) yield [key, held.row ?? undefined]
    }
  }
}

/** The bytes or keys from which on the overlay is full. */
export type OverlayLimits = { readonly bytes: number; readonly keys: number }

/** The number of generations of a full overlay. One of them must be projected to make room. */
const shares = 8

/**
 * The forgotten rows that leave a map for each row that is set. All of them at once would be a
 * pause; with fewer than one, the rows in memory would grow.
 */
const leavingPerRow = 2

/** The overlay of one shard. */
export class Overlay {
  readonly #limits: OverlayLimits
  /** The generation for new rows. */
  #youngest = new OverlayGeneration(new Map())
  /** The generations before it, youngest first. Usually one. */
  #older: readonly OverlayGeneration[] = []
  /** The map of the oldest generation, unless that is the map of the youngest. */
  #apart: HeldRows | undefined
  /**
   * Forgotten generations whose rows are still in the map of the youngest. A read may find them:
   * they are as the projection shows them, or a younger generation has written them.
   */
  #leaving: OverlayGeneration[] = []

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

  /** As of a generation. */
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
    const held = this.#youngest.rows.get(key) ?? this.#apart?.get(key)
    return held?.row
  }

  /** Rows set from now on are of frame `lsn`. LSNs never decrease from call to call. */
  begin(lsn: number): void {
    const { bytes, size } = this.#youngest
    if (shares * bytes >= this.#limits.bytes || shares * size >= this.#limits.keys) {
      this.#older = [this.#youngest, ...this.#older]
      this.#youngest = new OverlayGeneration(this.#youngest.rows)
    }
    this.#youngest.lsn = lsn
  }

  /** Sets the row of a key; `undefined` removes it. */
  set(key: string, row: Row | undefined): void {
    this.#youngest.set(key, row)
    if (this.#leaving[0]?.leave(leavingPerRow) === false) this.#leaving.shift()
  }

  /**
   * Forgets every generation whose frames are all at or before `lsn`, which the projection shows.
   */
  forget(lsn: number): void {
    const kept = this.#older.filter((older) => older.lsn > lsn)
    if (kept.length > 0) this.#keep(kept)
    else this.#begin(this.#youngest.lsn > lsn ? [this.#youngest] : [])
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

  /** Begins a generation with its own map. Rows that are not in `older` go at once. */
  #begin(older: readonly OverlayGeneration[]): void {
    this.#apart = older[0]?.rows
    this.#older = older
    this.#youngest = new OverlayGeneration(new Map())
    this.#leaving = []
  }

  /** Lets go of the generations before those in `kept`. */
  #keep(kept: readonly OverlayGeneration[]): void {
    const { rows } = this.#youngest
    for (const older of this.#older.slice(kept.length)) {
      if (older.rows === rows) this.#leaving.push(older)
      else this.#apart = undefined
    }
    this.#older = kept
  }
}
