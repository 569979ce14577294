/**
 * The rows that a durable actor keeps itself, beside its state. A turn changes them in its own
 * layer. The layers of turns that are not durable yet lie over one another, so a later turn sees
 * the rows of an earlier one before the shard shows them. A refused turn takes its layer away,
 * because what the actor knows is then what it knew before.
 */

import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { System } from '../../runtime/index.ts'
import {
  compareKeys,
  isWithin,
  mergedLayers,
  ownKeyOf,
  ownRowKey,
  ownRows,
  type Row,
  type RowChange,
  type RowRange,
  type StoredValue,
} from '../../storage/index.ts'
import { checkedKey } from '../core/argument-check.ts'
import type { KeyRow, ReadView } from '../core/read-view.ts'
import { type Page, pageFrom } from '../store/page-cursor.ts'
import { type RangeOptions, rangeOptions, rangeQuery } from '../store/range-query.ts'
import type { StoreEntry } from '../store/store-page.ts'
import {
  checkLength,
  decodedValue,
  futureLength,
  LargeValue,
  listedValue,
  naming,
} from '../store/value-reading.ts'
import { loadKey } from '../store/value-streams.ts'
import type { ActorShard } from './actor-shard.ts'

/** The options of a page of own rows: as of a range of the store. */
export type RowsOptions = Omit<RangeOptions, 'freshness'>

/** A page of own rows. `cursor` continues after it (absent when `exhausted`). */
export type RowsPage = Page<StoreEntry>

/** Looks at the rows that a durable actor keeps itself. Keys and values are as those of the store. */
export interface ReadRows {
  /**
   * The value of a row; `undefined` without one. `T` is the caller's word: nothing checks it.
   * @throws KeelsonError `INVALID_ARGUMENT`, `CORRUPT`, `SHARD_DOWN`; `TOO_LARGE` for more than
   * 1 MiB in blobs
   */
  get<T = unknown>(key: string): T | undefined
  /** As `get`, of any length, without blocking. */
  load<T = unknown>(key: string): Promise<T | undefined>
  /**
   * One page in the order of the keys' bytes, as `store.range` gives it.
   * @throws KeelsonError as `get`; `BAD_CURSOR`
   */
  range(options?: RowsOptions): RowsPage
}

/**
 * The rows that a durable actor keeps itself. The changes of a turn become durable with it, or never
 * happen. A turn sees its own changes, and those of all turns before it.
 */
export interface DurableRows extends ReadRows {
  /** Sets a row. @throws KeelsonError `INVALID_ARGUMENT` */
  put(key: string, value: unknown): void
  /** Removes a row. Returns false if there is none. @throws KeelsonError as `get` */
  delete(key: string): boolean
}

/** The changes of one turn, on top of the changes of earlier turns that are not durable yet. */
export class OwnLayer {
  /** Most turns only read, and make none. */
  #changes: Map<string, StoredValue | undefined> | undefined
  #below: OwnLayer | undefined
  #isOut = false

  constructor(below: OwnLayer | undefined) {
    this.#below = below && !below.#isOut ? below : undefined
  }

  /** Its changes: of each key the last one. */
  get changes(): ReadonlyMap<string, StoredValue | undefined> {
    return this.#changes ?? new Map()
  }

  set(key: string, value: StoredValue | undefined): void {
    this.#changes ??= new Map()
    this.#changes.set(key, value)
  }

