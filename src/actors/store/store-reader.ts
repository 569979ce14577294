/**
 * The reads of the store, over all shards. Reads are synchronous: overlay first, then the
 * projection. So a caller sees its own acknowledged writes and those of all others. A shard that
 * cannot show its whole state refuses reads. They are apart from `store.ts`, which has the writes.
 */

import type { Readable } from 'node:stream'
import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { System } from '../../runtime/index.ts'
import { decodeValue, living, type Row, valueTags } from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import { checkedField, checkedKey, ownOptions } from '../core/argument-check.ts'
import { askedAtOwner, wayToRead } from '../core/at-owner.ts'
import type { ReadView } from '../core/read-view.ts'
import type { Position } from '../core/shard-core.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import {
  checkFreshness,
  type Freshness,
  freshView,
  leastOf,
  positionsIn,
  type ReadOptions,
} from './freshness.ts'
import type { KeyPlacement } from './key-placement.ts'
import { pageFrom } from './page-cursor.ts'
import {
  type EntriesOptions,
  entriesQuery,
  type RangeOptions,
  type RangeQuery,
  rangeQuery,
} from './range-query.ts'
import { checkedOffset, keysOf } from './store-commands.ts'
import { mergedPages, pagesOverAll, type RangePage, rowsOf, type StoreEntry } from './store-page.ts'
import {
  Compound,
  decodedValue,
  LargeValue,
  listedValue,
  naming,
  rangeOf,
} from './value-reading.ts'
import { loadKey, streamOut } from './value-streams.ts'

/** The reads of one key that `read` makes. */
export type KeyRead = SentRead | 'getStream'

/** A read that another member answers with one message. */
type SentRead = 'get' | 'has' | 'ttl' | 'getRange' | 'fields' | 'getField'

/** The reads of one key from every member. */
const readForms = '`load` or `read`'

/** The options of `loadStale`. `atLeast`: what a write gave, so that its effect is seen. */
export type StaleOptions = { readonly atLeast?: Position | readonly Position[] }

/** A value, and the position in the log of its shard up to which it is known. */
export type StaleValue<T> = { readonly value: T | undefined; readonly position: Position }

/** The arguments of such a read after the key. */
type AfterKey<Given> = Given extends [key: string, ...rest: infer Rest] ? Rest : never

const keyReads: readonly SentRead[] = ['get', 'has', 'ttl', 'getRange', 'fields', 'getField']

/** Whether a read is answered with one message. */
export const isKeyRead = (what: unknown): what is SentRead => keyReads.includes(what as SentRead)

/** The bytes of a value that are wanted. */
type Extent = { readonly from?: number; readonly to?: number }

/** @throws KeelsonError `INVALID_ARGUMENT` */
const extentOf = (options: Extent): readonly [from: number, to: number] => {
  const { from = 0, to = Number.POSITIVE_INFINITY } = ownOptions(options, ['from', 'to'])
  const end = to === Number.POSITIVE_INFINITY ? to : checkedOffset(to, 'to')
  return [checkedOffset(from, 'from'), end]
}

/** Reads the keys and values of one instance. */
export class StoreReader {
  readonly #system: System
  readonly #keys: KeyPlacement
  readonly #access: Access

  /** @internal */
  constructor(system: System, keys: KeyPlacement, access: Access) {
    this.#system = system
    this.#keys = keys
    this.#access = access
  }

  /**
   * The key's value, `undefined` without one. `T` is the caller's word: nothing checks it.
   * @throws KeelsonError `INVALID_ARGUMENT`; `WRONG_TYPE` for a compound key; `TOO_LARGE` for a
   * value of more than 1 MiB in blobs; `CORRUPT` for damaged data; `SHARD_DOWN` with
   * `details.state`; `BUSY` until `freshness` is reached; `CLOSED`
   */
  get<T = unknown>(key: string, options?: ReadOptions): T | undefined {
    const shard = this.#shardOf(key)
    const view = options === undefined ? shard.ownersView(readForms) : viewWith(shard, options)
    // Reading a row for a moment saves its copy, which costs more than the search.
    return namingKey(key, () => {
      const row = view.peek(key, shard)
      return row && (decodedValue(shard, row.value) as T)
    })
  }

