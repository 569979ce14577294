/**
 * `keelson/level`: an `abstract-level` database over the store of an instance. Code that was written
 * for Level (levelup, sublevels, their indexes) then has durable writes: each put, del and batch
 * resolves after its fsync.
 */
import {
  type AbstractDatabaseOptions,
  AbstractIterator,
  type AbstractIteratorOptions,
  AbstractKeyIterator,
  type AbstractKeyIteratorOptions,
  AbstractLevel,
  AbstractValueIterator,
  type AbstractValueIteratorOptions,
} from 'abstract-level'
import type { Store } from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import { asBuffer, type LevelFormat, LevelPlace } from './level-place.ts'
import { type LevelRange, LevelWalk, type WalkedEntry } from './level-walk.ts'

/** The options of a database: those of `abstract-level`. */
export type KeelsonLevelOptions<K, V> = AbstractDatabaseOptions<K, V>

/**
 * The encodings that Level asks for: each key and value as text (`utf8`) or as bytes (`buffer`).
 */
type Wanted = { readonly keyEncoding?: string; readonly valueEncoding?: string }
/** The options of an iterator as Level hands them over: checked, its bounds encoded. */
type Shape = LevelRange & { readonly keys?: boolean; readonly values?: boolean } & Wanted
type Operation =
  | { readonly type: 'put'; readonly key: LevelFormat; readonly value: LevelFormat }
  | { readonly type: 'del'; readonly key: LevelFormat }

/** The features of the database, in the words of `level-supports`. */
const manifest = {
  encodings: { buffer: true, utf8: true },
  // Without the word, abstract-level takes it for granted.
  implicitSnapshots: false,
  has: true,
  getSync: true,
  seek: true,
  permanence: true,
}

/** The keys that one step of `clear` removes. */
const clearedAtOnce = 1000
/** The entries that `next` of an iterator reads at once. */
const readAhead = 64

/**
 * A database of the keys that begin with `{name}:` in a store. Names: letters, digits, `_`, `-` and
 * `.`. Databases of different names do not see each other's keys.
 *
 * - `put`, `del` and `batch` resolve when the change is synced and visible. A batch is atomic.
 * - A key has at most 1,024 bytes with its prefix; bytes above 0x7f count twice.
 * - Iterators read page by page and have no snapshot: they see later changes. `clear` with a range
 *   removes page by page.
 * - Values are stored as text or bytes, as their encoding gives them, and are readable in the store.
 *   `getSync` refuses a value of more than 1 MiB in blobs with `TOO_LARGE`.
 * - Closing the database leaves the instance open. Calls reject with a `KeelsonError`, as those of
 *   the store do, for example with `CLOSED` after the instance has ended.
 *
 * Source of the contract: `abstract-level` 3, whose own test suite runs on it.
 * @throws KeelsonError `INVALID_ARGUMENT` for a wrong name
 */
export class KeelsonLevel<K = string, V = string> extends AbstractLevel<LevelFormat, K, V> {
  readonly #store: Store
  readonly #place: LevelPlace

  constructor(store: Store, name: string, options?: KeelsonLevelOptions<K, V>) {
    super(manifest, options)
    this.#store = store
    this.#place = new LevelPlace(name)
  }

  /** @internal */
  async _put(key: LevelFormat, value: LevelFormat): Promise<void> {
    await this.#store.put(this.#place.keyOf(key), value)
  }