  /** The newest change of a row; `null`: it is removed, `undefined`: no layer changes it. */
  find(key: string): StoredValue | null | undefined {
    for (let layer: OwnLayer | undefined = this; layer; layer = layer.#below)
      if (layer.#changes?.has(key)) return layer.#changes.get(key) ?? null
    return undefined
  }

  /** The newest changes of the rows within a range of keys, in its order. */
  within(range: RowRange): readonly RowChange[] {
    const found = new Map<string, Row | undefined>()
    for (let layer: OwnLayer | undefined = this; layer; layer = layer.#below)
      for (const [key, value] of layer.#changes ?? [])
        if (!found.has(key) && isWithin(key, range)) found.set(key, value && rowOf(value))
    const sign = range.reverse ? -1 : 1
    return [...found].sort(([left], [right]) => sign * compareKeys(left, right))
  }

  /** The turn is durable, and those before it: the shard shows their rows. */
  leave(): void {
    this.#isOut = true
    this.#changes = undefined
    this.#below = undefined
  }
}

/** The error of a damaged row with its actor and, for people, its key and its place. */
const damageNamed = (entity: string, error: unknown): unknown => {
  if (!isKeelsonError(error, 'CORRUPT')) return error
  const { file, offset, key } = error.details
  const place = file === undefined ? '' : ` (${file} at ${offset})`
  return new KeelsonError('CORRUPT', `${error.message}${place}, of the row ${key}`, {
    details: { ...error.details, entity },
    cause: error.cause,
  })
}

/** Whether the value of a row of this actor itself is damaged: it comes back by a repair alone. */
export const isDamageOf = (entity: string, error: unknown): boolean =>
  isKeelsonError(error, 'CORRUPT') && error.details.entity === entity

const rowOf = (value: StoredValue): Row => ({ value, expiresAt: 0 })

/** Where own rows are read. */
export type OwnSource = {
  readonly entity: string
  /** The birth of the rows; `undefined`: the actor has never had one. */
  readonly birth: string | undefined
  readonly layer: OwnLayer | undefined
  /** @throws KeelsonError `SHARD_DOWN`, `CLOSED` */
  view(): ReadView
}

/** Reads own rows, each time from the present source. */
export class OwnRowsReader implements ReadRows {
  readonly #system: System
  readonly #shard: ActorShard
  readonly #source: () => OwnSource

  constructor(system: System, shard: ActorShard, source: () => OwnSource) {
    this.#system = system
    this.#shard = shard
    this.#source = source
  }

  get<T = unknown>(key: string): T | undefined {
    const found = this.find(checkedKey(key))
    try {
      if (found === undefined) return undefined
      checkLength(futureLength(this.#shard, found) ?? 0)
      return decodedValue(this.#shard, found) as T
    } catch (error) {
      throw this.#named(naming(error, { key }))
    }
  }

  async load<T = unknown>(key: string): Promise<T | undefined> {
    const found = this.find(checkedKey(key))
    return found && ((await this.#loaded(key, found)) as T)
  }

  #loaded(key: string, value: StoredValue): Promise<unknown> {
    return loadKey(this.#system, this.#shard, key, value).catch((error) => {
      throw this.#named(error)
    })
  }

  #named(error: unknown): unknown {
    return damageNamed(this.#source().entity, error)
  }

  range(options: RowsOptions = noOptions): RowsPage {
    const own = rangeOptions(options)
    if (own.freshness !== undefined)
      throw invalidArgument('freshness', 'not given: the rows are the present ones', 'an option')
    const query = rangeQuery(own)
    return pageFrom(
      this.#rowsIn(query.range),
      query,
      (key, row): StoreEntry => [key, query.values ? this.#listed(key, row) : undefined],
    )
  }

  /** A value that is not in blobs yet is listed as it will be then. */
  #listed(key: string, row: Row): unknown {
    const value = row.value as StoredValue
    const load = (): Promise<unknown> => this.#loaded(key, value)
    const length = futureLength(this.#shard, value)
    if (length !== undefined) return new LargeValue(length, load)
    try {
      return listedValue(this.#shard, key, row, load)
    } catch (error) {
      throw this.#named(error)
    }
  }

  /** The stored value of a row. @throws KeelsonError as `get` */
  find(key: string): StoredValue | undefined {
    const source = this.#source()
    const changed = source.layer?.find(key)
    if (changed !== undefined) return changed ?? undefined
    const { entity, birth } = source
    if (birth === undefined) return undefined
    const row = source.view().row(ownRowKey(entity, birth, key))
    return row?.value as StoredValue | undefined
  }

  *#rowsIn(range: RowRange): IterableIterator<KeyRow> {
    const source = this.#source()
    const { layer } = source
    const changed = layer === undefined ? [] : layer.within(range)
    const merged = mergedLayers(changed.values(), shown(source, range), range)
    for (const [key, row] of merged) if (row) yield [key, row]
  }
}

/** The rows that the shard shows, by the keys that the actor gave them. */
function* shown(source: OwnSource, range: RowRange): IterableIterator<KeyRow> {
  const { entity, birth } = source
  if (birth === undefined) return
  for (const [rowKey, row] of source.view().rows(rowKeysOf(entity, birth, range)))
    yield [ownKeyOf(rowKey), row]
}

/** The row keys of a range of keys. */
const rowKeysOf = (
  entity: string,
  birth: string,
  { gt, gte, lt, lte, ...direction }: RowRange,
): RowRange => {
  const all = ownRows(entity, birth)
  const at = (key: string): string => ownRowKey(entity, birth, key)
  const lower = gte === undefined ? { gt: gt === undefined ? all.gt : at(gt) } : { gte: at(gte) }
  const upper =
    lte !== undefined
      ? { lte: at(lte) }
      : lt !== undefined
        ? { lt: at(lt) }
        : { lt: all.lt as string }
  return { ...lower, ...upper, ...direction }
}
