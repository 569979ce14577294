/**
 * Checks commands that come from outside the store. A table names the fields of each kind and the
 * check of each field. The result is a copy, so later changes by the caller have no effect. An
 * accepted command can be encoded, and decodes to an equal command. Commands that the store builds
 * itself are not checked again. Pure.
 */
import { types } from 'node:util'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { type StoredValue, valueTags } from '../ports/projection-store.ts'
import { checkKey, fieldBytesMax, keyBytesMax, rootNamespace } from '../values/key.ts'
import { isCanonical } from '../values/value.ts'
import {
  type Command,
  type FrameUnits,
  frameUnitsMax,
  ownerBytesMax,
  type Unit,
} from './command.ts'
import { textBytes } from './payload.ts'

type Path = readonly (string | number)[]
type Check<T = unknown> = (found: unknown, path: Path) => T
type Fields = { readonly [name: string]: Check }

/**
 * Returns a copy of `found`, which must be one command. Values have the tags 0 to 2: only the store
 * makes references to blobs.
 * @throws KeelsonError `INVALID_ARGUMENT` with `details.path`, `details.expected` and
 * `details.found`
 */
export const checkCommand = (found: unknown): Command => reading(() => commandOf(found, []))

/**
 * Returns a copy of `found`, which must be a list of 1 to 65,535 commands. @throws as
 * `checkCommand`
 */
export const checkCommands = (found: unknown): readonly Command[] =>
  reading(() => shortList(commandOf, found))

/**
 * Returns a copy of `found`: a command, an atomic batch of commands, or a list of 1 to 65,535 of
 * both. @throws KeelsonError as `checkCommand`
 */
export const checkUnits = (found: unknown): FrameUnits =>
  reading(() => (Array.isArray(found) ? shortList(unitOf, found) : unitOf(found, [])))

const shortList = <T>(item: Check<T>, found: unknown): readonly T[] => {
  const { length } = Array.isArray(found) ? found : []
  if (length > frameUnitsMax) refuse([], `at most ${frameUnitsMax} commands`, length)
  return listOf(item)(found, [])
}

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

const refuse = (path: Path, expected: string, found: unknown): never => {
  const place = path.length === 0 ? 'the command' : `the command's ${path.join('.')}`
  throw new KeelsonError('INVALID_ARGUMENT', `${place} must be ${expected}`, {
    details: { path, expected, found: shown(found) },
  })
}

/** Names objects by their type: their text may be long, or run code of the caller. */
const shown = (found: unknown): string => {
  if (found === absent) return 'nothing'
  if (typeof found === 'string') return found.length > 64 ? `${found.slice(0, 64)}…` : found
  return typeof found === 'object' && found !== null ? 'an object' : String(found)
}

/**
 * Checks an object with exactly these fields. A field that the caller omits is checked as `absent`.
 */
const recordOf =
  (fields: Fields): Check<Record<string, unknown>> =>
  (found, path) => {
    if (typeof found !== 'object' || found === null || Array.isArray(found))
      return refuse(path, 'an object', found)
    for (const name of Object.keys(found))
      if (!Object.hasOwn(fields, name)) refuse([...path, name], 'absent', name)
    const copy: Record<string, unknown> = {}
    for (const [name, check] of Object.entries(fields)) {
      const given = Object.hasOwn(found, name) ? Reflect.get(found, name) : absent
      const checked = check(given, [...path, name])
      if (checked !== absent) copy[name] = checked
    }
    return copy
  }

/** Represents an omitted field. */
const absent = Symbol('absent')

const optional =
  (check: Check): Check =>
  (found, path) =>
    found === undefined || found === absent ? absent : check(found, path)

/** A field for which `undefined` has a meaning. The caller must state it. */
const orUndefined =
  (check: Check): Check =>
  (found, path) =>
    found === undefined ? undefined : check(found, path)

const listOf =
  <T>(item: Check<T>): Check<readonly T[]> =>
  (found, path) => {
    if (!Array.isArray(found) || found.length === 0)
      return refuse(path, 'a list with at least one member', found)
    return Array.from(found, (member, index) => item(member, [...path, index]))
  }

const wordOf =
  (...words: readonly unknown[]): Check =>
  (found, path) =>
    words.includes(found) ? found : refuse(path, `one of ${words.join(', ')}`, found)

const textOf =
  (bytesMax: number): Check<string> =>
  (found, path) => {
    const expected = `well-formed text of 1 to ${bytesMax} bytes without NUL`
    if (typeof found !== 'string') return refuse(path, expected, found)
    return at(path, expected, found, () => {
      textBytes('text', found, bytesMax)
      return found
    })
  }

/** Runs another check and adds the path to its refusal. */
const at = <T>(path: Path, expected: string, found: unknown, check: () => T): T => {
  try {
    return check()
  } catch (error) {
    return isKeelsonError(error) ? refuse(path, expected, found) : raise(error)
  }
}

const raise = (error: unknown): never => {
  throw error
}

