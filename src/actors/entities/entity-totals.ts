/**
 * Counts of the entities of a kind, and alarms that are set, over all shards. A shard of another
 * member is asked for at its owner, so there is no common moment. Long walks yield to the event loop
 * between their steps.
 */
import { invalidArgument, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  checkKind,
  compareKeys,
  decodeIndexValue,
  decodeValue,
  dueRows,
  entityCounts,
  entityRows,
  fieldCounters,
  type IndexValue,
  indexRows,
  kindCounter,
  type ProjectionStore,
  parseDue,
  parseIndex,
  projectedPrefix,
  projectionMarkKey,
  projectionMarkOf,
  type Row,
  type RowRange,
  rowsBeginning,
} from '../../storage/index.ts'
import { askedAtOwner } from '../core/at-owner.ts'
import { isCount, isText } from '../core/payload-check.ts'
import type { ShardClient } from '../core/shard-client.ts'
import type { ShardCore } from '../core/shard-core.ts'
import { behind } from '../store/range-query.ts'

/** An alarm that is set. `at`: when it fires, in ms since 1970. */
export type EntityAlarm = { readonly id: string; readonly name: string; readonly at: number }

type Instance = { readonly system: System; readonly shards: readonly ShardCore[] }

/** The rows of one step of a walk. */
const stepRows = 1_000

/**
 * How many entities have each value of a field, in the order of the values. The rows are walked only
 * where the counters cannot be used.
 * @throws KeelsonError `SHARD_DOWN`, also of a shard that no member has; `CLOSED`, `CORRUPT`
 */
export const countsOf = async (
  { system, shards }: Instance,
  kind: string,
  field: string,
): Promise<Map<IndexValue, number>> => {
  const counts = new Map<string, number>()
  const found = await inEach(shards, 'entities.counts', [kind, field], (shard) =>
    countsIn(system, shard, kind, field),
  )
  for (const [value, count] of found.flatMap((pairs) => pairs.map(countIn)))
    add(counts, value, count)
  const ordered = [...counts].sort(([left], [right]) => compareKeys(left, right))
  return new Map(ordered.map(([value, count]) => [decodeIndexValue(value), count]))
}

/** How many entities of a kind have a row. As `countsOf`. */
export const countOf = async ({ system, shards }: Instance, kind: string): Promise<number> => {
  const found = await inEach(shards, 'entities.count', [kind], (shard) =>
    rowCountIn(system, shard, kind),
  )
  return found.reduce((sum, count) => sum + wellFormed(count, isCount(count)), 0)
}

/** The alarms of a kind that fire before `before`, the soonest first; at most `limit`. */
export const alarmsBefore = async (
  { system, shards }: Instance,
  kind: string,
  before: number,
  limit: number,
): Promise<readonly EntityAlarm[]> => {
  const found = await inEach(shards, 'entities.alarms', [kind, before, limit], (shard) =>
    alarmsIn(system, shard, kind, before, limit),
  )
  const alarms = found.flatMap((own) => own.map(alarmIn))
  return alarms.sort((left, right) => left.at - right.at).slice(0, limit)
}

/** Looks at each shard, here or at its owner. The answer of an owner has to be checked. */
const inEach = <T>(
  shards: readonly ShardCore[],
  question: string,
  given: readonly unknown[],
  look: (shard: ShardCore) => Promise<T>,
): Promise<readonly T[]> =>
  Promise.all(
    shards.map((shard) => {
      const here = (): Promise<T> => look(shard)
      if (shard.way === undefined) return here()
      return askedAtOwner(shard, question, given, shard.parts.settings.deadlineMs, here)
    }),
  )

/** Answers other members about the shards that are here. */
export const answerTotals = (way: ShardClient, { system, shards }: Instance): void => {
  const answer = (
    question: string,
    isAsked: (given: readonly unknown[]) => boolean,
    look: (shard: ShardCore, kind: string, given: readonly unknown[]) => Promise<unknown>,
  ): void =>
    way.answer(question, (payload) => {
      const [index, kind, ...given] = Array.isArray(payload) ? payload : []
      const shard = shards[index]
      if (!shard || !isAsked(given)) throw invalidArgument('payload', `of ${question}`, payload)
      return look(shard, checkKind(kind), given)
    })
  answer(
    'entities.counts',
    ([field]) => isText(field),
    (shard, kind, [field]) => countsIn(system, shard, kind, field as string),
  )
  answer(
    'entities.count',
    () => true,
    (shard, kind) => rowCountIn(system, shard, kind),
  )
  answer(
    'entities.alarms',
    ([before, limit]) => typeof before === 'number' && isCount(limit),
    (shard, kind, [before, limit]) =>
      alarmsIn(system, shard, kind, before as number, limit as number),
  )
}

