/**
 * Builds commands from users' arguments. Every argument is checked and every value encoded, once,
 * before a write starts. A refusal here changes nothing. The store and its batches share these
 * functions. Pure.
 */

import { types } from 'node:util'
import { invalidArgument } from '../../errors.ts'
import { type Command, encodeValue, type PutEntry, type StoredValue } from '../../storage/index.ts'
import {
  checkedField,
  checkedKey,
  checkedNamespace,
  checkedOwner,
  listOf,
  pairOf,
  storedValue,
} from '../core/argument-check.ts'
import { refuseMany } from '../core/write-weight.ts'
import {
  checkedMs,
  expiryOf,
  expiryOrKeep,
  type LockTerms,
  type OwnerOption,
  ownerOf,
  type PutTerms,
  type SetTerms,
  setTermsOf,
} from '../writing/write-options.ts'

/** The command of one kind. */
export type CommandOf<Kind extends Command['kind']> = Extract<Command, { readonly kind: Kind }>

/** Pairs of name and value: a list, a Map, or `Object.entries` of an object. */
export type Pairs = Iterable<readonly [name: string, value: unknown]>

/** The command with the owner of the terms. Without an owner there is no copy. */
const owned = <C extends Command>(command: C, { owner }: OwnerOption): C =>
  owner === undefined ? command : { ...command, owner: checkedOwner(owner) }

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const put = (key: string, value: unknown, terms: PutTerms): CommandOf<'put'> => {
  return owned<CommandOf<'put'>>(
    { kind: 'put', key: checkedKey(key), value: encodeValue(value), expiry: expiryOf(terms) },
    terms,
  )
}

/** The terms of a put of a stream: all of a put but its value, and the expected length. */
export type StreamTerms = Omit<CommandOf<'put'>, 'kind' | 'value'> & {
  readonly size: number | undefined
}

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const streamTerms = (
  key: string,
  source: unknown,
  terms: PutTerms & { readonly size?: number },
): StreamTerms => {
  const isObject = typeof source === 'object' && source !== null
  if (!isObject || !(Symbol.asyncIterator in source || Symbol.iterator in source))
    throw invalidArgument('readable', 'a stream, or anything to iterate over', source)
  const size = terms.size === undefined ? undefined : checkedOffset(terms.size, 'size')
  return { key: checkedKey(key), size, expiry: expiryOf(terms), ...ownerOf(terms) }
}

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const set = (key: string, value: unknown, terms: SetTerms): CommandOf<'set'> => ({
  kind: 'set',
  key: checkedKey(key),
  value: encodeValue(value),
  ...setTermsOf(terms),
  ...ownerOf(terms),
})

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const getSet = (key: string, value: unknown, terms: OwnerOption): CommandOf<'getSet'> => ({
  kind: 'getSet',
  key: checkedKey(key),
  value: encodeValue(value),
  ...ownerOf(terms),
})

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const append = (
  key: string,
  suffix: string | Uint8Array,
  terms: OwnerOption,
): CommandOf<'append'> => ({
  kind: 'append',
  key: checkedKey(key),
  suffix: storedBytes(suffix, 'suffix'),
  ...ownerOf(terms),
})

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const setRange = (
  key: string,
  offset: number,
  patch: string | Uint8Array,
  terms: OwnerOption,
): CommandOf<'setRange'> => ({
  kind: 'setRange',
  key: checkedKey(key),
  offset: checkedOffset(offset, 'offset'),
  patch: storedBytes(patch, 'patch'),
  ...ownerOf(terms),
})

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const compareAndSet = (
  key: string,
  expected: unknown,
  value: unknown,
  terms: PutTerms,
): CommandOf<'compareAndSet'> => ({
  kind: 'compareAndSet',
  key: checkedKey(key),
  expected: expected === undefined ? undefined : storedValue(expected, ['expected']),
  value: encodeValue(value),
  expiry: expiryOrKeep(terms),
  ...ownerOf(terms),
})

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const remove = (key: string, terms: OwnerOption): CommandOf<'delete'> => ({
  kind: 'delete',
  key: checkedKey(key),
  ...ownerOf(terms),
})

/**
 * One expiry for all entries. Of a repeated key the last value counts. @throws KeelsonError
 * `INVALID_ARGUMENT`
 */