  /** Whether the key has a value. @throws as `get` does */
  has(key: string): boolean {
    const shard = this.#shardOf(key)
    return this.#row(shard, key, shard.now()) !== undefined
  }

  /**
   * Milliseconds until the value expires: `Infinity` without expiry, `undefined` without a value.
   * @throws as `get` does
   */
  ttl(key: string): number | undefined {
    const shard = this.#shardOf(key)
    const now = shard.now()
    const row = this.#row(shard, key, now)
    if (!row) return undefined
    return row.expiresAt === 0 ? Number.POSITIVE_INFINITY : row.expiresAt - now
  }

  /**
   * The values of several keys, in their order; `undefined` where a key has none. @throws as `get`
   * does, for any of them
   */
  getMany<T = unknown>(keys: Iterable<string>): (T | undefined)[] {
    return keysOf(keys).map((key) => this.get<T>(key))
  }

  /**
   * Bytes of a text or bytes value from `from` up to `to` (half open, clamped); empty for an absent
   * key.
   * @throws as `get` does; `TOO_LARGE` beyond 1 MiB; `WRONG_TYPE` for a structured value and a
   * compound key
   */
  getRange(key: string, from: number, to: number): Buffer {
    const shard = this.#shardOf(key)
    const first = checkedOffset(from, 'from')
    const end = to === Number.POSITIVE_INFINITY ? to : checkedOffset(to, 'to')
    const row = this.#row(shard, key, shard.now())
    try {
      return row ? rangeOf(shard, row.value, first, Math.max(first, end)) : Buffer.alloc(0)
    } catch (error) {
      throw naming(error, { key })
    }
  }

