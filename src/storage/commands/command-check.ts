/**
 * Checks commands that come from outside the store: each field by its own check, which the table of
 * commands does not have, so that a reader of logs loads no codec of values. The result is a copy, so later changes by the
 * caller have no effect. An accepted command can be encoded, and decodes to an equal command.
 * Commands that the store builds itself are not checked again. Pure.
 */
import { types } from 'node:util'
import {
  argument,
  below,
  type Check,
  mapped,
  object,
  oneOf,
  optional,
  type Place,
  refusal,
  wholeFrom,
} from '../../check.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { type StoredValue, valueTags } from '../ports/projection-store.ts'
import { checkKey, fieldBytesMax, keyBytesMax, rootNamespace } from '../values/key.ts'
import { isCanonical } from '../values/value.ts'
import { type Command, frameUnitsMax, ownerBytesMax } from './command.ts'
import * as Fields from './command-fields.ts'
import { commandKinds, commandTable } from './command-table.ts'
import { textBytes } from './payload.ts'

const whole = argument([])

/**
 * Returns a copy of `found`, which must be one command. Values have the tags 0 to 2: only the store
 * makes references to blobs.
 * @throws KeelsonError `INVALID_ARGUMENT` with `details.path`, `details.expected` and
 * `details.found`
 */
export const checkCommand = (found: unknown): Command => reading(() => commandOf(found, whole))

/**
 * Returns a copy of `found`, which must be a list of 1 to 65,535 commands. @throws as
 * `checkCommand`
 */
export const checkCommands = (found: unknown): readonly Command[] =>
  reading(() => {
    const { length } = Array.isArray(found) ? found : []
    if (length > frameUnitsMax) throw refusal(whole, `at most ${frameUnitsMax} commands`, length)
    return some(commandOf)(found, whole)
  })

/** Runs a check. If a getter or proxy of the caller throws, the argument is invalid. */
const reading = <T>(check: () => T): T => {
  try {
    return check()
  } catch (error) {
    if (isKeelsonError(error)) throw error
    throw new KeelsonError('INVALID_ARGUMENT', 'reading the command threw', {
      details: { path: [], expected: 'plain data', found: 'an object that throws' },
      cause: error,
    })
  }
}

/** A list with at least one member. */
const some =
  <T>(item: Check<T>): Check<readonly T[]> =>
  (found, at) => {
    if (!Array.isArray(found) || found.length === 0)
      throw refusal(at, 'a list with at least one member', found)
    return Array.from(found, (member, index) => item(member, below(at, index)))
  }

/** A field for which `undefined` has a meaning. The caller must state it. */
const stated = (check: Check): Check => Object.assign(optional(check), { isStated: true })

/** The value, if `test` neither throws a `KeelsonError` nor says no. */
const passing = <T>(found: T, at: Place, expected: string, test: (found: T) => unknown): T => {
  try {
    if (test(found) !== false) return found
  } catch (error) {
    if (!isKeelsonError(error)) throw error
  }
  throw refusal(at, expected, found)
}

const textOf =
  (bytesMax: number): Check<string> =>
  (found, at) => {
    const expected = `well-formed text of 1 to ${bytesMax} bytes without NUL`
    return passing(found as string, at, expected, () =>
      typeof found === 'string' ? textBytes('text', found, bytesMax) : false,
    )
  }

const key: Check<string> = (found, at) =>
  passing(found as string, at, `a key of 1 to ${keyBytesMax} bytes`, () => checkKey(found))

const field = textOf(fieldBytesMax)
const owner = textOf(ownerBytesMax)

const namespaceText = textOf(keyBytesMax)
const namespace: Check = (found, at) => {
  const text = namespaceText(found, at)
  if (text.includes(':'))
    throw refusal(at, `${rootNamespace}, or the part of a key before its colon`, text)
  return text
}

/** Reads and checks the kind of an object. */
const kindOf = <K extends string>(found: unknown, at: Place, known: readonly K[]): K => {
  if (typeof found !== 'object' || found === null) throw refusal(at, 'an object', found)
  const kind: unknown = Reflect.get(found, 'kind')
  if (known.includes(kind as K)) return kind as K
  throw refusal(below(at, 'kind'), `one of ${known.join(', ')}`, kind)
}

const expiryOf =
  (...kinds: readonly string[]): Check =>
  (found, at) => {
    const kind = kindOf(found, at, kinds)
    const isTimed = kind === 'at' || kind === 'after'
    return object({ kind: () => kind, ...(isTimed && { ms: wholeFrom(1) }) })(found, at)
  }

const expiry = expiryOf('none', 'at', 'after')
const expiryOrKeep = expiryOf('none', 'at', 'after', 'keep')

const bytesOf: Check<Uint8Array> = (found, at) => {
  if (types.isUint8Array(found)) return new Uint8Array(found)
  throw refusal(at, 'a Uint8Array', found)
}

const valueParts = object({
  tag: oneOf(valueTags.structured, valueTags.text, valueTags.bytes),
  bytes: bytesOf,
})

/**
 * A copy of a value and its bytes. Text must be UTF-8. A structured value must be in the form that
 * `encodeValue` makes: of duplicate or numeric keys, or foreign extensions, decoding makes another
 * value. Only the store makes references to blobs.
 */
const value: Check<StoredValue> = (found, at) => {
  const copy = valueParts(found, at) as StoredValue
  if (copy.tag !== valueTags.bytes)
    passing(copy.bytes, below(at, 'bytes'), 'the bytes that encoding such a value makes', () =>
      isCanonical(copy),
    )
  return copy
}

const byteValue: Check<StoredValue> = (found, at) => {
  const checked = value(found, at)
  if (checked.tag !== valueTags.structured) return checked
  throw refusal(below(at, 'tag'), 'that of text or bytes', checked.tag)
}

const fieldEntry: Check = (found, at) => {
  if (!Array.isArray(found) || found.length !== 2)
    throw refusal(at, 'a pair of a field and a value', found)
  return [field(found[0], below(at, 0)), value(found[1], below(at, 1))]
}

const fieldChecks: ReadonlyMap<object, Check> = new Map<object, Check>([
  [Fields.key, key],
  [Fields.keys, some(key)],
  [Fields.field, field],
  [Fields.namespace, stated(namespace)],
  [Fields.leaseMs, wholeFrom(1)],
  // Not -0, which decodes as 0.
  [Fields.offset, mapped(wholeFrom(0), (bytes) => bytes + 0)],
  [Fields.condition, oneOf('always', 'absent', 'present')],
  [Fields.get, oneOf(true, false)],
  [Fields.expiry, expiry],
  [Fields.expiryOrKeep, expiryOrKeep],
  [Fields.expiryTime, expiryOf('at', 'after')],
  [Fields.lastValue, value],
  [Fields.lastBytes, byteValue],
  [Fields.expected, stated(value)],
  [Fields.entries, some(object({ key, value, expiry }))],
  [Fields.fields, some(fieldEntry)],
])

const checkOf = (kind: Command['kind']): Check => {
  const { fields, owner: owned } = commandTable[kind]
  const members = Object.entries(fields).map(([name, each]) => [name, fieldChecks.get(each)])
  return object({
    kind: () => kind,
    ...(Object.fromEntries(members) as Record<string, Check>),
    ...(owned === 'optional' && { owner: optional(owner) }),
    ...(owned === 'always' && { owner }),
  })
}

const checks = new Map(commandKinds.map((kind) => [kind, checkOf(kind)]))

const commandOf: Check<Command> = (found, at) =>
  checks.get(kindOf(found, at, commandKinds))?.(found, at) as Command
