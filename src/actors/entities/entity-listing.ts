/**
 * Looks at the rows of a kind over all shards: pages of entities, one entity in full, counts, and
 * alarms that are set. A page is read within one turn of the event loop, so that the index and the
 * states agree. Longer walks yield to the event loop between their steps.
 */
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import { hiddenText, redacted } from '../../redaction.ts'
import { type FormatStatus, type System, shownStatus } from '../../runtime/index.ts'
import {
  alarmRowKey,
  compareKeys,
  decodeIndexValue,
  decodeValue,
  dueRows,
  entityCounts,
  entityRowKey,
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
  readEntityRow,
} from '../../storage/index.ts'
import { mergedRows } from '../core/read-view.ts'
import type { ShardCore } from '../core/shard-core.ts'
import { watermarkOf } from '../store/freshness.ts'
import { type Page, pageFrom } from '../store/page-cursor.ts'
import { behind } from '../store/range-query.ts'
import type { RangePage } from '../store/store-page.ts'
import { endName } from '../turns/lifetime.ts'
import {
  type Alarm,
  type Fields,
  type Identity,
  readAlarm,
  readBody,
  type Step,
} from '../turns/memory.ts'
import { alarmsOf, callIdKeysOf, stateIn } from '../turns/waking.ts'
import type { Entities } from './entities.ts'
import type { EntityQuery } from './entity-query.ts'

/**
 * An entity of a page. Its state is `undefined` with `states: false`. `blocked`: why its row cannot
 * be used, so that its state is not known.
 */
export type EntityEntry<S> = {
  readonly id: string
  readonly state: S | undefined
  readonly blocked?: KeelsonError
  /** It has ended, and is removed then, in ms since 1970. */
  readonly endsAt?: number
}

/** A page of entities. `positions`: what each shard showed. */
export type EntityPage<S> = Page<EntityEntry<S>> & Pick<RangePage, 'positions'>

/** An alarm that is set. `at`: when it fires, in ms since 1970. */
export type EntityAlarm = { readonly id: string; readonly name: string; readonly at: number }

/** The rows of one step of a walk. */
const stepRows = 1_000

/** One page. @throws KeelsonError `SHARD_DOWN` for any shard, `CLOSED`, `CORRUPT` */
export const pageOf = (
  entities: Entities,
  kind: string,
  query: EntityQuery,
  shards: Entities['shards'],
): EntityPage<unknown> => {
  const { range, states, idOf } = query
  const walks = shards.map((shard) => shard.ownersView().rows(range))
  const page = pageFrom(mergedRows(walks, range.reverse === true), query, (rowKey) => {
    const id = idOf(rowKey)
    return states ? entryOf(entities, kind, id) : { id, state: undefined }
  })
  return { ...page, positions: shards.map((shard) => watermarkOf(shard, 'applied')) }
}

/** A row that cannot be used does not hide the others. */
const entryOf = (entities: Entities, kind: string, id: string): EntityEntry<unknown> => {
  const endsAt = endOf(entities, `${kind}/${id}`)
  const end = endsAt === undefined ? {} : { endsAt }
  return orBlocked(
    () => ({ id, state: stateOf(entities, kind, id), ...end }),
    (blocked) => ({ id, state: undefined, blocked, ...end }),
  )
}

/** The result of `read`, or that of `otherwise` if it is `BLOCKED`: a row cannot be used. */
export const orBlocked = <T>(read: () => T, otherwise: (blocked: KeelsonError) => T): T => {
  try {
    return read()
  } catch (error) {
    if (!isKeelsonError(error, 'BLOCKED')) throw error
    return otherwise(error)
  }
}

/** When an entity that has ended is removed; `undefined`: it has not ended. */
export const endOf = (entities: Entities, entity: string): number | undefined => {
  const row = entities.shardOf(entity).ownersView().row(alarmRowKey(entity, endName))
  return row && readAlarm(row.value.bytes).at
}

/** Whether an entity has a row. @throws KeelsonError `SHARD_DOWN`, `CLOSED` */
export const isBorn = (entities: Entities, entity: string): boolean =>
  entities.shardOf(entity).ownersView().row(entityRowKey(entity)) !== undefined

/**
 * The durable state of an entity, as its server's version has it; `undefined` if it is unborn.
 * Without a server, in a store alone, it is the stored one.
 * @throws KeelsonError `BLOCKED`, `SHARD_DOWN`, `CLOSED`, `CORRUPT`
 */
export const stateOf = (entities: Entities, kind: string, id: string): unknown => {
  const entity = `${kind}/${id}`
  const row = entities.shardOf(entity).ownersView().row(entityRowKey(entity))
  return row && stateInRow(entities, kind, id, row)
}

