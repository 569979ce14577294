/**
 * Reads the rows of a kind: pages of entities, and one entity in full. A page is read within one turn of
 * the event loop, so that the index and the states agree. `entity-pages.ts` merges the pages of members.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { hiddenText, redacted } from '../../redaction.ts'
import { type FormatStatus, shownStatus } from '../../runtime/index.ts'
import {
  alarmRowKey,
  entityRowKey,
  indexRowKey,
  indexRows,
  parseIndex,
  type Row,
  readEntityRow,
  workerKind,
} from '../../storage/index.ts'
import { mergedRows } from '../core/read-view.ts'
import { watermarkOf } from '../store/freshness.ts'
import { chosenFrom, type Looks, type Page, pageFrom } from '../store/page-cursor.ts'
import type { KeyedPage, RangePage } from '../store/store-page.ts'
import { endName } from '../turns/lifetime.ts'
import {
  type Alarm,
  type Crash,
  crashField,
  type Fields,
  type Identity,
  readAlarm,
  readBody,
  readCrash,
  type Step,
} from '../turns/memory.ts'
import { alarmsOf, callIdKeysOf, crashOf, stateIn } from '../turns/waking.ts'
import type { Entities } from './entities.ts'
import type { EntityQuery } from './entity-query.ts'
import { allHold, type Condition } from './entity-where.ts'

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

/** An entity as a message has it: without `undefined`, and its error as data. */
export type SentEntity = Pick<EntityEntry<unknown>, 'id'> & {
  readonly state?: unknown
  readonly blocked?: Pick<KeelsonError, 'code' | 'message'>
}

/** An entity as it is sent to another member. */
export const sentEntity = ({ id, state, blocked }: EntityEntry<unknown>): SentEntity => ({
  id,
  ...(state !== undefined && { state }),
  ...(blocked && { blocked: { code: blocked.code, message: blocked.message } }),
})

/** An entity that another member has sent. */
export const receivedEntity = ({ id, state, blocked }: SentEntity): EntityEntry<unknown> => ({
  id,
  state,
  ...(blocked && { blocked: new KeelsonError(blocked.code, blocked.message) }),
})

/** A page of entities. `positions`: what each shard showed. */
export type EntityPage<S> = Page<EntityEntry<S>> & Pick<RangePage, 'positions'>

/** One page. @throws KeelsonError `SHARD_DOWN` for any shard, `CLOSED`, `CORRUPT` */
export const pageOf = (
  entities: Entities,
  kind: string,
  query: EntityQuery,
  shards: Entities['shards'],
): EntityPage<unknown> => {
  const page = keyedPageOf(entities, kind, query, shards)
  return { ...page, entries: page.entries.map(([, entry]) => entry) }
}

/** An entity of a page, with the row by which it was found: pages are in the order of these. */
export type KeyedEntry = readonly [rowKey: string, entry: EntityEntry<unknown>]

/** As `pageOf`, with the keys of the rows. */
export const keyedPageOf = (
  entities: Entities,
  kind: string,
  query: EntityQuery,
  shards: Entities['shards'],
): Page<KeyedEntry> & KeyedPage<KeyedEntry> => {
  const { range, states, idOf, conditions, limit } = query
  const walks = shards.map((shard) => shard.ownersView('`page`').rows(range))
  const walk = mergedRows(walks, range.reverse === true)
  const keyed = (rowKey: string): KeyedEntry => {
    const id = idOf(rowKey)
    return [rowKey, states ? entryOf(entities, kind, id) : { id, state: undefined }]
  }
  const lookAt = lookFor(entities, kind, conditions)
  const look = (rowKey: string) => lookAt(idOf(rowKey))
  const bounds = { looksMax: Math.max(limit, looksMax), bytesMax: looksBytesMax }
  const page =
    conditions.length === 0
      ? pageFrom(walk, query, keyed)
      : chosenFrom(walk, query, { look, ...bounds }, keyed)
  return { ...page, positions: shards.map((shard) => watermarkOf(shard, 'applied')) }
}

/**
 * The most entities that one page compares with the fields after the first, unless `limit` is larger. A
 * page of runs has the same bound.
 */
const looksMax = 1_000

/** A page ends after this many bytes of main rows, which are read only for conditions with bounds. */
const looksBytesMax = 4 * 1024 * 1024

/**
 * Compares an entity with conditions. A condition for one value reads a row of the index, so the size of
 * the state does not matter. Bounds read the fields in the main row. An entity whose row cannot be read
 * stays in the page, so that its reader sees that it is blocked.
 */
const lookFor = (
  entities: Entities,
  kind: string,
  conditions: readonly Condition[],
): ((id: string) => ReturnType<Looks['look']>) => {
  const single = conditions.filter(({ bounds }) => bounds.equals !== undefined)
  const bounded = conditions.filter(({ bounds }) => bounds.equals === undefined)
  return (id) => {
    const entity = `${kind}/${id}`
    const view = entities.shardOf(entity).ownersView('`page`')
    const isIn = ({ field, bounds }: Condition): boolean =>
      view.row(indexRowKey(kind, field, bounds.equals as string, id)) !== undefined
    if (!single.every(isIn)) return { isWanted: false, bytes: 0 }
    const row = bounded.length > 0 ? view.row(entityRowKey(entity)) : undefined
    if (!row) return { isWanted: bounded.length === 0, bytes: 0 }
    return { isWanted: allHold(bounded, fieldsOf(row)), bytes: row.value.bytes.length }
  }
}

/** The index fields in a main row; `undefined`: it cannot be read. */
export const fieldsOf = (row: Row): Fields | undefined => {
  try {
    return readBody(readEntityRow(row).body).fields
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    return undefined
  }
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
  const row = entities.shardOf(entity).ownersView('`read`').row(alarmRowKey(entity, endName))
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
  const row = entities.shardOf(entity).ownersView('`load`').row(entityRowKey(entity))
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
  /** The last crash in a handler that has not succeeded since. */
  readonly crash: Crash | undefined
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
  const alarms = alarmsOf(shard, entity)
  const crash = crashOf(shard, entity)
  return { ...mark, version, state, fields, steps, alarms, crash, calls }
}

/** An actor whose process has crashed in a handler that has not succeeded since. */
type CrashedActor = Pick<Identity, 'kind' | 'id'> & {
  readonly isMachine: boolean
  readonly crash: Crash
}

/** The crashed actors of the shards here, of each kind and shard the first hundred. */
export const crashedActors = (entities: Entities): readonly CrashedActor[] => {
  const found: CrashedActor[] = []
  for (const shard of entities.shards)
    for (const kind of shard.phase.kind === 'open' ? [...entities.kinds, workerKind] : []) {
      let left = crashedMax
      for (const [rowKey, { value }] of shard.view().rows(indexRows(kind, crashField))) {
        const { id } = parseIndex(rowKey)
        const isMachine = entities.tableOf(kind, id)?.machine !== undefined
        found.push({ kind, id, isMachine, crash: readCrash(value.bytes) })
        if (--left === 0) break
      }
    }
  return found
}

const crashedMax = 100

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