  /**
   * The whole value whatever its size, verified, without blocking; `undefined` without one.
   * @throws KeelsonError as `get` does; `TOO_LARGE` when a string or a Buffer cannot hold it
   */
  async load<T = unknown>(key: string): Promise<T | undefined> {
    const shard = this.#shardOf(key)
    const way = wayToRead(shard)
    if (way) {
      const stored = await way.load(shard.index, key)
      return stored && (decodeValue(stored) as T)
    }
    const row = this.#row(shard, key, shard.now())
    return row && ((await loadKey(this.#system, shard, key, row.value)) as T)
  }

  /**
   * The value of a key as a copy of its shard has it, and the position of that copy: the value is
   * that of all frames up to there. At a member of an engine with `copies` it comes from the copy
   * here, also while owner and engine are away. It comes from the owner if this member has the
   * shard or no copy of it, and for a value in blobs, which may be newer than the position.
   * @throws KeelsonError `INVALID_ARGUMENT`; `WRONG_TYPE` for a compound key; `CORRUPT` for damaged
   * data; `TIMEOUT` if the copy has not come to `atLeast` within the deadline of the instance;
   * `SHARD_DOWN` without copy and owner; `CLOSED`
   */
  async loadStale<T = unknown>(
    key: string,
    options: StaleOptions = noOptions,
  ): Promise<StaleValue<T>> {
    const { atLeast } = ownOptions(options, ['atLeast'])
    const least = atLeast === undefined ? undefined : positionsIn(atLeast)
    if (atLeast !== undefined && !least)
      throw invalidArgument('atLeast', 'a position, or several', atLeast)
    const freshness = least ? { atLeast: least } : 'applied'
    const shard = this.#shardOf(key)
    const copied = await this.#copied(shard, key, freshness)
    const found = copied ?? (await this.#owned(shard, key, freshness))
    return { value: found.value as T | undefined, position: { shard: shard.index, lsn: found.lsn } }
  }

  /** `undefined` without a copy, and for a value that the copy does not have whole. */
  async #copied(
    shard: WritingShard,
    key: string,
    freshness: Freshness,
  ): Promise<ValueAt | undefined> {
    const copies = wayToRead(shard)?.copies
    if (!copies) return undefined
    const { deadlineMs } = shard.parts.settings
    const least = leastOf(shard, freshness)
    const found = await copies.read(shard.index, key, least, deadlineMs)
    const value = living(found?.row, shard.now())?.value
    if (!found || value?.tag === valueTags.blob) return undefined
    return { value: value && namingKey(key, () => decodeValue(value)), lsn: found.lsn }
  }

  async #owned(shard: WritingShard, key: string, freshness: Freshness): Promise<ValueAt> {
    const [page] = await this.#pages(
      [shard],
      rangeQuery({ gte: key, lte: key, limit: 1, freshness }),
    )
    const listed = page?.entries[0]?.[1]
    if (listed instanceof Compound) throw naming(isCompound(), { key })
    const value = listed instanceof LargeValue ? await listed.load() : listed
    return { value, lsn: page?.positions.find((each) => each.shard === shard.index)?.lsn ?? 0 }
  }

  /**
   * A read of one key as a promise, at the member that has its shard: `read('ttl', key)` is
   * `ttl(key)` there, and `read('getField', key, field)` is `getField(key, field)`. A stream of
   * `read('getStream', key)` ends with `SHARD_DOWN` when the shard or its member goes.
   * @throws KeelsonError as that read; `SHARD_DOWN` while no member has the shard
   */
  async read<R extends KeyRead>(
    what: R,
    key: string,
    ...rest: AfterKey<Parameters<StoreReader[R]>>
  ): Promise<ReturnType<StoreReader[R]>> {
    if (what === 'getStream')
      return (await this.#streamed(key, rest[0] as Extent)) as ReturnType<StoreReader[R]>
    if (!isKeyRead(what)) throw invalidArgument('what', `${keyReads.join(', ')}, getStream`, what)
    const shard = this.#shardOf(key)
    const { deadlineMs } = shard.parts.settings
    const { found } = await askedAtOwner(
      shard,
      'store.read',
      [what, key, ...rest],
      deadlineMs,
      () => Promise.resolve({ found: (this[what] as AnyRead).call(this, key, ...rest) }),
    )
    return found as ReturnType<StoreReader[R]>
  }

  /**
   * The bytes of a text or bytes value as a stream in constant memory; optionally from `from` up to
   * `to` (clamped). Later writes do not change it. `undefined` without a value. Damage ends it with
   * `CORRUPT`.
   * @throws KeelsonError as `get` does; `WRONG_TYPE` for a structured value and a compound key
   */
  getStream(key: string, options: Extent = noOptions): Readable | undefined {
    const [first, end] = extentOf(options)
    const shard = this.#shardOf(key)
    const row = this.#row(shard, key, shard.now())
    return row && streamOut(this.#system, shard, row.value, first, end)
  }

  async #streamed(key: string, options: Extent = noOptions): Promise<Readable | undefined> {
    const [from, to] = extentOf(options)
    const shard = this.#shardOf(key)
    const way = wayToRead(shard)
    if (!way) return this.getStream(key, { from, to })
    return way.streamOut(shard.index, key, from, to)
  }

  /**
   * The fields of a compound key in the order of their UTF-8 bytes; empty for an absent key.
   * @throws as `get` does, with `details.field` for the value of a field; `WRONG_TYPE` for a plain
   * value
   */
  fields<T = unknown>(key: string): Map<string, T> {
    const shard = this.#shardOf(key)
    const view = shard.ownersView(readForms)
    const rows = namingKey(key, () => [...view.fields(key, shard.now())])
    return new Map(
      rows.map(([field, { value }]) => [field, fieldValue(shard, key, field, value) as T] as const),
    )
  }

  /** The value of a field, `undefined` without one. @throws as `fields` does */
  getField<T = unknown>(key: string, field: string): T | undefined {
    const shard = this.#shardOf(key)
    const checked = checkedField(field)
    const view = shard.ownersView(readForms)
    const row = namingKey(key, () => view.field(key, checked, shard.now()))
    return row && (fieldValue(shard, key, checked, row.value) as T)
  }

  /**
   * One page of the keys in the order of their UTF-8 bytes, over all shards; with a whole hash tag
   * in `prefix`, of its shard.
   * @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR`, `CORRUPT`, `SHARD_DOWN` (for any of
   * these), `BUSY` until `freshness` is reached, `CLOSED`
   */
  range(options: RangeOptions = noOptions): RangePage {
    this.#access.check()
    const query = rangeQuery(options)
    return this.#page(this.#keys.under(query.prefix), query)
  }

  /**
   * `range` as a promise. It has the keys of shards at other members too, and waits until `freshness`
   * is reached. A page may have fewer entries than `limit`.
   * @throws KeelsonError as `range` does; `TIMEOUT`
   */
  async page(options: RangeOptions = noOptions): Promise<RangePage> {
    this.#access.check()
    const query = rangeQuery(options)
    return mergedPages(await this.#pages(this.#keys.under(query.prefix), query), query)
  }

  /**
   * All entries of a range, page by page, yielding to the event loop between pages. `limit` is the
   * size of a page. With `load`, large values are loaded one by one and come whole: the present
   * ones, and none of a key that was removed since its page. It waits until `freshness` is reached.
   * @throws as `range` and `load` do; `TIMEOUT`
   */
  async *entries(options: EntriesOptions = noOptions): AsyncIterableIterator<StoreEntry> {
    const { load, range } = entriesQuery(options)
    let { cursor } = range
    for (let first = true; first || cursor !== undefined; first = false) {
      if (!first) await new Promise<void>((resolve) => this.#system.clock.soon(resolve))
      const page = await this.page({ ...range, ...(cursor === undefined ? {} : { cursor }) })
      for (const [key, listed] of page.entries) {
        const isLoaded = load && listed instanceof LargeValue
        const value = isLoaded ? await this.#loaded(key, listed) : listed
        if (!isLoaded || value !== undefined) yield [key, value]
      }
      cursor = page.cursor
    }
  }

  /** The present value as a list has it: since its page the key may have become a compound. */
  async #loaded(key: string, listed: LargeValue): Promise<unknown> {
    try {
      return await listed.load()
    } catch (error) {
      if (!isKeelsonError(error, 'WRONG_TYPE')) throw error
    }
    const { entries } = await this.page({ prefix: key, lte: key, limit: 1 })
    const present = entries[0]?.[1]
    return present instanceof LargeValue ? this.#loaded(key, present) : present
  }

  /**
   * The shard that has the key, as positions and `app.control` number them. After a `clear` in a
   * watch it shows which keys are gone.
   * @throws KeelsonError `INVALID_ARGUMENT`, `CLOSED`
   */
  shardOf(key: string): number {
    return this.#shardOf(key).index
  }

  /** @internal The shards that there may be later. */
  get shardsPlan(): number {
    return this.#keys.plan
  }

  #shardOf(key: string): WritingShard {
    this.#access.check()
    return this.#keys.of(checkedKey(key))
  }

  #row(shard: WritingShard, key: string, now: number): Row | undefined {
    const view = shard.ownersView(readForms)
    return namingKey(key, () => view.get(key, now))
  }

  #pages(shards: readonly WritingShard[], query: RangeQuery) {
    const load = (key: string): Promise<unknown> => this.load(key)
    return pagesOverAll(shards, query, (here) => this.#page(here, query), load)
  }

  #page(shards: readonly WritingShard[], query: RangeQuery): RangePage {
    const { rows, positions } = rowsOf(shards, query)
    const load = (key: string): Promise<unknown> => this.load(key)
    const page = pageFrom(
      rows,
      query,
      (key, row): StoreEntry => [
        key,
        query.values ? listedValue(this.#keys.of(key), key, row, load) : undefined,
      ],
    )
    return { ...page, positions: positions() }
  }
}

/** A value, and the frame up to which the state is known that it is of. */
type ValueAt = { readonly value: unknown; readonly lsn: number }

const isCompound = (): KeelsonError =>
  new KeelsonError('WRONG_TYPE', 'the key is a compound: it has fields and no value')

type AnyRead = (key: string, ...rest: readonly unknown[]) => unknown

const namingKey = <T>(key: string, read: () => T): T => {
  try {
    return read()
  } catch (error) {
    throw naming(error, { key })
  }
}

/** @throws KeelsonError as `decodedValue`, with key and field */
const fieldValue = (
  shard: WritingShard,
  key: string,
  field: string,
  value: Row['value'],
): unknown => {
  try {
    return decodedValue(shard, value)
  } catch (error) {
    throw naming(error, { key, field })
  }
}

const viewWith = (shard: WritingShard, options: ReadOptions): ReadView => {
  const { freshness } = ownOptions(options, ['freshness'])
  return freshView(shard, checkFreshness(freshness), readForms)
}
