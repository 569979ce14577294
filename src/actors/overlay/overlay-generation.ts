/**
 * One generation of the overlay: the keys that consecutive frames wrote last. A generation is
 * forgotten as a whole. A key leaves earlier when a younger generation writes it. While the
 * projection lags, several generations keep their rows in one map, so that a read asks one.
 *
 * Keys are sorted by reads of ranges, not by writes.
 */
import {
  type Row,
  type RowChange,
  type RowRange,
  type RowTag,
  SortedKeys,
} from '../../storage/index.ts'

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

  /** The earliest expiry of a row, in ms since 1970; `Infinity` without expiries. */
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
    if (row && row.expiresAt !== 0 && row.expiresAt < this.#soonest) this.#soonest = row.expiresAt
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