export const putMany = (entries: Pairs, terms: PutTerms): CommandOf<'putMany'> => {
  const expiry = expiryOf(terms)
  const checked = listed(entries, 'entries').map((entry, index): PutEntry => {
    const [key, value] = pairOf(entry, ['entries', index])
    return {
      key: checkedKey(key, ['entries', index, 'key']),
      value: storedValue(value, ['entries', index, 'value']),
      expiry,
    }
  })
  return { kind: 'putMany', entries: checked, ...ownerOf(terms) }
}

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const deleteMany = (
  keys: Iterable<string>,
  terms: OwnerOption,
): CommandOf<'deleteMany'> => ({
  kind: 'deleteMany',
  keys: keysOf(listed(keys, 'keys')),
  ...ownerOf(terms),
})

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const lock = <Kind extends 'lock' | 'extend'>(
  kind: Kind,
  keys: Iterable<string>,
  { owner, leaseMs }: LockTerms,
): CommandOf<'lock' | 'extend'> & { readonly kind: Kind } => ({
  kind,
  keys: lockable(keys),
  owner: checkedOwner(owner),
  leaseMs: checkedMs('leaseMs', leaseMs),
})

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const unlock = (
  keys: Iterable<string>,
  { owner }: { readonly owner: string },
): CommandOf<'unlock'> => ({ kind: 'unlock', keys: lockable(keys), owner: checkedOwner(owner) })

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const putField = (
  key: string,
  field: string,
  value: unknown,
  terms: OwnerOption,
): CommandOf<'putField'> => ({
  kind: 'putField',
  key: checkedKey(key),
  field: checkedField(field),
  value: encodeValue(value),
  ...ownerOf(terms),
})

/** Of a repeated field the last value counts. @throws KeelsonError `INVALID_ARGUMENT` */
export const putFields = (
  key: string,
  fields: Pairs,
  terms: OwnerOption,
): CommandOf<'putFields'> => {
  const checked = listed(fields, 'fields').map((pair, index) => {
    const [field, value] = pairOf(pair, ['fields', index])
    return [
      checkedField(field, ['fields', index, 'field']),
      storedValue(value, ['fields', index, 'value']),
    ] as const
  })
  if (checked.length === 0) throw invalidArgument('fields', 'at least one field', 'none')
  return { kind: 'putFields', key: checkedKey(key), fields: checked, ...ownerOf(terms) }
}

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const deleteField = (
  key: string,
  field: string,
  terms: OwnerOption,
): CommandOf<'deleteField'> => ({
  kind: 'deleteField',
  key: checkedKey(key),
  field: checkedField(field),
  ...ownerOf(terms),
})

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const expire = (key: string, ttlMs: number, terms: OwnerOption): CommandOf<'expire'> => ({
  kind: 'expire',
  key: checkedKey(key),
  expiry: { kind: 'after', ms: checkedMs('ttlMs', ttlMs) },
  ...ownerOf(terms),
})

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const persist = (key: string, terms: OwnerOption): CommandOf<'persist'> => ({
  kind: 'persist',
  key: checkedKey(key),
  ...ownerOf(terms),
})

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const clear = (
  terms: OwnerOption & { readonly namespace?: string },
): CommandOf<'clear'> => ({
  kind: 'clear',
  namespace: terms.namespace === undefined ? undefined : checkedNamespace(terms.namespace),
  ...ownerOf(terms),
})

/** The members of a write, refused before one of them is encoded. @throws as `refuseMany` */
const listed = (list: unknown, path: string): readonly unknown[] => {
  const members = listOf(list, path)
  refuseMany(members.length)
  return members
}

/** A list of keys, each checked. @throws KeelsonError `INVALID_ARGUMENT` */
export const keysOf = (keys: unknown): readonly string[] =>
  listOf(keys, 'keys').map((key, index) => checkedKey(key, ['keys', index]))

/** Keys to be locked: at least one, none of them twice. */
const lockable = (keys: unknown): readonly string[] => {
  const checked = [...new Set(keysOf(listed(keys, 'keys')))]
  if (checked.length === 0) throw invalidArgument('keys', 'at least one key', 'none')
  return checked
}

/** An offset in bytes. @throws KeelsonError `INVALID_ARGUMENT` */
export const checkedOffset = (offset: unknown, path: string): number => {
  if (!Number.isSafeInteger(offset) || (offset as number) < 0)
    throw invalidArgument(path, 'a whole number of bytes from 0', offset)
  return offset as number
}

/** Text or bytes, stored. */
const storedBytes = (value: unknown, path: string): StoredValue => {
  if (typeof value !== 'string' && !types.isUint8Array(value))
    throw invalidArgument(path, 'text or bytes', value)
  return storedValue(value, [path])
}
