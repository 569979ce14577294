/**
 * Pages over several shards: the rows of the shards here in one walk, and the pages of several
 * members as one. It is apart from `store-reader.ts` because another member is answered with it too.
 */
import { compareKeys, type Row } from '../../storage/index.ts'
import { mergedRows } from '../core/read-view.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import { freshView, type Watermark, watermarkOf } from './freshness.ts'
import { cursorAt, type Page } from './page-cursor.ts'
import type { RangeQuery } from './range-query.ts'

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
  shards: readonly WritingShard[],
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

/** A page of some shards. It may have fewer entries than its limit. */
export type KeyedPage<Entry> = Omit<Page<Entry>, 'cursor'> & Pick<RangePage, 'positions'>

/**
 * One page of pages that answer the same query for different shards. It ends with the last key of
 * each that is not exhausted: the next keys may follow it. `joined` makes one entry of
 * neighbours with one key. Without it each key is in one shard.
 */
export const mergedPages = <Entry extends readonly [key: string, ...rest: unknown[]]>(
  pages: readonly KeyedPage<Entry>[],
  { range, limit, fingerprint }: Pick<RangeQuery, 'range' | 'limit' | 'fingerprint'>,
  joined: (entries: readonly Entry[]) => readonly Entry[] = (entries) => entries,
): Page<Entry> & Pick<RangePage, 'positions'> => {
  const sign = range.reverse ? -1 : 1
  const order = (one: string, other: string): number => sign * compareKeys(one, other)
  const ends = pages.flatMap(({ entries, exhausted }) =>
    exhausted ? [] : [entries.at(-1)?.[0] ?? ''],
  )
  const all = pages.flatMap((page) => page.entries)
  const known = all.filter(([key]) => ends.every((end) => order(key, end) <= 0))
  const found = joined(known.sort(([one], [other]) => order(one, other)))
  const entries = found.slice(0, limit)
  const exhausted = ends.length === 0 && entries.length === found.length
  return {
    entries,
    cursor: exhausted ? undefined : cursorAt(fingerprint(), entries.at(-1)?.[0] ?? ''),
    exhausted,
    positions: pages
      .flatMap((page) => page.positions)
      .sort((one, other) => one.shard - other.shard),
  }
}
