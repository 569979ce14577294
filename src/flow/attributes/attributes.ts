/**
 * The attributes of a run or a job: small values under names, by which lists find it. They are user
 * data, as inputs are. An attribute of a run is one field of the index of its entity. The index row has
 * the value and the time of the last change of status, so that a page comes in the order of time. Pure.
 */
import { argument, type Check, optional, type Place, recordOf, refusal, that } from '../../check.ts'
import type { KeelsonError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import { encodeIndexValue } from '../../storage/index.ts'

/** The value of an attribute. */
export type AttributeValue = string | number | boolean

/** The attributes of a run or a job, by their names. */
export type Attributes = Readonly<Record<string, AttributeValue>>

/** Changes of attributes by their names. `null` removes one. */
export type AttributeChanges = Readonly<Record<string, AttributeValue | null>>

/** The most attributes of one run or job. */
const attributesMax = 16

/** The most changes at once: all of them removed, and as many set. */
const changesMax = 2 * attributesMax

/** The most characters of a name. */
const nameLengthMax = 64

/** The most bytes of a text. A key of an index row has no room for more. */
const textBytesMax = 256

/** Names that `where` and the options of lists have for other facts. */
const taken: readonly string[] = ['state', 'status']

const nameForm = /^[A-Za-z][\w.-]*$/

const isName = (name: string): boolean =>
  name.length <= nameLengthMax && nameForm.test(name) && !taken.includes(name)

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const controls = /[\0-\x1f\x7f-\x9f]/

const isValue = (found: unknown): boolean =>
  typeof found === 'string'
    ? found.isWellFormed() && !controls.test(found) && Buffer.byteLength(found) <= textBytesMax
    : typeof found === 'boolean' || Number.isFinite(found)

const value: Check<AttributeValue> = that(
  `a boolean, a finite number, or at most ${textBytesMax} bytes of text without control characters`,
  isValue,
)

const values = recordOf(optional(value))

/** A change of an attribute: `null` removes it, as `undefined` does. */
const changes = recordOf<AttributeValue | null, AttributeValue | null | undefined>((found, at) =>
  found === null || found === undefined ? null : value(found, at),
)

const names =
  `names of a letter, then letters, digits, _, - and .; at most ${nameLengthMax}; ` +
  `not ${taken.join(' or ')}`

const refuseNames = (given: readonly string[], at: Place): void => {
  const wrong = given.find((name) => !isName(name))
  if (wrong !== undefined) throw refusal(at, names, wrong)
}

const tooMany = (count: number, at: Place): KeelsonError =>
  refusal(at, `at most ${attributesMax} attributes`, `${count} attributes`)

/**
 * A copy of the attributes without the ones that are `undefined`; `undefined` if there are none. The
 * conditions of `where` are attributes, too.
 */
export const attributes: Check<
  Attributes | undefined,
  Readonly<Record<string, AttributeValue | undefined>>
> = (found, at) => {
  const given = Object.entries(values(found, at)).filter(([, each]) => each !== undefined)
  refuseNames(
    given.map(([name]) => name),
    at,
  )
  if (given.length > attributesMax) throw tooMany(given.length, at)
  return given.length === 0 ? undefined : (Object.fromEntries(given) as Attributes)
}

/** A copy of the changes of attributes, in which each removal is a `null`. */
export const attributeChanges: Check<AttributeChanges> = (found, at) => {
  const given = changes(found, at)
  const { length } = Object.keys(given)
  if (length > changesMax) throw refusal(at, `at most ${changesMax} changes`, `${length} changes`)
  refuseNames(Object.keys(given), at)
  return given
}

/**
 * The attributes after a change; `undefined` if there are none.
 * @throws KeelsonError `INVALID_ARGUMENT` for too many
 */
export const attributesAfter = (
  before: Attributes | undefined,
  change: AttributeChanges,
): Attributes | undefined => {
  const kept = Object.entries(Object.assign({}, before, change)).filter(([, each]) => each !== null)
  if (kept.length > attributesMax) throw tooMany(kept.length, argument('attributes'))
  return kept.length === 0 ? undefined : (Object.fromEntries(kept) as Attributes)
}

/** Whether each attribute that is sought is there, with the same value. */
export const areIn = (sought: Attributes, found: Attributes | undefined): boolean =>
  Object.entries(sought).every(([name, each]) => ownOf(found, name) === each)

/** The field of an attribute in the index. No other field of a run begins so. */
export const attributeField = (name: string): string => `:${name}`

/** Between the value and the time in an index row: less than every character of a text. */
const end = '\x01'

/** The index fields of attributes. `time`: the last change of status, as text in its order. */
export const attributeFields = (
  attributes: Attributes,
  time: string,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [
      attributeField(name),
      encodeIndexValue(value) + end + time,
    ]),
  )

/** The bounds of the index field in which this value is, with times from `since` to before `until`. */
export const attributeBetween = (
  value: AttributeValue,
  since: string,
  until: string | undefined,
): { readonly gte: string; readonly lt: string } => {
  const encoded = encodeIndexValue(value)
  return { gte: encoded + end + since, lt: encoded + (until === undefined ? '\x02' : end + until) }
}