const wellFormed = <T>(answer: T, isRight: boolean): T => {
  if (isRight) return answer
  throw new KeelsonError('INVALID_ARGUMENT', 'the answer of another member is malformed')
}

const countIn = (pair: Counted): Counted =>
  wellFormed(pair, isText(pair[0]) && Number.isSafeInteger(pair[1]))

const alarmIn = ({ id, name, at }: EntityAlarm): EntityAlarm =>
  wellFormed({ id, name, at }, isText(id) && isText(name) && Number.isFinite(at))

/** An encoded value of a field, and how many entities have it. */
type Counted = readonly [value: string, count: number]

const countsIn = async (
  system: System,
  shard: ShardCore,
  kind: string,
  field: string,
): Promise<readonly Counted[]> => {
  const counted = fieldCountsIn(shard, kind, field)
  if (counted) return [...counted]
  const counts = new Map<string, number>()
  for await (const [rowKey] of steps(system, shard, indexRows(kind, field)))
    add(counts, parseIndex(rowKey).value, 1)
  return [...counts]
}

const rowCountIn = async (system: System, shard: ShardCore, kind: string): Promise<number> => {
  const counted = kindCountIn(shard, kind)
  if (counted !== undefined) return counted
  let count = 0
  for await (const _ of steps(system, shard, entityRows(kind))) count++
  return count
}

const alarmsIn = async (
  system: System,
  shard: ShardCore,
  kind: string,
  before: number,
  limit: number,
): Promise<readonly EntityAlarm[]> => {
  const alarms: EntityAlarm[] = []
  for await (const [rowKey] of steps(system, shard, dueRows(Math.ceil(before) - 1))) {
    const { dueMs: at, entity, name } = parseDue(rowKey)
    // The system's own have a `$`.
    if (name.startsWith('$') || !entity.startsWith(`${kind}/`)) continue
    if (alarms.push({ id: entity.slice(kind.length + 1), name, at }) === limit) break
  }
  return alarms
}

/** The rows of a range, with turns of the event loop between steps. */
async function* steps(
  system: System,
  shard: ShardCore,
  range: RowRange,
): AsyncIterableIterator<readonly [string, Row]> {
  let rest: RowRange | undefined = range
  while (rest) {
    const rows: (readonly [string, Row])[] = []
    for (const row of shard.view().rows(rest)) if (rows.push(row) === stepRows) break
    yield* rows
    const last = rows[stepRows - 1]?.[0]
    rest = last === undefined ? undefined : behind(range, false, last)
    if (rest) await new Promise<void>((resolve) => system.clock.soon(resolve))
  }
}

/** The most rows of the overlay that are added in one turn of the event loop. */
const addedMax = 5_000

/**
 * How many entities of a kind have each encoded value of a field. `undefined`: the counters are
 * still built, or too many rows wait for LMDB.
 * @throws KeelsonError `CORRUPT`, `SHARD_DOWN`, `CLOSED`
 */
export const fieldCountsIn = (
  shard: ShardCore,
  kind: string,
  field: string,
): Map<string, number> | undefined =>
  countersIn(
    shard,
    fieldCounters(kind, field),
    indexRows(kind, field),
    (rowKey) => parseIndex(rowKey).value,
  )

/** How many entities of a kind have a row. `undefined` and errors as of `fieldCountsIn`. */
export const kindCountIn = (shard: ShardCore, kind: string): number | undefined => {
  const counts = countersIn(shard, kindCounter(kind), entityRows(kind), () => '')
  return counts && (counts.get('') ?? 0)
}

/**
 * Reads the counters of one shard. LMDB has them as of its position. Rows that LMDB does not show
 * yet are added from the overlay, so the counters agree with every read.
 * `begin`: of the keys of the counters. `counted`: the rows that they count.
 */
const countersIn = (
  shard: ShardCore,
  begin: string,
  counted: RowRange,
  keyOf: (rowKey: string) => string,
): Map<string, number> | undefined => {
  const { overlay, projection } = shard.view().layers
  const prefix = shownPrefix(projection)
  if (prefix === undefined) return undefined
  const counts = new Map<string, number>()
  const from = prefix + begin
  for (const [rowKey, { value }] of projection.range(rowsBeginning(from)))
    counts.set(rowKey.slice(from.length), decodeValue(value) as number)
  let added = 0
  for (const [rowKey, row] of overlay.range(counted)) {
    if (++added > addedMax) return undefined
    const by = Number(row !== undefined) - Number(projection.peek(rowKey) !== undefined)
    add(counts, keyOf(rowKey), by)
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
