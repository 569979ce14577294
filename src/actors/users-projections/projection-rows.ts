/**
 * The rows of a projection by users in the shards of this member. The rows of one key in several
 * shards are one value. `projection-view.ts` is the handle, `projection-parts.ts` asks other members.
 */

import type { KeptError } from '../../errors.ts'
import {
  checkProjectedKey,
  decodeValue,
  type ProjectionMark,
  type ProjectionStore,
  projectedPrefix,
  projectionMarkKey,
  projectionMarkOf,
  type Row,
  type RowRange,
  successor,
} from '../../storage/index.ts'
import { mergedRows } from '../core/read-view.ts'
import { type Watermark, watermarkOf } from '../store/freshness.ts'
import { type Page, pageFrom } from '../store/page-cursor.ts'
import type { RangeQuery } from '../store/range-query.ts'
import type { RangePage } from '../store/store-page.ts'
import type { WritingShard } from '../writing/writing-shard.ts'

/**
 * A projection in one shard.
 * - `live`: follows every frame. `building`: no rows are shown yet.
 * - `stopped`: the rows of another version are shown, as of `lsn`.
 * - `halted`: its function threw (`error`); the rows are those of `lsn`, and of `version`.
 */
export type ProjectionStatus = Watermark & {
  readonly state: 'live' | 'building' | 'stopped' | 'halted'
  readonly version: number
  /** The version that is built, and the rows walked so far. */
  readonly building: { readonly version: number; readonly rows: number } | undefined
  readonly error: string | undefined
  /** The record of that failure: the error, its causes, and the stack of the user's code. */
  readonly record?: KeptError | undefined
  /** When it was halted, in ms since 1970. A projection that an earlier version has halted has none. */
  readonly haltedAt?: number
  /** The first and the last LSN whose changes a projection that keeps its rows has not seen. */
  readonly missed: readonly [from: number, to: number] | undefined
}

/** The store, the mark, and the beginning of the shown rows; `undefined` if none are shown. */
export const rowsOf = (
  shard: WritingShard,
  name: string,
  instead?: string,
): {
  readonly store: ProjectionStore
  readonly mark: ProjectionMark
  readonly prefix: string | undefined
} => {
  const store = shard.view(instead).layers.projection
  const rowKey = projectionMarkKey(name)
  const row = store.get(rowKey)
  // Without a position there are no rows: the projection follows from the first frame on.
  const none = store.position() ? 'absent' : 'live'
  const mark: ProjectionMark = row
    ? projectionMarkOf(rowKey, row)
    : { state: none, version: 0, generation: 0, lsn: 0 }
  const prefix = mark.generation > 0 ? projectedPrefix(name, mark.generation) : undefined
  return { store, mark, prefix }
}

const shownBy = (shard: WritingShard, { state, lsn: shown }: ProjectionMark): Watermark => {
  const watermark = watermarkOf(shard, 'projected')
  if (state === 'live') return watermark
  return { ...watermark, lsn: shown, lag: watermark.tip - shown }
}

/** The state of a projection in each of these shards that is open. */
export const projectionStatus = (
  shards: readonly WritingShard[],
  name: string,
): readonly ProjectionStatus[] =>
  shards
    .filter(({ phase }) => phase.kind === 'open')
    .map((shard) => {
      const { mark } = rowsOf(shard, name)
      const { building } = mark
      return {
        ...shownBy(shard, mark),
        state: mark.state === 'absent' ? 'building' : mark.state,
        version: mark.version,
        building: building && { version: building.version, rows: building.rows },
        error: mark.error,
        ...(mark.record && { record: mark.record }),
        ...(mark.haltedAt !== undefined && { haltedAt: mark.haltedAt }),
        missed: mark.missed,
      }
    })

/**
 * The value of a key in some shards. Parts of different shards are joined in any order, and give the
 * value of all.
 */
export type ValuePart = {
  /** The first of its shards that has a row, and the value there. */
  readonly shard: number
  readonly first: unknown
  /** The sum, if all its values are numbers. */
  readonly sum: number | undefined
}

const partOfRow = (shard: number, first: unknown): ValuePart => ({
  shard,
  first,
  sum: typeof first === 'number' ? first : undefined,
})

/** Two parts of one key as one. */
export const joinedParts = (one: ValuePart, other: ValuePart): ValuePart => {
  const { shard, first } = one.shard < other.shard ? one : other
  const isSum = one.sum !== undefined && other.sum !== undefined
  return { shard, first, sum: isSum ? one.sum + other.sum : undefined }
}

/** Over several shards numbers are added; of other values that of the first shard counts. */
export const shownValue = ({ first, sum }: ValuePart): unknown => sum ?? first

/** The value of a key in these shards; `undefined`: none has a row. */
export const partIn = (
  shards: readonly WritingShard[],
  name: string,
  key: string,
): ValuePart | undefined => {
  const checked = checkProjectedKey(key)
  let part: ValuePart | undefined
  for (const shard of shards) {
    const { store, prefix } = rowsOf(shard, name, '`load`')
    const row = prefix === undefined ? undefined : store.get(prefix + checked)
    if (!row) continue
    const found = partOfRow(shard.index, decodeValue(row.value))
    part = part ? joinedParts(part, found) : found
  }
  return part
}

/** A key of a page, with its value in the shards of the page. */
export type KeyedPart = readonly [key: string, part: ValuePart]

/** One page of the rows in these shards. @throws KeelsonError `CORRUPT`, `SHARD_DOWN`, `CLOSED` */
export const partsPageIn = (
  shards: readonly WritingShard[],
  name: string,
  query: RangeQuery,
): Page<KeyedPart> & Pick<RangePage, 'positions'> => {
  const { range, values } = query
  const walks = shards.map((shard) => walk(shard, name, range))
  const rows = mergedRows(walks, range.reverse === true)
  const page = pageFrom(byKey(rows), query, (key, found): KeyedPart => {
    const parts = found.map(([shard, row]) =>
      partOfRow(shard, values ? decodeValue(row.value) : undefined),
    )
    return [key, parts.reduce(joinedParts)]
  })
  const positions = shards.map((shard) => shownBy(shard, rowsOf(shard, name).mark))
  return { ...page, positions }
}

/** A row, with the shard that has it. */
type ShardRow = readonly [shard: number, row: Row]

/** The keys in order, each with the rows that the shards have of it. */
function* byKey(
  rows: Iterable<readonly [key: string, row: ShardRow]>,
): IterableIterator<readonly [key: string, found: readonly ShardRow[]]> {
  let last: [key: string, found: ShardRow[]] | undefined
  for (const [key, row] of rows) {
    if (last?.[0] === key) last[1].push(row)
    else {
      if (last) yield last
      last = [key, [row]]
    }
  }
  if (last) yield last
}

function* walk(
  shard: WritingShard,
  name: string,
  range: RowRange,
): IterableIterator<readonly [key: string, row: ShardRow]> {
  const { store, prefix } = rowsOf(shard, name, '`page`')
  if (prefix === undefined) return
  for (const [rowKey, row] of store.range(below(prefix, range)))
    yield [rowKey.slice(prefix.length), [shard.index, row]]
}

/** A range of the keys after `prefix`, which ends with a digit. */
const below = (prefix: string, { gt, gte, lt, lte, reverse }: RowRange): RowRange => ({
  ...(gt !== undefined ? { gt: prefix + gt } : { gte: prefix + (gte ?? '') }),
  ...(lte !== undefined
    ? { lte: prefix + lte }
    : { lt: lt === undefined ? (successor(prefix) as string) : prefix + lt }),
  ...(reverse === undefined ? {} : { reverse }),
})