/** The state in a main row of an entity, as `stateOf` has it. @throws KeelsonError `BLOCKED` */
export const stateInRow = (entities: Entities, kind: string, id: string, row: Row): unknown => {
  const table = entities.tableOf(kind, id)
  return table ? stateIn(`${kind}/${id}`, row, table) : readBody(readEntityRow(row).body).state
}

/**
 * The durable state of an entity as it may be shown. A kind without a server cannot say what that
 * is: then it is the type and the length. `id` is needed for a durable worker only.
 */
export const shownState = (entities: Entities, kind: string, state: unknown, id = ''): unknown => {
  const table = entities.tableOf(kind, id)
  if (state === undefined) return undefined
  if (table === undefined) return hiddenText(state)
  return shownStatus(table.formatStatus as FormatStatus | undefined, { state }).state
}

/** The content of the rows of an entity. */
export type EntityRows = {
  readonly incarnation: string
  /** The number of its last turn that changed something, in this incarnation. */
  readonly seq: number
  /** The version of the server that wrote it. */
  readonly version: number
  readonly state: unknown
  readonly fields: Fields
  /** The recorded steps that no turn has consumed. */
  readonly steps: readonly Step[]
  readonly alarms: ReadonlyMap<string, Alarm>
  /** How many calls with an id are remembered. */
  readonly calls: number
}

/**
 * Reads the rows of an entity; `undefined` if it is unborn.
 * @throws KeelsonError `SHARD_DOWN`, `CLOSED`, `CORRUPT`, `UNSUPPORTED_VERSION`
 */
export const surveyEntity = (entities: Entities, entity: string): EntityRows | undefined => {
  const shard = entities.shardOf(entity)
  const row = shard.ownersView().row(entityRowKey(entity))
  if (row === undefined) return undefined
  const { mark, body } = readEntityRow(row)
  const { version, state, fields, steps } = readBody(body)
  const calls = callIdKeysOf(shard, entity).length
  return { ...mark, version, state, fields, steps, alarms: alarmsOf(shard, entity), calls }
}

/**
 * The rows as they may be shown. `formatStatus` knows states of the present version only, so an
 * older one is shown as migrated.
 */
export const shownRows = (
  entities: Entities,
  { kind, id }: Pick<Identity, 'kind' | 'id'>,
  rows: EntityRows,
): EntityRows => {
  const decides = entities.tableOf(kind, id)?.formatStatus !== undefined
  const state = orBlocked(
    () => shownState(entities, kind, decides ? stateOf(entities, kind, id) : rows.state, id),
    () => hiddenText(rows.state),
  )
  return { ...rows, fields: redacted(rows.fields), state }
}

/**
 * How many entities have each value of a field, in the order of the values. The rows are walked only
 * where the counters cannot be used.
 */
export const countsOf = async (
  entities: Pick<Entities, 'system' | 'shards'>,
  kind: string,
  field: string,
): Promise<Map<IndexValue, number>> => {
  const counts = new Map<string, number>()
  for (const shard of entities.shards) {
    const counted = fieldCountsIn(shard, kind, field)
    for (const [value, count] of counted ?? []) add(counts, value, count)
    if (!counted)
      for await (const [rowKey] of steps(entities.system, shard, indexRows(kind, field)))
        add(counts, parseIndex(rowKey).value, 1)
  }
  const ordered = [...counts].sort(([left], [right]) => compareKeys(left, right))
  return new Map(ordered.map(([value, count]) => [decodeIndexValue(value), count]))
}

/** How many entities of a kind have a row. As `countsOf`. */
export const countOf = async (entities: Entities, kind: string): Promise<number> => {
  let count = 0
  for (const shard of entities.shards) {
    const counted = kindCountIn(shard, kind)
    if (counted !== undefined) count += counted
    else for await (const _ of steps(entities.system, shard, entityRows(kind))) count++
  }
  return count
}

/** The alarms of a kind that fire before `before`, the soonest first; at most `limit`. */
export const alarmsBefore = async (
  entities: Entities,
  kind: string,
  before: number,
  limit: number,
): Promise<readonly EntityAlarm[]> => {
  const alarms: EntityAlarm[] = []
  for (const shard of entities.shards) {
    let found = 0
    for await (const [rowKey] of steps(entities.system, shard, dueRows(Math.ceil(before) - 1))) {
      const { dueMs: at, entity, name } = parseDue(rowKey)
      // The system's own have a `$`.
      if (name.startsWith('$') || !entity.startsWith(`${kind}/`)) continue
      alarms.push({ id: entity.slice(kind.length + 1), name, at })
      if (++found === limit) break
    }
  }
  return alarms.sort((left, right) => left.at - right.at).slice(0, limit)
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
  for (const [rowKey, { value }] of projection.range({ gte: from, lt: `${from}\u{10ffff}` }))
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
