/**
 * The rows that an entity keeps itself, for others: at once where its shard is here, and as a promise
 * from every member. It has both ends of a question about them, which `elsewhere-actors.ts` carries.
 */

import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { decodeValue, encodeValue, type StoredValue } from '../../storage/index.ts'
import { checkedKey } from '../core/argument-check.ts'
import type { ReadView } from '../core/read-view.ts'
import { checkSent, sentBytesMax } from '../core/shard-client.ts'
import { rangeOptions, rangeQuery } from '../store/range-query.ts'
import type { StoreEntry } from '../store/store-page.ts'
import { LargeValue } from '../store/value-reading.ts'
import { OwnRowsReader, type ReadRows, type RowsOptions, type RowsPage } from '../turns/own-rows.ts'
import { birthOf } from '../turns/waking.ts'
import type { Entities } from './entities.ts'

/** Looks at the rows that an entity keeps itself. */
export interface RoutedRows extends ReadRows {
  /**
   * `range` as a promise, also where another member has the shard of the entity. A page may have fewer
   * entries than `limit`; the value of a `LargeValue` from there is the present one when it is loaded.
   * @throws KeelsonError as `range`; as a call to the entity
   */
  page(options?: RowsOptions): Promise<RowsPage>
}

/** Asks the member that has the shard; `undefined`: it is here. */
export type AskOwner = (
  method: 'rowsLoad' | 'rowsPage',
  ...rest: readonly unknown[]
) => Promise<unknown> | undefined

/** The rows of an entity whose shard is here. */
export const rowsHere = (
  entities: Entities,
  entity: string,
  check: () => void = () => undefined,
): ReadRows => {
  const shard = entities.shardOf(entity)
  const view = (): ReadView => shard.ownersView('`load` or `page`')
  return new OwnRowsReader(entities.system, shard, () => {
    check()
    return { entity, birth: birthOf(view(), entity), layer: undefined, view }
  })
}

/** The rows of an entity, wherever its shard is. */
export const rowsAnywhere = (here: ReadRows, ask: AskOwner): RoutedRows => {
  const load = async <T>(key: string): Promise<T | undefined> => {
    const found = ask('rowsLoad', checkedKey(key))
    if (!found) return here.load<T>(key)
    const stored = (await found) as StoredValue | null
    return stored === null ? undefined : (decodeValue(stored) as T)
  }
  return {
    get: (key) => here.get(key),
    range: (options) => here.range(options),
    load,
    page: async (options = noOptions) => {
      const own = rangeOptions(options)
      rangeQuery(own)
      const found = ask('rowsPage', own)
      if (!found) return here.range(own)
      const { entries, cursor, exhausted } = (await found) as SentPage
      return { entries: entries.map((row) => receivedRow(row, load)), cursor, exhausted }
    },
  }
}

/** A row of a page: its value, the length of a large one, or neither. */
type SentRow = readonly [key: string, value?: StoredValue | number]

type SentPage = Omit<RowsPage, 'entries' | 'cursor'> & {
  readonly entries: readonly SentRow[]
  readonly cursor?: string
}

/** Answers another member with a row; null without one. @throws KeelsonError `TOO_LARGE` */
export const sentRowOf = async (rows: ReadRows, key: string): Promise<StoredValue | null> => {
  const value = await rows.load(key)
  if (value === undefined) return null
  const stored = encodeValue(value)
  checkSent(stored.bytes.length)
  return stored
}

/** Answers another member with a page, of as many rows as a message has room for. */
export const sentPageOf = (rows: ReadRows, options: RowsOptions): SentPage => {
  let { limit = 100 } = options
  for (;;) {
    const page = rows.range({ ...options, limit })
    const entries = page.entries.map(([key, value]): SentRow => {
      if (value === undefined) return [key]
      return [key, value instanceof LargeValue ? value.length : encodeValue(value)]
    })
    const bytes = entries.reduce((sum, row) => sum + bytesOf(row), 0)
    if (bytes <= sentBytesMax || entries.length === 1) {
      const { cursor, exhausted } = page
      return { entries, exhausted, ...(cursor !== undefined && { cursor }) }
    }
    limit = Math.ceil(Math.min(limit, entries.length) / 2)
  }
}

const bytesOf = ([key, value]: SentRow): number =>
  key.length + (typeof value === 'object' ? value.bytes.length : 0)

const receivedRow = (
  [key, value]: SentRow,
  load: (key: string) => Promise<unknown>,
): StoreEntry => {
  if (typeof value === 'number') return [key, new LargeValue(value, () => load(key))]
  if (typeof key !== 'string') throw invalidArgument('key', 'a text', key)
  return [key, value && decodeValue(value)]
}
