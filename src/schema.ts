/**
 * Schemas of other libraries, by the interface that they share: Standard Schema, version 1
 * (standardschema.dev). Nothing of it is a dependency: its types are written out here. A value is parsed
 * where it enters; what a schema does that it may not is a refusal, whatever it throws or answers. Pure.
 */
import { type Check, type Place, refusal } from './check.ts'
import { KeelsonError, reasonText } from './errors.ts'
import { isSecretName } from './redaction.ts'

/** An issue of a value, as a schema says it. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** The answer of a schema: the parsed value, or issues. */
export type SchemaResult<Out = unknown> =
  | { readonly value: Out; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/**
 * A schema of Zod, Valibot, ArkType or any other library with Standard Schema, version 1. `In`: the
 * values of callers. `Out`: the ones that are stored and handled.
 */
export interface StandardSchema<In = unknown, Out = In> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>
    readonly types?: { readonly input: In; readonly output: Out } | undefined
  }
}

/** The types of a schema. */
type TypesOf<S> = S extends { readonly '~standard': { readonly types?: infer T } }
  ? NonNullable<T>
  : never

/** The type that a caller gives to a schema. */
export type InferInput<S> = TypesOf<S> extends { readonly input: infer In } ? In : never

/** The type that a schema makes. */
export type InferOutput<S> = TypesOf<S> extends { readonly output: infer Out } ? Out : never

/**
 * Parses a value. `of` says what it is, such as `the input`.
 * @throws KeelsonError `INVALID_ARGUMENT`, with the first issues and their paths
 */
export type Parse = (value: unknown, of: string) => unknown

type Validate = (value: unknown) => unknown

/** Whether it says that it is a schema. A schema of ArkType is a function. */
export const isSchema = (found: unknown): boolean => {
  const mayBe = (typeof found === 'object' && found !== null) || typeof found === 'function'
  try {
    return mayBe && '~standard' in (found as object)
  } catch {
    return false
  }
}

/**
 * A schema, as the function that parses with it. It is called once with `undefined`: a promise is refused
 * here already. @throws KeelsonError the code of its place
 */
export const schema: Check<Parse, StandardSchema> = Object.assign(
  (found: unknown, at: Place): Parse => {
    const validate = validateOf(found)
    if (!validate) throw refusal(at, schema.expected as string, shownOf(found))
    if (isLate(() => validate(undefined)))
      throw refusal(at, 'a schema that answers at once', 'one that answers with a promise')
    return (value, of) => parsed(validate, value, of)
  },
  { expected: 'a Standard Schema of version 1, as of Zod, Valibot and ArkType' },
)

const validateOf = (found: unknown): Validate | undefined => {
  if (!isSchema(found)) return undefined
  try {
    const standard = (found as StandardSchema)['~standard']
    const { version, validate } = standard
    if ((version as unknown) !== 1 || typeof validate !== 'function') return undefined
    return (value) => standard.validate(value)
  } catch {
    return undefined
  }
}

/** A checked schema, of which a value is refused with `message` unless what it makes fits. */
export const thatMakes = (
  given: StandardSchema,
  fits: (made: unknown) => boolean,
  message: string,
): StandardSchema => {
  const standard = given['~standard']
  return {
    '~standard': {
      version: 1,
      vendor: standard.vendor,
      validate: (value) => {
        const answer = standard.validate(value)
        // Anything that is no answer is refused where it is read.
        const isMade = typeof answer === 'object' && answer && 'value' in answer && !answer.issues
        return isMade && !fits(answer.value) ? { issues: [{ message }] } : answer
      },
    },
  }
}

/** A refusal shows the value that it was given; a getter of a schema may throw. */
const shownOf = (found: unknown): unknown =>
  typeof found === 'function' || (typeof found === 'object' && found !== null)
    ? typeof found
    : found

/** Whether the probe has answered with a promise. Its throw says nothing: it may want no `undefined`. */
const isLate = (probe: () => unknown): boolean => {
  try {
    return isPromise(probe())
  } catch {
    return false
  }
}

/** Whether it is a promise, or another thenable. Nobody hears of its rejection then. */
const isPromise = (answer: unknown): boolean => {
  if (typeof (answer as Partial<Promise<unknown>> | null | undefined)?.then !== 'function')
    return false
  new Promise((resolve) => resolve(answer)).catch(() => undefined)
  return true
}

/** The value as the schema makes it. @throws KeelsonError `INVALID_ARGUMENT` */
const parsed = (validate: Validate, value: unknown, of: string): unknown => {
  const found = outcomeOf(validate, value)
  if ('value' in found) return found.value
  const { text, issues, cause } = found
  throw new KeelsonError('INVALID_ARGUMENT', `${of}: ${text}`, {
    details: issues ? { of, issues } : { of },
    cause,
  })
}

type ParseOutcome =
  | { readonly value: unknown }
  | {
      readonly text: string
      readonly issues?: readonly ShownIssue[]
      readonly cause?: unknown
    }

/** The answer of the schema, be it nonsense. Never throws. */
const outcomeOf = (validate: Validate, value: unknown): ParseOutcome => {
  try {
    const answer = validate(value) as SchemaResult | null | undefined
    if (isPromise(answer)) return { text: 'its schema answers with a promise' }
    const issues = answer?.issues
    if (issues) return refusedBy(issuesIn(issues))
    if (typeof answer === 'object' && answer !== null && 'value' in answer)
      return { value: answer.value }
    return { text: 'its schema answers with no value and no issues' }
  } catch (cause) {
    return { text: `its schema has thrown: ${reasonText(cause)}`, cause }
  }
}

/** An issue in `details`. */
type ShownIssue = { readonly path: string; readonly message: string }

type Issues = { readonly shown: readonly ShownIssue[]; readonly more: number }

/** The most issues that a refusal names, the most characters of their parts, and the most names of a path. */
const [issuesMax, textMax, pathMax] = [5, 200, 20]

/** The first issues. A list of another class may lie about its length. */
const issuesIn = (found: readonly SchemaIssue[]): Issues => {
  const length = Number.isSafeInteger(found.length) && found.length > 0 ? found.length : 1
  const shown: ShownIssue[] = []
  for (let at = 0; at < Math.min(length, issuesMax); at++) shown.push(shownIssue(found[at]))
  return { shown, more: length - shown.length }
}

/** A message at a name of a secret may have the secret in it. */
const shownIssue = (issue: SchemaIssue | undefined): ShownIssue => {
  const message = issue?.message
  const keys: readonly unknown[] = Array.isArray(issue?.path) ? issue.path.slice(0, pathMax) : []
  const names = keys.map((key) =>
    typeof key === 'object' && key !== null ? (key as { readonly key?: unknown }).key : key,
  )
  const text = typeof message === 'string' ? message : 'refused'
  return {
    path: cutText(names.reduce<string>(pathBelow, '')),
    message: names.some(isSecretName) ? 'refused' : cutText(text),
  }
}

const cutText = (text: string): string => text.slice(0, textMax).toWellFormed()

const pathBelow = (path: string, name: unknown): string => {
  if (typeof name === 'number') return `${path}[${name}]`
  return path === '' ? String(name) : `${path}.${String(name)}`
}

const refusedBy = ({ shown, more }: Issues): ParseOutcome => {
  const texts = shown.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
  const text = texts.join('; ')
  return { text: more > 0 ? `${text}; and ${more} more` : text, issues: shown }
}
