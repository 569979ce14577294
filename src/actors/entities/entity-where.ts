/**
 * The conditions of `where`, for lists and watches of entities: checked, as bounds of encoded values,
 * and compared with the fields of the index. Pure.
 */
import { anything, argument, recordOf } from '../../check.ts'
import { invalidArgument } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import {
  compareKeys,
  encodeIndexValue,
  type IndexBounds,
  indexRows,
  parseIndex,
  type RowRange,
  type Turn,
} from '../../storage/index.ts'
import { ownOptions } from '../core/argument-check.ts'
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

/** Fields of the index, each with what it is compared with. A server names its fields in its type. */
export type Where<F> = [keyof F & string] extends [never]
  ? 'name the fields of the index: DurableServer<Messages, State, Fields>'
  : FieldsSought<F>

/** One field at least. */
type FieldsSought<F> = {
  readonly [K in keyof F & string]-?: { readonly [P in K]: Sought<Exclude<F[K], undefined>> } & {
    readonly [P in Exclude<keyof F & string, K>]?: Sought<Exclude<F[P], undefined>>
  }
}[keyof F & string]

/** A checked condition: the encoded values of a field that it holds for, and the rows of these. */
export type Condition = {
  readonly field: string
  readonly bounds: IndexBounds
  readonly rows: RowRange
  /** The beginning of every row of the field. */
  readonly prefix: string
}

/** The most conditions of one `where`. */
const conditionsMax = 32

/** A copy of `where`, for a question that is sent on. */
export const copiedWhere = (where: object): object =>
  Object.fromEntries(
    fieldsIn(where).map(([field, sought]) => [field, isBetween(sought) ? { ...sought } : sought]),
  )

/**
 * The conditions in the order of their fields in `where`. A field that is `undefined` has none.
 * @throws KeelsonError `INVALID_ARGUMENT`, also without a condition; `TOO_LARGE` for a long value
 */
export const conditionsIn = (kind: string, where: object): readonly [Condition, ...Condition[]] => {
  const [first, ...others] = fieldsIn(where).map(([field, sought]): Condition => {
    const bounds = isBetween(sought)
      ? boundsOf(field, sought)
      : { equals: encodeIndexValue(sought as string, 'where', field) }
    const prefix = indexRows(kind, field).gte as string
    return { field, bounds, rows: indexRows(kind, field, bounds), prefix }
  })
  if (first === undefined || others.length >= conditionsMax)
    throw invalidArgument('where', `1 to ${conditionsMax} fields of the index`, where)
  return [first, ...others]
}

const isBetween = (sought: unknown): sought is object =>
  typeof sought === 'object' && sought !== null

const fieldsIn = (where: unknown): [string, unknown][] =>
  Object.entries(anyFields(where, argument('where'))).filter(([, sought]) => sought !== undefined)

const anyFields = recordOf(anything)

const boundNames = ['gt', 'gte', 'lt', 'lte'] as const

/** The bounds as the index has them. A missing one is the end of the other's type. */
const boundsOf = (field: string, sought: object): IndexBounds => {
  const { gt, gte, lt, lte } = ownOptions(sought as Between<string | number>, boundNames, [
    'where',
    field,
  ])
  const [lower, upper] = [gt ?? gte, lt ?? lte]
  const type = typeof (lower ?? upper)
  const isMixed = upper !== undefined && typeof upper !== type
  const isDouble =
    (gt !== undefined && gte !== undefined) || (lt !== undefined && lte !== undefined)
  if ((type !== 'number' && type !== 'string') || isMixed || isDouble)
    throw invalidArgument(`where.${field}`, 'one lower and one upper bound of one type', sought)
  const encoded = (bound: string | number | undefined): string | undefined =>
    bound === undefined ? undefined : encodeIndexValue(bound, 'where', field)
  // The first character of an encoded value is its type.
  const first = encodeIndexValue((lower ?? upper) as string, 'where', field).charAt(0)
  const beyond = String.fromCharCode(first.charCodeAt(0) + 1)
  return {
    ...(gt !== undefined ? { gt: encoded(gt) as string } : { gte: encoded(gte) ?? first }),
    ...(lte !== undefined ? { lte: encoded(lte) as string } : { lt: encoded(lt) ?? beyond }),
  }
}

/** Whether a condition holds for an encoded value; `undefined`: the entity does not have the field. */
export const holdsFor = ({ bounds }: Condition, encoded: string | undefined): boolean => {
  const { equals, gt, gte, lt, lte } = bounds
  if (encoded === undefined) return false
  if (equals !== undefined) return encoded === equals
  const isAbove = gt === undefined || compareKeys(encoded, gt) > 0
  const isBelow = lt === undefined || compareKeys(encoded, lt) < 0
  const isFrom = gte === undefined || compareKeys(encoded, gte) >= 0
  return isAbove && isBelow && isFrom && (lte === undefined || compareKeys(encoded, lte) <= 0)
}

/** Whether all hold for these fields. Of an entity whose fields cannot be read that is not known: they may. */
export const allHold = (conditions: readonly Condition[], fields: Fields | undefined): boolean =>
  fields === undefined ||
  conditions.every((condition) => holdsFor(condition, encodedIn(fields, condition)))

const encodedIn = (fields: Fields, { field }: Condition): string | undefined => {
  const value = ownOf(fields, field)
  return value === undefined ? undefined : encodeIndexValue(value)
}

/**
 * The place of an entity among all for which the conditions hold, after turns in their order: it is `in`, it
 * has `left`, or neither. `fields`: after them; `undefined`: not known.
 * The rows of a turn say which values it took from the index, so nobody has to remember who was in.
 * `isExact`: each turn had its effect, and the fields are as the last of them left them. Otherwise some may
 * have been refused, and later ones may have changed the fields: then an entity `left` that had a value
 * for which a condition holds, so none is left out, and one may come that had not been in.
 */
export const placeAfter = (
  conditions: readonly Condition[],
  turns: readonly Pick<Turn, 'rows'>[],
  fields: Fields | undefined,
  isExact: boolean,
): 'in' | 'left' | undefined => {
  if (fields === undefined || allHold(conditions, fields)) return 'in'
  const hadValue = (condition: Condition): boolean => {
    const values = valuesBefore(condition, turns)
    if (!isExact) return values.some((value) => holdsFor(condition, value))
    return holdsFor(condition, values.length > 0 ? values[0] : encodedIn(fields, condition))
  }
  const wasIn = isExact ? conditions.every(hadValue) : conditions.some(hadValue)
  return wasIn ? 'left' : undefined
}

/** The value of a field before each turn that changed it; `undefined`: the entity did not have the field. */
const valuesBefore = (
  { prefix }: Condition,
  turns: readonly Pick<Turn, 'rows'>[],
): readonly (string | undefined)[] =>
  turns.flatMap(({ rows }) => {
    const changes = rows.filter(([rowKey]) => rowKey.startsWith(prefix))
    const taken = changes.find(([, bytes]) => bytes === undefined)
    return changes.length === 0 ? [] : [taken && parseIndex(taken[0]).value]
  })
