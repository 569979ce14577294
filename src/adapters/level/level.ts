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
import type { RangeOptions, Store } from '../../actors/index.ts'
import { asBuffer } from '../../bytes/utf8.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'

// The place of a Level database in the store: every key of it begins with `{name}:`. The braces are
// a hash tag, so all its keys are in one shard, and a batch of Level is one atomic unit. Level's
// keys are bytes; the store's are text without NUL, ordered by its UTF-8 bytes. The mapping keeps
// the order of the bytes, and leaves text in ASCII as it is: each byte from 0x80 on becomes the
// character with its number, and the bytes 0 and 1 become two characters each. Pure.

/** The two formats in which Level hands over keys and values. */
export type LevelFormat = string | Uint8Array

const mark = '\u0001'
/** Decoding as Latin-1 maps each byte to the character with its number. */
const latin = 'latin1'

/** The keys of one Level database. */
class LevelPlace {
  /** The beginning of each of its keys in the store. */
  readonly prefix: string

  /** @throws KeelsonError `INVALID_ARGUMENT` for a name that cannot be a hash tag */
  constructor(name: string) {
    if (typeof name !== 'string' || !/^[\w.-]{1,64}$/.test(name))
      throw invalidArgument('name', '1 to 64 letters, digits, `_`, `-` or `.`', name)
    this.prefix = `{${name}}:`
  }

  /** The store's key of a key of Level. */
  keyOf(key: LevelFormat): string {
    const bytes = typeof key === 'string' ? Buffer.from(key) : asBuffer(key)
    const text = bytes
      .toString(latin)
      .replaceAll(mark, `${mark}\u0002`)
      .replaceAll('\0', `${mark}${mark}`)
    return this.prefix + text
  }

  /** The key of Level that `keyOf` mapped to `key`, as bytes. */
  levelKeyOf(key: string): Buffer {
    const text = key.slice(this.prefix.length).replaceAll(`${mark}${mark}`, '\0')
    return Buffer.from(text.replaceAll(`${mark}\u0002`, mark), latin)
  }
}

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

/** The most keys that one step of `clear` removes, and their bytes: the smallest unit has them. */
const clearedAtOnce = 1000
const clearedBytes = 32 * 1024
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
  _has(key: LevelFormat): Promise<boolean> {
    return this.#store.read('has', this.#place.keyOf(key))
  }

  /** @internal */
  _hasMany(keys: readonly LevelFormat[]): Promise<readonly boolean[]> {
    return Promise.all(keys.map((key) => this._has(key)))
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
      for (const keys of clearedAlone(entries)) await this.#store.deleteMany(keys)
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

/** The keys of entries, in lists that one unit removes. */
const clearedAlone = (entries: readonly WalkedEntry[]): readonly string[][] => {
  const lists: string[][] = []
  let room = 0
  for (const [key] of entries) {
    const bytes = Buffer.byteLength(key)
    if (bytes > room) {
      lists.push([])
      room = clearedBytes
    }
    room -= bytes
    lists.at(-1)?.push(key)
  }
  return lists
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

// A walk over a Level database: its entries in order, read from the store page by page. Each page
// shows the store at the moment of its reading. Every kind of iterator of Level is one walk.

/** The bounds and the direction of a walk, in Level's keys. */
type LevelRange = {
  readonly gt?: LevelFormat
  readonly gte?: LevelFormat
  readonly lt?: LevelFormat
  readonly lte?: LevelFormat
  readonly reverse?: boolean
}

/** An entry of the store: its whole key, and its value; without one if the walk needs none. */
type WalkedEntry = readonly [key: string, value: unknown]

type Bounds = Pick<RangeOptions, 'gt' | 'gte' | 'lt' | 'lte'>

/** The most entries of a page. */
const pageMax = 1000

/** The rest of a range of one Level database. */
class LevelWalk {
  readonly #store: Store
  readonly #place: LevelPlace
  readonly #values: boolean
  readonly #reverse: boolean
  readonly #range: Bounds
  /** The bounds of what is left; `undefined` at the end. */
  #rest: Bounds | undefined

  constructor(store: Store, place: LevelPlace, range: LevelRange, values: boolean) {
    this.#store = store
    this.#place = place
    this.#values = values
    this.#reverse = range.reverse === true
    this.#range = boundsOf(place, range)
    this.#rest = this.#range
  }

  /** The next entries, at most `size`; none at the end. @throws as the reads of the store */
  async next(size: number): Promise<readonly WalkedEntry[]> {
    if (!this.#rest) return []
    const entries = await this.#page(this.#rest, Math.min(size, pageMax))
    const last = entries.at(-1)?.[0]
    this.#rest = last === undefined ? undefined : this.#from({ gt: last }, { lt: last })
    return entries
  }

  /**
   * Continues at `target`, or at the first key after it. Nothing is left if `target` is outside the
   * range of the walk.
   */
  seek(target: LevelFormat): void {
    const key = this.#place.keyOf(target)
    this.#rest = isWithin(key, this.#range) ? this.#from({ gte: key }, { lte: key }) : undefined
  }

  /** The range from a new beginning to its end: a lower bound, or an upper one in reverse. */
  #from(lower: Bounds, upper: Bounds): Bounds {
    const { gt, gte, lt, lte } = this.#range
    return this.#reverse
      ? { ...upper, ...given('gt', gt), ...given('gte', gte) }
      : { ...lower, ...given('lt', lt), ...given('lte', lte) }
  }

  async #page(bounds: Bounds, limit: number): Promise<readonly WalkedEntry[]> {
    const { prefix } = this.#place
    const page = { ...bounds, prefix, reverse: this.#reverse }
    const values = this.#values
    const found: WalkedEntry[] = []
    for await (const entry of this.#store.entries({ ...page, limit, values, load: values })) {
      found.push(entry)
      if (found.length === limit) break
    }
    return found
  }
}

const given = <K extends string>(
  name: K,
  bound: string | undefined,
): { readonly [name in K]?: string } =>
  (bound === undefined ? {} : { [name]: bound }) as { [name in K]?: string }

/** At most one bound on each side: as in Level, `gte` and `lte` win. */
const boundsOf = (place: LevelPlace, { gt, gte, lt, lte }: LevelRange): Bounds => ({
  ...(gte !== undefined
    ? { gte: place.keyOf(gte) }
    : given('gt', gt === undefined ? undefined : place.keyOf(gt))),
  ...(lte !== undefined
    ? { lte: place.keyOf(lte) }
    : given('lt', lt === undefined ? undefined : place.keyOf(lt))),
})

/** Stored keys of one place compare as texts do: none has a character above U+00FF. */
const isWithin = (key: string, { gt, gte, lt, lte }: Bounds): boolean =>
  !(
    (gt !== undefined && key <= gt) ||
    (gte !== undefined && key < gte) ||
    (lt !== undefined && key >= lt) ||
    (lte !== undefined && key > lte)
  )
