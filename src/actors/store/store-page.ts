/**
 * Pages over several shards: the rows of the shards here in one walk, and the pages of several
 * members as one. It is apart from `store-reader.ts` because another member is answered here too.
 */
import { compareKeys, isStoredValue, type Row, valueTags } from '../../storage/index.ts'
import { foundFor, overOwners } from '../core/at-owner.ts'
import { mergedRows } from '../core/read-view.ts'
import { type ShardClient, sentBytesMax } from '../core/shard-client.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import { freshened, freshView, type Watermark, watermarkOf } from './freshness.ts'
import { KeyPlacement } from './key-placement.ts'
import { cursorAt, type Page } from './page-cursor.ts'
import { type RangeOptions, type RangeQuery, rangeQuery } from './range-query.ts'
import { listedValue, receivedValue, type SentValue, sentValue } from './value-reading.ts'

type Shards = readonly WritingShard[]

/**
 * A key with its value: a `Compound` for a compound key, a `LargeValue` for more than 1 MiB in blobs,
 * `undefined` with `values: false`.
 */
export type StoreEntry = readonly [key: string, value: unknown]

/**
 * A page of a range. `positions`: the view of each shard, and its distance from the last applied
 * frame.
 */
export type RangePage = Page<StoreEntry> & { readonly positions: readonly Watermark[] }

/** The rows of a query in these shards, in order, and how far their views are. @throws as `freshView` */
export const rowsOf = (
  shards: Shards,
  { range, freshness }: Pick<RangeQuery, 'range' | 'freshness'>,
): {
  readonly rows: IterableIterator<readonly [key: string, row: Row]>
  readonly positions: () => readonly Watermark[]
} => {
  const sources = shards.map((shard) => ({ shard, view: freshView(shard, freshness, '`page`') }))
  const walks = sources.map(({ shard, view }) => view.range(range, shard.now()))
  return {
    rows: mergedRows(walks, range.reverse === true),
    positions: () => sources.map(({ shard }) => watermarkOf(shard, freshness)),
  }
}

/**
 * A page of some shards. It may have fewer entries than its limit. `end`: the last key that it looked at,
 * where that may not be the key of its last entry.
 */
export type KeyedPage<Entry> = Omit<Page<Entry>, 'cursor'> &
  Pick<RangePage, 'positions'> & { readonly end?: string }

/**
 * One page of pages that answer the same query for different shards. It ends with the last key that any
 * of those looked at that are not exhausted: the next keys may follow it. `joined` makes one entry of
 * neighbours with one key. Without it each key is in one shard.
 */
export const mergedPages = <Entry extends readonly [key: string, ...rest: unknown[]]>(
  pages: readonly KeyedPage<Entry>[],
  { range, limit, fingerprint }: Pick<RangeQuery, 'range' | 'limit' | 'fingerprint'>,
  joined: (entries: readonly Entry[]) => readonly Entry[] = (entries) => entries,
): Page<Entry> & Pick<RangePage, 'positions'> => {
  const sign = range.reverse ? -1 : 1
  const order = (one: string, other: string): number => sign * compareKeys(one, other)
  const ends = pages.flatMap(({ entries, exhausted, end }) =>
    exhausted ? [] : [end ?? entries.at(-1)?.[0] ?? ''],
  )
  const all = pages.flatMap((page) => page.entries)
  const known = all.filter(([key]) => ends.every((end) => order(key, end) <= 0))
  const isSorted = pages.length === 1
  const found = isSorted ? all : joined(known.sort(([one], [other]) => order(one, other)))
  const entries = found.slice(0, limit)
  const isCut = entries.length < found.length
  const exhausted = ends.length === 0 && !isCut
  const end = isCut ? entries.at(-1)?.[0] : ends.sort(order)[0]
  return {
    entries,
    cursor: exhausted ? undefined : cursorAt(fingerprint(), end ?? ''),
    exhausted,
    positions: pages
      .flatMap((page) => page.positions)
      .sort((one, other) => one.shard - other.shard),
  }
}

/**
 * The pages of these shards, whichever members have them. Each owner is asked once for all of its shards,
 * and the next one for a shard that leaves in between. `here` lists the shards that are here; `load`
 * loads the value that a key has then.
 * @throws KeelsonError as `here`; `TIMEOUT` until `freshness` is reached; as `overOwners`
 */
export const pagesOverAll = (
  shards: Shards,
  query: RangeQuery,
  here: (shards: Shards) => KeyedPage<StoreEntry>,
  load: (key: string) => Promise<unknown>,
): Promise<readonly KeyedPage<StoreEntry>[]> => {
  const { range, limit, values, freshness } = query
  return overOwners<WritingShard, KeyedPage<StoreEntry>, SentPage>(
    shards,
    async (near) => {
      await allFreshened(near, query)
      return here(near)
    },
    'store.page',
    [{ ...range, limit, values, freshness }],
    ({ entries, ...page }) => ({
      ...page,
      entries: entries.map(([key, sent]) => [key, sent && receivedValue(sent, () => load(key))]),
    }),
  )
}

/** Answers the other members from now on with the pages of the shards here. */
export const answerPages = (way: ShardClient, all: Shards): void => {
  const keys = new KeyPlacement(all)
  way.answer('store.page', (payload) => {
    const [indexes, options] = payload as readonly [unknown, RangeOptions]
    const query = rangeQuery(options)
    return foundFor(all, indexes, async (shards) => {
      await allFreshened(shards, query)
      return sentPage(keys, shards, query)
    })
  })
}

const allFreshened = async (shards: Shards, { freshness }: RangeQuery): Promise<void> => {
  await Promise.all(shards.map((shard) => freshened(shard, freshness)))
}

/** A page as a message has it. An entry is without a value if none is asked for. */
type SentPage = KeyedPage<readonly [key: string, value?: SentValue]>

/** As many entries as a message has room for; one at least. */
const sentPage = (keys: KeyPlacement, shards: Shards, query: RangeQuery): SentPage => {
  const { rows, positions } = rowsOf(shards, query)
  const entries: (readonly [key: string, value?: SentValue])[] = []
  let bytes = 0
  for (const [key, row] of rows) {
    if (entries.length === query.limit || bytes > sentBytesMax / 2)
      return { entries, exhausted: false, positions: positions() }
    const value = query.values ? sentRow(keys.of(key), key, row) : undefined
    bytes += key.length + (value && 'bytes' in value ? value.bytes.length : 0)
    entries.push(value ? [key, value] : [key])
  }
  return { entries, exhausted: true, positions: positions() }
}

/** @throws KeelsonError `CORRUPT`, with the key */
const sentRow = (shard: WritingShard, key: string, row: Row): SentValue => {
  const { value } = row
  // The memory of a row of the projection is used again after the walk.
  if (isStoredValue(value) && value.tag !== valueTags.blob)
    return { tag: value.tag, bytes: Buffer.from(value.bytes) }
  return sentValue(listedValue(shard, key, row, () => Promise.resolve()))
}