  /** @internal */
  async _get(key: LevelFormat, { valueEncoding }: Wanted): Promise<LevelFormat | undefined> {
    return formatted(await this.#store.load(this.#place.keyOf(key)), valueEncoding)
  }

  /** @internal */
  _getSync(key: LevelFormat, { valueEncoding }: Wanted): LevelFormat | undefined {
    return formatted(this.#store.get(this.#place.keyOf(key)), valueEncoding)
  }

  /** @internal */
  _getMany(
    keys: readonly LevelFormat[],
    options: Wanted,
  ): Promise<readonly (LevelFormat | undefined)[]> {
    return Promise.all(keys.map((key) => this._get(key, options)))
  }

  /** @internal */
  async _has(key: LevelFormat): Promise<boolean> {
    return this.#store.has(this.#place.keyOf(key))
  }

  /** @internal */
  async _hasMany(keys: readonly LevelFormat[]): Promise<readonly boolean[]> {
    return keys.map((key) => this.#store.has(this.#place.keyOf(key)))
  }

  /** @internal */
  async _del(key: LevelFormat): Promise<void> {
    await this.#store.delete(this.#place.keyOf(key))
  }

  /** @internal */
  async _batch(operations: readonly Operation[]): Promise<void> {
    const batch = this.#store.batch()
    for (const operation of operations) {
      const key = this.#place.keyOf(operation.key)
      if (operation.type === 'put') batch.put(key, operation.value)
      else batch.delete(key)
    }
    await batch.commit()
  }

  /** @internal */
  async _clear(options: LevelRange & { readonly limit: number }): Promise<void> {
    const walk = new LevelWalk(this.#store, this.#place, options, false)
    let left = options.limit < 0 ? Number.POSITIVE_INFINITY : options.limit
    while (left > 0) {
      const entries = await walk.next(Math.min(left, clearedAtOnce))
      if (entries.length === 0) return
      await this.#store.deleteMany(entries.map(([key]) => key))
      left -= entries.length
    }
  }

  /** @internal */
  _iterator(options: AbstractIteratorOptions<K, V> & Shape): AbstractIterator<this, K, V> {
    const { keys = true, values = true, valueEncoding } = options
    return driven(
      new AbstractIterator<this, K, V>(this, options),
      this.#walk(options, values),
      ([key, value]) => [
        keys ? this.#keyIn(key, options) : undefined,
        values ? formatted(value, valueEncoding) : undefined,
      ],
    )
  }

  /** @internal */
  _keys(options: AbstractKeyIteratorOptions<K> & Shape): AbstractKeyIterator<this, K> {
    return driven(
      new AbstractKeyIterator<this, K>(this, options),
      this.#walk(options, false),
      ([key]) => this.#keyIn(key, options),
    )
  }

  /** @internal */
  _values(options: AbstractValueIteratorOptions<K, V> & Shape): AbstractValueIterator<this, K, V> {
    return driven(
      new AbstractValueIterator<this, K, V>(this, options),
      this.#walk(options, true),
      ([, value]) => formatted(value, options.valueEncoding),
    )
  }

  #walk(range: LevelRange, values: boolean): LevelWalk {
    return new LevelWalk(this.#store, this.#place, range, values)
  }

  #keyIn(key: string, { keyEncoding }: Shape): LevelFormat {
    const bytes = this.#place.levelKeyOf(key)
    return keyEncoding === 'utf8' ? bytes.toString() : bytes
  }
}

/** An iterator of Level that takes its items from a walk. */
const driven = <I extends object>(
  iterator: I,
  walk: LevelWalk,
  itemOf: (entry: WalkedEntry) => unknown,
): I => {
  let ahead: WalkedEntry[] = []
  return Object.assign(iterator, {
    async _next() {
      if (ahead.length === 0) ahead = [...(await walk.next(readAhead))].reverse()
      const entry = ahead.pop()
      return entry && itemOf(entry)
    },
    async _nextv(size: number) {
      const read = ahead.splice(-size).reverse()
      return (read.length > 0 ? read : await walk.next(size)).map(itemOf)
    },
    _seek(target: LevelFormat) {
      ahead = []
      walk.seek(target)
    },
  })
}

/**
 * A stored value in the format that Level asks for.
 * @throws KeelsonError `WRONG_TYPE` for a value that was not written through Level
 */
const formatted = (value: unknown, format: unknown): LevelFormat | undefined => {
  if (value === undefined) return undefined
  if (typeof value === 'string') return format === 'utf8' ? value : Buffer.from(value)
  if (!(value instanceof Uint8Array))
    throw new KeelsonError('WRONG_TYPE', 'a Level database reads text and bytes only')
  const bytes = asBuffer(value)
  return format === 'utf8' ? bytes.toString() : bytes
}
