/**
 * Names and row keys of durable actors. An entity is named `kind/id`. Each class of its rows has a
 * letter in `row-key.ts`. A part of a key ends with a NUL, which no part contains. Pure.
 */

import { sha256Hex } from '../../bytes/sha256.ts'
import { utf8Length } from '../../bytes/utf8.ts'
import { type ArgumentPath, invalidArgument, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { RowRange } from '../ports/projection-store.ts'
import { fieldBytesMax } from './key.ts'
import {
  prefixOf,
  type RowClassName,
  rowClassOf,
  rowKeyBytesMax,
  rowsAre,
  rowsOf,
} from './row-key.ts'

/** The longest kind, in bytes. */
const kindBytesMax = 64

/** The longest id of an entity, in bytes of UTF-8. */
const entityIdBytesMax = 256

/** The longest name of an entity, in bytes of UTF-8: a kind, a slash and an id. */
export const entityBytesMax = kindBytesMax + 1 + entityIdBytesMax

const kindForm = /^\$?[a-z][\w-]*$/
const entityForm = /^\$?[a-z][\w-]*\/[^{}\0]+$/

/** The kind in whose key space the durable workers are. No user's kind begins with `$`. */
export const workerKind = '$worker'

/** The kind of the row that says that an application has saved a state of the journal. */
export const stateKind = '$state'

/** The entity whose row says that an application has saved a state of the journal. */
export const savedStateEntity = `${stateKind}/saved`

/** The kind whose rows are the positions of the journal's subscriptions. */
export const positionKind = '$journal'

/** The name of the row that keeps the position of a subscription, as that of an entity. */
export const positionEntity = (name: string): string => `${positionKind}/${name}`

/** The kind of the batches of the store that were committed with starts, signals or jobs. */
export const batchesKind = '$batches'

const otherKinds: readonly string[] = [workerKind, stateKind, positionKind]

/** Whether a kind is one of entities: `app.entity(kind)` finds them. */
export const isKindOfEntities = (kind: string): boolean => !otherKinds.includes(kind)

/** Whether a text is the id of an entity, or the name of a stream. */
export const isEntityId = (id: string): boolean => {
  const bytes = id.length > entityIdBytesMax ? id.length : utf8Length(id)
  return bytes >= 1 && bytes <= entityIdBytesMax && !/[{}\0]/.test(id)
}

/**
 * Returns `kind` when it is a kind: a lower-case letter, then letters, digits, `_` and `-`, at most
 * 64. A kind that Keelson makes itself begins with a `$`, which `entity` refuses to users.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const checkKind = (kind: unknown): string => {
  if (typeof kind === 'string' && kind.length <= kindBytesMax && kindForm.test(kind)) return kind
  throw invalidArgument('kind', `a kind: [a-z][\\w-]*, at most ${kindBytesMax} bytes`, kind)
}

/**
 * Returns `id` when it is an id: well-formed, 1 to 256 bytes of UTF-8 without `{`, `}` and NUL.
 * @throws KeelsonError `INVALID_ARGUMENT` with `details.path`
 */
export const checkEntityId = (id: unknown, path: ArgumentPath = 'id'): string => {
  if (typeof id === 'string' && isEntityId(id)) return id
  const expected = `well-formed text of 1 to ${entityIdBytesMax} bytes without {, } and NUL`
  // Of a text that is too long its beginning is enough: the message and the details both have it.
  const isLong = typeof id === 'string' && id.length > entityIdBytesMax
  throw invalidArgument(path, expected, isLong ? `${id.slice(0, 40)}…` : id)
}

/** Whether a text names an entity of any kind: `kind/id`. An id may contain slashes. */
export const isEntity = (entity: string): boolean => {
  const kind = entity.indexOf('/')
  if (kind < 1 || kind > kindBytesMax || !entityForm.test(entity)) return false
  const bytes = utf8Length(entity) - kind - 1
  return bytes >= 1 && bytes <= entityIdBytesMax
}

/** @throws KeelsonError `INVALID_ARGUMENT` */
const checkPart = (what: string, part: string): string => {
  const bytes = utf8Length(part)
  if (bytes >= 1 && bytes <= fieldBytesMax && !part.includes('\0')) return part
  throw invalidArgument(what, `well-formed text of 1 to ${fieldBytesMax} bytes without NUL`, part)
}

/** Hexadecimal digits of a due time: enough for every safe integer. */
const timeDigits = 14

const timeText = (ms: number): string => ms.toString(16).padStart(timeDigits, '0')

const mainPrefix = prefixOf('entity')
const alarmPrefix = prefixOf('alarm')
const duePrefix = prefixOf('due')
const callIdPrefix = prefixOf('callId')
const writtenKeyPrefix = prefixOf('writtenKey')

/** The key of an entity's main row. */
export const entityRowKey = (entity: string): string => mainPrefix + entity

/** The main rows of all entities of a kind, in the order of their ids. */
export const entityRows = (kind: string): RowRange => ({
  gt: `${entityRowKey(kind)}/`,
  // The character after the slash.
  lt: `${entityRowKey(kind)}0`,
})

/** The main rows of all entities; with `kind` those of the kinds that follow it. */
export const entityRowsAfter = (kind?: string): RowRange =>
  kind === undefined ? rowsOf('entity') : { ...rowsOf('entity'), gt: entityRows(kind).lt as string }

/** The entity of a main row. */
export const entityOfRow = (rowKey: string): string => rowKey.slice(mainPrefix.length)

/** The key of an alarm. @throws KeelsonError `INVALID_ARGUMENT` for a name beyond 512 bytes */
export const alarmRowKey = (entity: string, name: string): string =>
  `${alarmPrefix}${entity}\0${checkPart('alarm', name)}`

/** The alarms of an entity, in the order of their names. */
export const alarmRows = (entity: string): RowRange => behind(alarmPrefix + entity)

/**
 * The key of an alarm in the order of due times. `dueMs` in ms since 1970. @throws KeelsonError
 * `INVALID_ARGUMENT`
 */
export const dueRowKey = (dueMs: number, entity: string, name: string): string => {
  if (!Number.isSafeInteger(dueMs) || dueMs < 0)
    throw invalidArgument('dueMs', 'a whole number of ms from 0 on', dueMs)
  return `${duePrefix}${timeText(dueMs)}${entity}\0${checkPart('alarm', name)}`
}

/** The alarms that are due at `upToMs` (ms since 1970) or sooner; without it, all. In due order. */
export const dueRows = (upToMs = Number.POSITIVE_INFINITY): RowRange & { readonly lt: string } => {
  const all = rowsOf('due')
  if (upToMs >= Number.MAX_SAFE_INTEGER) return all
  return { gt: all.gt, lt: duePrefix + timeText(Math.max(0, Math.floor(upToMs) + 1)) }
}

/** Whether a row is an alarm in the order of due times. */
export const isDueRow = rowsAre('due')

/** The parts of such a row's key. @throws KeelsonError `CORRUPT` for another key */
export const parseDue = (
  rowKey: string,
): { readonly dueMs: number; readonly entity: string; readonly name: string } => {
  const entity = entityOf(rowKey)
  if (entity === undefined || !isDueRow(rowKey)) throw badKey(rowKey)
  const from = duePrefix.length
  const dueMs = Number.parseInt(rowKey.slice(from, from + timeDigits), 16)
  return { dueMs, entity, name: rowKey.slice(rowKey.lastIndexOf('\0') + 1) }
}

/** The key of a remembered call. @throws KeelsonError `INVALID_ARGUMENT` for an id beyond 512 bytes */
export const callIdRowKey = (entity: string, callId: string): string =>
  `${callIdPrefix}${entity}\0${checkPart('id', callId)}`

/** The remembered calls of an entity, in the order of their ids. */
export const callIdRows = (entity: string): RowRange => behind(callIdPrefix + entity)

/** The key of the row that notes a user's key. */
export const writtenKeyRowKey = (entity: string, key: string): string =>
  `${writtenKeyPrefix}${entity}\0${sha256Hex(Buffer.from(key))}`

/** The rows that note the users' keys that turns of an entity wrote. */
export const writtenKeyRows = (entity: string): RowRange => behind(writtenKeyPrefix + entity)

/** Whether a text names a birth of an entity: 64 random bits as 16 hex digits. */
export const isBirth = (birth: string): boolean => birthForm.test(birth)

const birthDigits = 16
const birthForm = /^[0-9a-f]{16}$/

const ownPrefix = prefixOf('own')
const removalPrefix = prefixOf('removal')

/** The key of a row that an entity keeps itself. `key` as a user's key. */
export const ownRowKey = (entity: string, birth: string, key: string): string =>
  `${ownPrefix}${entity}\0${birth}${key}`

/** The key that an entity gave such a row. */
export const ownKeyOf = (rowKey: string): string =>
  rowKey.slice(rowKey.indexOf('\0', 1) + 1 + birthDigits)

/** A row for people: a key of a user, `order/7`, or `order/7, row note`. */
export const rowTitle = (rowKey: string): string => {
  if (rowKey.startsWith(mainPrefix)) return entityOfRow(rowKey)
  if (!rowKey.startsWith(ownPrefix)) return rowKey
  return `${entityOf(rowKey) ?? ''}, row ${ownKeyOf(rowKey)}`
}

/** The rows that an entity keeps itself in one birth, in the order of their keys. */
export const ownRows = (entity: string, birth: string): RowRange & { readonly gt: string } => {
  const gt = ownRowKey(entity, birth, '')
  return { gt, lt: `${ownPrefix}${entity}\0${birthAfter(birth)}` }
}

/** The least text after every text that begins with `birth`. */
const birthAfter = (birth: string): string =>
  birth.slice(0, -1) + String.fromCharCode(birth.charCodeAt(birthDigits - 1) + 1)

/** The rows that all entities keep themselves. */
export const allOwnRows = rowsOf('own')

/** The key of the row that says that a birth has ended, and its own rows are being removed. */
export const removalRowKey = (entity: string, birth: string): string =>
  `${removalPrefix}${entity}\0${birth}`

/** All such rows. */
export const removalRows = rowsOf('removal')

/** Whether a row says that own rows are being removed. */
export const isRemovalRow = rowsAre('removal')

/** The parts of such a row's key. @throws KeelsonError `CORRUPT` for another key */
export const parseRemoval = (
  rowKey: string,
): { readonly entity: string; readonly birth: string } => {
  if (entityOf(rowKey) === undefined || !isRemovalRow(rowKey)) throw badKey(rowKey)
  const end = rowKey.lastIndexOf('\0')
  return { entity: rowKey.slice(removalPrefix.length, end), birth: rowKey.slice(end + 1) }
}

/** The rows of keys that continue `prefix` with a NUL. */
const behind = (prefix: string): RowRange => ({ gt: `${prefix}\0`, lt: `${prefix}\x01` })

const indexPrefix = (kind: string, field: string): string =>
  `${prefixOf('index')}${kind}\0${checkPart('field', field)}`

/**
 * The key of an indexed field. `encoded` as `encodeIndexValue` returns it. @throws KeelsonError
 * `INVALID_ARGUMENT` for a field beyond 512 bytes
 */
export const indexRowKey = (kind: string, field: string, encoded: string, id: string): string =>
  `${indexPrefix(kind, field)}\0${encoded}\0${id}`

/** Bounds of encoded values: `equals`, or at most one lower and one upper bound. */
export type IndexBounds = {
  readonly equals?: string
  readonly gt?: string
  readonly gte?: string
  readonly lt?: string
  readonly lte?: string
}

/** The rows of an index with values in the bounds, in the order of their values, then of ids. */
export const indexRows = (
  kind: string,
  field: string,
  { equals, gt, gte = equals, lt, lte = equals }: IndexBounds = noOptions,
): RowRange => {
  const prefix = indexPrefix(kind, field)
  // A key goes on with a NUL after its value; with a greater byte its value is longer, and greater.
  const from = (encoded: string): string => `${prefix}\0${encoded}\0`
  const beyond = (encoded: string): string => `${prefix}\0${encoded}\x01`
  const start = gt === undefined ? gte && from(gte) : beyond(gt)
  const end = lt === undefined ? lte && beyond(lte) : from(lt)
  return { gte: start ?? `${prefix}\0`, lt: end ?? `${prefix}\x01` }
}

/**
 * The encoded value and the id in the key of an indexed field. @throws KeelsonError `CORRUPT` for
 * another key
 */
export const parseIndex = (rowKey: string): { readonly value: string; readonly id: string } => {
  const [value, id] = rowClassOf(rowKey) === 'index' ? rowKey.split('\0').slice(3) : []
  if (value === undefined || id === undefined || entityOf(rowKey) === undefined)
    throw badKey(rowKey)
  return { value, id }
}

/** The entity that a row belongs to, whatever its class; `undefined` for a row of no entity. */
export const entityOf = (rowKey: string): string | undefined => {
  const [, head = '', ...parts] = rowKey.split('\0')
  if (parts.includes('')) return undefined
  switch (rowClassOf(rowKey)) {
    case 'entity':
      return named(head.slice(1), parts.length === 0)
    case 'streamHead':
      return named(head.slice(1), parts.length <= 1)
    case 'alarm':
    case 'callId':
    case 'writtenKey':
      return named(head.slice(1), parts.length === 1)
    case 'due':
      return named(head.slice(1 + timeDigits), parts.length === 1 && isTimed(head))
    case 'streamChunk':
      return named(head.slice(1), isOfStream(parts) && isChunkPlace(parts.at(-1) ?? ''))
    case 'streamProducer':
      return named(head.slice(1), isOfStream(parts) && isBirth(partOf(parts.at(-1), birthDigits)))
    case 'own':
      return named(head.slice(1), parts.length === 1 && isBirth(partOf(parts[0], birthDigits)))
    case 'removal':
      return named(head.slice(1), isOfStream(parts) && isBirth(parts.at(-1) ?? ''))
    case 'index':
      return named(`${head.slice(1)}/${parts[2]}`, parts.length === 3)
    default:
      return undefined
  }
}

const isChunkPlace = (part: string): boolean => /^[0-9a-f]{30}$/.test(part)

/** Whether these are the parts after the entity of a row of one birth: before it the name of a stream, or nothing. */
const isOfStream = ({ length }: readonly string[]): boolean => length === 1 || length === 2

const partOf = (part: string | undefined, length: number): string =>
  part !== undefined && part.length > length ? part.slice(0, length) : ''

const named = (entity: string, isRow: boolean): string | undefined =>
  isRow && isEntity(entity) ? entity : undefined

const isTimed = (head: string): boolean => {
  const digits = head.slice(1, 1 + timeDigits)
  const ms = Number.parseInt(digits, 16)
  return Number.isSafeInteger(ms) && timeText(ms) === digits
}

/** Main rows, rows that an entity keeps itself, and those of streams, which other units set. */
const notBeside: ReadonlySet<RowClassName> = new Set([
  ...(['entity', 'own', 'streamHead', 'streamChunk', 'streamProducer'] as const),
])

/** Whether a row may belong beside the main row of `entity`, and is none that it keeps itself. */
export const isRowBeside = (entity: string, rowKey: string): boolean => {
  const bytes = utf8Length(rowKey)
  const rowClass = rowClassOf(rowKey)
  if (rowClass === undefined || notBeside.has(rowClass)) return false
  return bytes > 0 && bytes <= rowKeyBytesMax && entityOf(rowKey) === entity
}

const badKey = (rowKey: string): KeelsonError =>
  new KeelsonError('CORRUPT', 'the key of an entity’s row is damaged', {
    details: { key: rowKey, evidence: 'parts are missing' },
  })
