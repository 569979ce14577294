/**
 * Reads the counters of entities in one shard. LMDB has them as of its position; the rows that it
 * does not show yet are added from the overlay. So they count what every read shows.
 */
import {
  decodeValue,
  entityCounts,
  entityRows,
  fieldCounters,
  indexRows,
  kindCounter,
  type ProjectionStore,
  parseIndex,
  projectedPrefix,
  projectionMarkKey,
  projectionMarkOf,
  type RowRange,
} from '../../storage/index.ts'
import type { Shard } from '../shard/shard.ts'

/** The most rows of the overlay that are added in one turn of the event loop. */
const addedMax = 5_000

/**
 * How many entities of a kind have each encoded value of a field. `undefined`: the counters are
 * still built, or too many rows wait for LMDB.
 * @throws KeelsonError `CORRUPT`, `SHARD_DOWN`, `CLOSED`
 */
export const fieldCountsIn = (
  shard: Shard,
  kind: string,
  field: string,
): Map<string, number> | undefined =>
  countersIn(shard, fieldCounters(kind, field), indexRows(kind, field), (rowKey) => {
    return parseIndex(rowKey).value
  })

/** How many entities of a kind have a row. `undefined` and errors as of `fieldCountsIn`. */
export const kindCountIn = (shard: Shard, kind: string): number | undefined => {
  const counts = countersIn(shard, kindCounter(kind), entityRows(kind), () => '')
  return counts && (counts.get('') ?? 0)
}

/** `begin`: of the keys of the counters. `counted`: the rows that they count. */
const countersIn = (
  shard: Shard,
  begin: string,
  counted: RowRange,
  keyOf: (rowKey: string) => string,
): Map<string, number> | undefined => {
  const { overlay, projection } = shard.view().layers
  const prefix = shownPrefix(projection)
  if (prefix === undefined) return undefined
  const counts = new Map<string, number>()
  const from = prefix + begin
  for (const [rowKey, { value }] of projection.range({ gte: from, lt: `${from}\u{10ffff}` }))
    counts.set(rowKey.slice(from.length), decodeValue(value) as number)
  let added = 0
  for (const [rowKey, row] of overlay.range(counted)) {
    if (++added > addedMax) return undefined
    const by = Number(row !== undefined) - Number(projection.peek(rowKey) !== undefined)
    if (by !== 0) add(counts, keyOf(rowKey), by)
  }
  return counts
}

/** The beginning of the rows of the counters; `undefined` while they do not follow the log. */
const shownPrefix = (projection: ProjectionStore): string | undefined => {
  const { name, version } = entityCounts
  const rowKey = projectionMarkKey(name)
  const row = projection.get(rowKey)
  // Without a position there are no rows: the overlay has them all.
  if (!row) return projection.position() ? undefined : projectedPrefix(name, 1)
  const mark = projectionMarkOf(rowKey, row)
  const isShown = mark.state === 'live' && mark.version === version
  return isShown ? projectedPrefix(name, mark.generation) : undefined
}

const add = (counts: Map<string, number>, value: string, by: number): void => {
  const sum = (counts.get(value) ?? 0) + by
  if (sum === 0) counts.delete(value)
  else counts.set(value, sum)
}
