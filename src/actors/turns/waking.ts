/**
 * Reads what a durable actor remembers from its rows. A row that cannot be used leaves it blocked,
 * and is not touched. Pure but for the reads.
 */
import { plainJson } from '../../bytes/json.ts'
import { KeelsonError, keptError } from '../../errors.ts'
import { type FormatStatus, shownStatus } from '../../runtime/index.ts'
import {
  alarmRows,
  callIdRows,
  entityRowKey,
  type Row,
  readEntityRow,
  writtenKeyRows,
} from '../../storage/index.ts'
import type { KeyRow, ReadView } from '../core/read-view.ts'
import type { ShardCore } from '../core/shard-core.ts'
import type { DurableTable } from './durable-table.ts'
import {
  type Alarm,
  type Body,
  type Crash,
  crashRowKey,
  type Identity,
  type Memory,
  noStreams,
  nothing,
  readAlarm,
  readBody,
  readCrash,
} from './memory.ts'
import type { Known } from './turn-draft.ts'

/** The name or id at the end of a row key of an actor. */
const lastPart = (rowKey: string): string => rowKey.slice(rowKey.lastIndexOf('\0') + 1)

/** The alarms that are set. */
export const alarmsOf = (shard: ShardCore, entity: string): ReadonlyMap<string, Alarm> =>
  alarmsIn([...shard.view().rows(alarmRows(entity))])

const alarmsIn = (rows: readonly KeyRow[]): ReadonlyMap<string, Alarm> =>
  new Map(rows.map(([key, { value }]) => [lastPart(key), readAlarm(value.bytes)]))

/** The rows of remembered ids. */
export function* callIdsOf(
  shard: ShardCore,
  entity: string,
): IterableIterator<readonly [string, Uint8Array]> {
  for (const [key, { value }] of shard.view().rows(callIdRows(entity)))
    yield [lastPart(key), value.bytes]
}

/** The keys of rows that the memory of an actor does not know: remembered ids, and notes of keys. */
export const otherKeysOf = (shard: ShardCore, entity: string): readonly string[] => [
  ...callIdKeysOf(shard, entity),
  ...[...shard.view().rows(writtenKeyRows(entity))].map(([key]) => key),
]

/** The keys of the rows of remembered ids. */
export const callIdKeysOf = (shard: ShardCore, entity: string): readonly string[] =>
  [...shard.view().rows(callIdRows(entity))].map(([key]) => key)

/** The most keys of users that are removed with one turn. */
export const keysMax = 500

/** Some of the users' keys that the turns of an actor noted, by the keys of their rows. */
export const someKeysOf = (shard: ShardCore, entity: string): ReadonlyMap<string, string> => {
  const keys = new Map<string, string>()
  for (const [rowKey, { value }] of shard.view().rows(writtenKeyRows(entity))) {
    keys.set(rowKey, Buffer.from(value.bytes).toString())
    if (keys.size === keysMax) break
  }
  return keys
}

/**
 * Reads the memory of an actor that wakes; `undefined` if it is unborn.
 * @throws KeelsonError `BLOCKED` if its rows cannot be used; `CORRUPT` if the projection is damaged;
 * `SHARD_DOWN`, `CLOSED`
 */
export const recall = (
  shard: ShardCore,
  { entity }: Identity,
  table: DurableTable,
): Known | undefined => {
  const rows = rowsOf(shard, entity)
  if (rows === undefined) return undefined
  return usable(entity, () => {
    const { stored, body } = readRows(rows)
    const current = migrated(body, table)
    const memory = { ...stored, state: current, fields: table.fieldsOf(current) }
    return { stored, memory }
  })
}

/**
 * The state in a main row, as its actor would get it.
 * @throws KeelsonError `BLOCKED` if it cannot be used
 */
export const stateIn = (entity: string, row: Row, table: DurableTable): unknown =>
  usable(entity, () => migrated(readBody(readEntityRow(row).body), table))

/**
 * The content of an actor's rows, without its state, whether a program can use them or not.
 * @throws KeelsonError `UNSUPPORTED_VERSION`, `CORRUPT`, `SHARD_DOWN`, `CLOSED`
 */
export const storedOf = (shard: ShardCore, { entity }: Identity): Memory => {
  const rows = rowsOf(shard, entity)
  return rows === undefined ? nothing : readRows(rows).stored
}

/** The birth of the own rows of an actor. @throws KeelsonError as `storedOf` */
export const birthOf = (view: ReadView, entity: string): string | undefined => {
  const row = view.row(entityRowKey(entity))
  return row && readBody(readEntityRow(row).body).birth
}

/** The rows of an actor's memory. */
type MemoryRows = {
  readonly main: Row
  readonly alarms: readonly KeyRow[]
  readonly crash: Row | undefined
}

/** They are read before they are decoded: a read that fails says nothing about their content. */
const rowsOf = (shard: ShardCore, entity: string): MemoryRows | undefined => {
  const view = shard.view()
  const main = view.row(entityRowKey(entity))
  if (main === undefined) return undefined
  const crash = view.row(crashRowKey(entity))
  return { main, alarms: [...view.rows(alarmRows(entity))], crash }
}

/** The record of the crash of an actor. */
export const crashOf = (shard: ShardCore, entity: string): Crash | undefined =>
  crashIn(shard.view().row(crashRowKey(entity)))

const crashIn = (row: Row | undefined): Crash | undefined => row && readCrash(row.value.bytes)

const readRows = ({ main, alarms, crash }: MemoryRows): { stored: Memory; body: Body } => {
  const { mark, body: bytes } = readEntityRow(main)
  const body = readBody(bytes)
  const { steps, fields, birth, streams = noStreams } = body
  const stored: Memory = {
    state: undefined,
    mark,
    steps,
    alarms: alarmsIn(alarms),
    fields,
    birth,
    own: undefined,
    streams,
    crash: crashIn(crash),
  }
  return { stored, body }
}

const usable = <T>(entity: string, read: () => T): T => {
  try {
    return read()
  } catch (cause) {
    throw blocked(entity, cause)
  }
}

/** The error of an actor that cannot be used. */
export const blocked = (entity: string, cause: unknown): KeelsonError => {
  const { message: reason } = keptError(cause)
  return new KeelsonError('BLOCKED', `${entity} is blocked: ${reason}`, {
    details: { entity, reason },
    cause,
  })
}

const migrated = ({ state, version: from, shape }: Body, table: DurableTable): unknown => {
  if (from > table.version)
    throw new Error(`its state has version ${from}, this program knows ${table.version}`)
  if (from < table.version) {
    if (table.migrate === undefined) throw new Error(`there is no migrate from version ${from}`)
    try {
      return table.migrate(state, from)
    } catch (cause) {
      throw shownCause(table, state, cause)
    }
  }
  if (shape !== table.shape)
    throw new Error(`its machine changed, but not its version${placeText(state)}`)
  return state
}

/** The state that a saved machine is in, by its names. */
const placeText = (saved: unknown): string => {
  const { value } = Object(saved)
  if (typeof value === 'string') return `: it is in ${value}`
  return typeof value === 'object' && value !== null ? `: it is in ${plainJson(value)}` : ''
}

/** The reason of a failure as `formatStatus` shows it: it is why the actor is blocked. */
export const shownCause = (
  { formatStatus }: DurableTable,
  state: unknown,
  reason: unknown,
): unknown => {
  if (formatStatus === undefined) return reason
  const status = { state, lastMessage: undefined, reason }
  return shownStatus(formatStatus as FormatStatus, status).reason
}
