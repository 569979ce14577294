/**
 * The arguments of `list`, checked: the rows to walk through, and the page. Without `where` these
 * are the main rows of a kind, in the order of ids; with it, the rows of one index. Pure.
 */
import { anything, argument, recordOf } from '../../check.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import {
  encodeIndexValue,
  entityOf,
  entityRowKey,
  entityRows,
  type IndexBounds,
  indexRows,
  parseIndex,
  type RowRange,
  successor,
} from '../../storage/index.ts'
import { ownOptions } from '../core/argument-check.ts'
import { fingerprintOf, keyBehind } from '../store/page-cursor.ts'
import { behind } from '../store/range-query.ts'
import type { Fields } from '../turns/memory.ts'

/** The values of a field between bounds: at most one lower and one upper bound. */
export type Between<V> = {
  readonly gt?: V
  readonly gte?: V
  readonly lt?: V
  readonly lte?: V
}

/**
 * The condition on a field: one value, or bounds of numbers or of texts. Bounds find values of
 * their own type only.
 */
export type Sought<V> = V | Between<Extract<V, number>> | Between<Extract<V, string>>

/** One field of the index, with what it is compared with. A server names its fields in its type. */
export type Where<F> = [keyof F & string] extends [never]
  ? 'name the fields of the index: DurableServer<Messages, State, Fields>'
  : FieldSought<F>

type FieldSought<F> = {
  readonly [K in keyof F & string]-?: { readonly [P in K]: Sought<Exclude<F[K], undefined>> } & {
    readonly [P in Exclude<keyof F & string, K>]?: never
  }
}[keyof F & string]

/** The options of `list`. */
export type ListOptions<F = Fields> = {
  /**
   * One field, and its value or bounds. The entities are in the order of the field's values, then
   * of their ids. A field that `index` does not give finds none.
   */
  readonly where?: Where<F>
  /** Only ids that begin so. Not together with bounds in `where`. */
  readonly prefix?: string
  /** The most entries of one page; 100 by default. */
  readonly limit?: number
  /** Continues after the page that returned it, with the same other options. */
  readonly cursor?: string
  /** `asc` by default. */
  readonly order?: 'asc' | 'desc'
  /** False: entries have no states. */
  readonly states?: boolean
}

/** A checked query. */
export type EntityQuery = {
  readonly range: RowRange
  readonly limit: number
  readonly states: boolean
  /** The id in the key of a row. */
  readonly idOf: (rowKey: string) => string
  /** Identifies the query, for its cursors. */
  readonly fingerprint: () => string
}

const optionNames = ['where', 'prefix', 'limit', 'cursor', 'order', 'states']
const boundNames = ['gt', 'gte', 'lt', 'lte'] as const

/** A copy of the options, for a query that is sent on. @throws KeelsonError `INVALID_ARGUMENT` */
export const listOptions = (options: ListOptions<never>): ListOptions<never> =>
  ownOptions(options, optionNames)

/** @throws KeelsonError `INVALID_ARGUMENT`, `TOO_LARGE` for a long value, `BAD_CURSOR` */
export const entityQuery = (kind: string, options: ListOptions<never>): EntityQuery => {
  const own = listOptions(options)
  const { where, prefix = '', limit = 100, cursor, order = 'asc', states = true } = own
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw invalidArgument('limit', 'a whole number from 1', limit)
  if (order !== 'asc' && order !== 'desc') throw invalidArgument('order', 'asc or desc', order)
  if (typeof states !== 'boolean') throw invalidArgument('states', 'a boolean', states)
  if (typeof prefix !== 'string' || prefix.includes('\0'))
    throw invalidArgument('prefix', 'text without NUL', prefix)
  const all = where === undefined ? idsOf(kind, prefix) : found(kind, where, prefix)
  const reverse = order === 'desc'
  const fingerprint = (): string => fingerprintOf(kind, all.gt, all.gte, all.lt, order, states)
  const range =
    cursor === undefined
      ? all
      : behind(
          { ...all },
          reverse,
          keyBehind(cursor, fingerprint(), (key) => checked(kind, key)),
        )
  const idOf =
    where === undefined
      ? (rowKey: string) => rowKey.slice(entityRowKey(kind).length + 1)
      : (rowKey: string) => parseIndex(rowKey).id
  return { range: { ...range, reverse }, limit, states, idOf, fingerprint }
}

const checked = (kind: string, key: unknown): string => {
  if (typeof key === 'string' && entityOf(key)?.startsWith(`${kind}/`)) return key
  throw new KeelsonError('BAD_CURSOR', 'not a row of this kind')
}

const idsOf = (kind: string, prefix: string): RowRange => begun(entityRows(kind), prefix)

/** The rows of a range whose keys go on with `prefix` after the part that all have. */
const begun = (all: RowRange, prefix: string): RowRange => {
  const start = (all.gt ?? all.gte) as string
  const end = successor(prefix)
  return {
    gte: start + prefix,
    ...(end === undefined ? all.lt && { lt: all.lt } : { lt: start + end }),
  }
}

const found = (kind: string, where: object, prefix: string): RowRange => {
  const [[field, sought] = [], ...others] = fieldsIn(where)
  if (field === undefined || others.length > 0)
    throw invalidArgument('where', 'one field of the index', where)
  if (typeof sought !== 'object' || sought === null) {
    const equals = encodeIndexValue(sought as string)
    return begun(indexRows(kind, field, { equals }), prefix)
  }
  if (prefix !== '') throw invalidArgument('prefix', 'no prefix beside bounds', prefix)
  return indexRows(kind, field, boundsOf(field, sought))
}

const fieldsIn = (where: unknown): [string, unknown][] =>
  Object.entries(anyFields(where, argument('where'))).filter(([, sought]) => sought !== undefined)

const anyFields = recordOf(anything)

/** The bounds as the index has them. A missing one is the end of the other's type. */
const boundsOf = (field: string, sought: object): IndexBounds => {
  const { gt, gte, lt, lte } = ownOptions(sought as Between<string | number>, boundNames)
  const [lower, upper] = [gt ?? gte, lt ?? lte]
  const type = typeof (lower ?? upper)
  const isMixed = upper !== undefined && typeof upper !== type
  const isDouble =
    (gt !== undefined && gte !== undefined) || (lt !== undefined && lte !== undefined)
  if ((type !== 'number' && type !== 'string') || isMixed || isDouble)
    throw invalidArgument(`where.${field}`, 'one lower and one upper bound of one type', sought)
  const encoded = (bound: string | number | undefined): string | undefined =>
    bound === undefined ? undefined : encodeIndexValue(bound)
  // The first character of an encoded value is its type.
  const first = encodeIndexValue((lower ?? upper) as string).charAt(0)
  const beyond = String.fromCharCode(first.charCodeAt(0) + 1)
  return {
    ...(gt !== undefined ? { gt: encoded(gt) as string } : { gte: encoded(gte) ?? first }),
    ...(lte !== undefined ? { lte: encoded(lte) as string } : { lt: encoded(lt) ?? beyond }),
  }
}