const wholeFrom =
  (least: number): Check<number> =>
  (found, path) =>
    Number.isSafeInteger(found) && (found as number) >= least
      ? (found as number) + 0
      : refuse(path, `a whole number from ${least} on`, found)

const key: Check<string> = (found, path) =>
  at(path, `a key of 1 to ${keyBytesMax} bytes`, found, () => checkKey(found))

const field = textOf(fieldBytesMax)
const owner = textOf(ownerBytesMax)
const owned = { owner: optional(owner) }
const keys = listOf(key)

const namespaceText = textOf(keyBytesMax)
const namespace: Check = (found, path) => {
  const text = namespaceText(found, path)
  if (text.includes(':'))
    refuse(path, `${rootNamespace}, or the part of a key before its colon`, text)
  return text
}

const tags = [valueTags.structured, valueTags.text, valueTags.bytes]

/**
 * A copy of a value and its bytes. Text must be UTF-8. A structured value must be in the form that
 * `encodeValue` makes: of duplicate or numeric keys, or foreign extensions, decoding makes another
 * value.
 */
const value: Check<StoredValue> = (found, path) => {
  const { tag, bytes } = recordOf({ tag: wordOf(...tags), bytes: bytesOf })(found, path)
  const copy = { tag, bytes } as StoredValue
  const expected = 'the bytes that encoding such a value makes'
  if (tag !== valueTags.bytes)
    at([...path, 'bytes'], expected, found, () => isCanonical(copy) || refuse([], expected, found))
  return copy
}

const bytesOf: Check<Uint8Array> = (found, path) =>
  types.isUint8Array(found) ? new Uint8Array(found) : refuse(path, 'a Uint8Array', found)

const byteValue: Check<StoredValue> = (found, path) => {
  const checked = value(found, path)
  return checked.tag === valueTags.structured
    ? refuse([...path, 'tag'], 'that of text or bytes', checked.tag)
    : checked
}

/** Reads and checks the kind of an object. A getter is called only once. */
const kindOf = (found: unknown, path: Path, known: readonly string[]): string => {
  if (typeof found !== 'object' || found === null) return refuse(path, 'an object', found)
  const kind: unknown = Reflect.get(found, 'kind')
  return typeof kind === 'string' && known.includes(kind)
    ? kind
    : refuse([...path, 'kind'], `one of ${known.join(', ')}`, kind)
}

const expiryOf = (...kinds: readonly ('none' | 'at' | 'after' | 'keep')[]): Check => {
  return (found, path) => {
    const kind = kindOf(found, path, kinds)
    const isTimed = kind === 'at' || kind === 'after'
    return recordOf({ kind: () => kind, ...(isTimed ? { ms: wholeFrom(1) } : {}) })(found, path)
  }
}

const expiry = expiryOf('none', 'at', 'after')
const expiryOrKeep = expiryOf('none', 'at', 'after', 'keep')
const flag = wordOf(true, false)

const fieldEntry: Check = (found, path) => {
  if (!Array.isArray(found) || found.length !== 2)
    return refuse(path, 'a pair of a field and a value', found)
  return [field(found[0], [...path, 0]), value(found[1], [...path, 1])]
}

const locking = { keys, owner, leaseMs: wholeFrom(1) }

/** The fields of each kind of command. */
const commandFields: { readonly [kind in Command['kind']]: Fields } = {
  put: { key, value, expiry, ...owned },
  delete: { key, ...owned },
  set: {
    key,
    value,
    expiry: expiryOrKeep,
    condition: wordOf('always', 'absent', 'present'),
    get: flag,
    ...owned,
  },
  append: { key, suffix: byteValue, ...owned },
  getSet: { key, value, ...owned },
  setRange: { key, offset: wholeFrom(0), patch: byteValue, ...owned },
  compareAndSet: {
    key,
    expected: orUndefined(value),
    value,
    expiry: expiryOrKeep,
    ...owned,
  },
  lock: locking,
  extend: locking,
  unlock: { keys, owner },
  putField: { key, field, value, ...owned },
  putFields: { key, fields: listOf(fieldEntry), ...owned },
  deleteField: { key, field, ...owned },
  putMany: { entries: listOf(recordOf({ key, value, expiry })), ...owned },
  deleteMany: { keys, ...owned },
  expire: { key, expiry: expiryOf('at', 'after'), ...owned },
  persist: { key, ...owned },
  clear: { namespace: orUndefined(namespace), ...owned },
  removeExpired: { keys },
}

const kinds = Object.keys(commandFields)

const commandOf: Check<Command> = (found, path) => {
  const kind = kindOf(found, path, kinds) as Command['kind']
  return recordOf({ kind: () => kind, ...commandFields[kind] })(found, path) as Command
}

const unitOf: Check<Unit> = (found, path) => {
  if (kindOf(found, path, [...kinds, 'batch']) !== 'batch') return commandOf(found, path)
  const batch = recordOf({ kind: () => 'batch', commands: listOf(commandOf) })
  return batch(found, path) as Unit
}
