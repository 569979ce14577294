/** Checks of arguments that several writes share. Pure. */

import { utf8Length } from '../../bytes/utf8.ts'
import { argument, readOptions } from '../../check.ts'
import { type ArgumentPath, invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import { isThenable } from '../../runtime/index.ts'
import {
  checkKey,
  encodeValue,
  fieldBytesMax,
  keyBytesMax,
  ownerBytesMax,
  type StoredValue,
} from '../../storage/index.ts'

/**
 * A copy of the options of a call, which have no other names than these; each is read once. `path`
 * leads to them, if they are a member of a list.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const ownOptions = <T extends object>(
  options: T,
  names: readonly string[],
  path: readonly (string | number)[] = [],
): T =>
  path.length === 0
    ? readOptions(options, names, whole)
    : readOptions(options, names, argument(path), argument(path.join('.')))

const whole = argument()

/**
 * Requires a signal that has not aborted, or none.
 * @throws KeelsonError `INVALID_ARGUMENT`; the reason of one that has aborted
 */
export const checkSignal = (signal: unknown): void => {
  if (signal === undefined) return
  if (!(signal instanceof AbortSignal)) throw invalidArgument('signal', 'an AbortSignal', signal)
  signal.throwIfAborted()
}

/**
 * Returns the key at `path`, checked.
 * @throws KeelsonError `INVALID_ARGUMENT` with `details.path`
 */
export const checkedKey = (key: unknown, path: ArgumentPath = 'key'): string => {
  try {
    return checkKey(key)
  } catch (error) {
    throw at(path, error)
  }
}

/**
 * Returns the field of a compound key at `path`, checked: the rules of a key, 1 to 512 bytes.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const checkedField = (field: unknown, path: ArgumentPath = 'field'): string => {
  const bytes = typeof field === 'string' ? utf8Length(field) : 0
  if (bytes < 1 || bytes > fieldBytesMax || (field as string).includes('\0'))
    throw invalidArgument(
      path,
      `well-formed text of 1 to ${fieldBytesMax} bytes without NUL`,
      field,
    )
  return field as string
}

/**
 * Returns the name of a namespace, checked: the text before a key's first colon.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const checkedNamespace = (namespace: unknown): string => {
  const bytes = typeof namespace === 'string' ? utf8Length(namespace) : 0
  if (bytes < 1 || bytes >= keyBytesMax || /[:\0]/.test(namespace as string))
    throw invalidArgument('namespace', 'the text before the first colon of a key', namespace)
  return namespace as string
}

/**
 * Encodes the value at `path`.
 * @throws KeelsonError as `encodeValue` does; its path is appended to `path`
 */
export const storedValue = (value: unknown, path: readonly (string | number)[]): StoredValue => {
  try {
    return encodeValue(value)
  } catch (error) {
    const { path: below = [] } = isKeelsonError(error) ? error.details : {}
    throw at([...path, ...(below as (string | number)[])], error)
  }
}

/** Returns the name of a lock's owner, checked. @throws KeelsonError `INVALID_ARGUMENT` */
export const checkedOwner = (owner: unknown): string => {
  const bytes = typeof owner === 'string' ? utf8Length(owner) : 0
  if (bytes < 1 || bytes > ownerBytesMax)
    throw invalidArgument('owner', `well-formed text of 1 to ${ownerBytesMax} bytes`, owner)
  return owner as string
}

/**
 * Returns the members of a user's list: an array, the entries of a Map, or any iterable but a
 * string.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const listOf = (list: unknown, path: string): readonly unknown[] => {
  // A copy: `map` would pass over the holes of an array.
  if (typeof list === 'object' && list !== null && Symbol.iterator in list)
    return Array.from(list as Iterable<unknown>)
  throw invalidArgument(path, 'a list', list)
}

/**
 * Returns the answer of a function of the user's. The failure of a promise would be nobody's.
 * @throws KeelsonError `INVALID_ARGUMENT` for a promise
 */
export const answeredAtOnce = <T>(answer: T, path: ArgumentPath): T => {
  if (!isThenable(answer)) return answer
  Promise.resolve(answer).catch(() => undefined)
  throw invalidArgument(path, 'a function that returns no promise', answer)
}

/** Returns a pair of a list, checked. @throws KeelsonError `INVALID_ARGUMENT` */
export const pairOf = (pair: unknown, path: ArgumentPath): readonly [unknown, unknown] => {
  if (!Array.isArray(pair) || pair.length !== 2)
    throw invalidArgument(path, 'a pair of a name and a value', pair)
  return pair as unknown as readonly [unknown, unknown]
}

/** Adds the path to a refusal by storage, which does not know it. */
const at = (path: ArgumentPath, error: unknown): unknown =>
  isKeelsonError(error, 'INVALID_ARGUMENT')
    ? new KeelsonError('INVALID_ARGUMENT', error.message, {
        details: { ...error.details, path },
        ...('cause' in error ? { cause: error.cause } : {}),
      })
    : error
