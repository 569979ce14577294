/**
 * The arguments of `list`, checked: the rows to walk through, and the page. Without `where` these
 * are the main rows of a kind, in the order of ids; with it, the rows of the index of its first field,
 * and the other fields choose among them. Pure.
 */
import { invalidArgument, KeelsonError } from '../../errors.ts'
import {
  entityOf,
  entityRowKey,
  entityRows,
  parseIndex,
  type RowRange,
  successor,
} from '../../storage/index.ts'
import { ownOptions } from '../core/argument-check.ts'
import { fingerprintOf, keyBehind } from '../store/page-cursor.ts'
import { behind } from '../store/range-query.ts'
import type { Fields } from '../turns/memory.ts'
import { type Condition, conditionsIn, copiedWhere, type Where } from './entity-where.ts'

/** The options of `list`. */
export type ListOptions<F = Fields> = {
  /**
   * At most 32 fields, each with its value or bounds: entities for which all hold. The index of the first
   * field is walked through, so they are in the order of its values, then of their ids. The others choose
   * among them: a page looks at 1,000 entities of each member at most, or at `limit`, and may have fewer,
   * or none, and a cursor. A field that `index` does not give finds none.
   */
  readonly where?: Where<F>
  /** Only ids that begin so. Not together with bounds of the first field of `where`. */
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
  /** They hold for each entity of the page, which is in the range. */
  readonly conditions: readonly Condition[]
  /** The id in the key of a row. */
  readonly idOf: (rowKey: string) => string
  /** Identifies the query, for its cursors. */
  readonly fingerprint: () => string
}

const optionNames = ['where', 'prefix', 'limit', 'cursor', 'order', 'states']

/** A copy of the options, for a query that is sent on. @throws KeelsonError `INVALID_ARGUMENT` */
export const listOptions = (options: ListOptions<never>): ListOptions<never> => {
  const own = ownOptions(options, optionNames)
  return own.where === undefined ? own : Object.assign(own, { where: copiedWhere(own.where) })
}

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
  const [first, ...conditions] = where === undefined ? [] : conditionsIn(kind, where)
  const all = first ? found(first, prefix) : begun(entityRows(kind), prefix)
  const reverse = order === 'desc'
  const fingerprint = (): string => {
    const chosen = conditions.map(({ rows }) => [rows.gt, rows.gte, rows.lt])
    return fingerprintOf(kind, all.gt, all.gte, all.lt, order, states, ...chosen)
  }
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
  return { range: { ...range, reverse }, limit, states, conditions, idOf, fingerprint }
}

const checked = (kind: string, key: unknown): string => {
  if (typeof key === 'string' && entityOf(key)?.startsWith(`${kind}/`)) return key
  throw new KeelsonError('BAD_CURSOR', 'not a row of this kind')
}

/** The rows of a range whose keys go on with `prefix` after the part that all have. */
const begun = (all: RowRange, prefix: string): RowRange => {
  const start = (all.gt ?? all.gte) as string
  const end = successor(prefix)
  return {
    gte: start + prefix,
    ...(end === undefined ? all.lt && { lt: all.lt } : { lt: start + end }),
  }
}

const found = ({ bounds, rows }: Condition, prefix: string): RowRange => {
  if (bounds.equals !== undefined) return begun(rows, prefix)
  if (prefix !== '') throw invalidArgument('prefix', 'no prefix beside bounds', prefix)
  return rows
}
