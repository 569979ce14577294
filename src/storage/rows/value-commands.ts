/**
 * Commands on the value of one key. Each returns an answer or a refusal. It writes to the rows that
 * it is given; the caller discards them if the unit is refused. A write to an expired compound
 * removes its remaining fields.
 */

import { sha256 } from '../../bytes/sha256.ts'
import { asBuffer } from '../../bytes/utf8.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { Command, PutEntry } from '../commands/command.ts'
import { type CommandAnswer, type Refusal, refused } from '../commands/command-answer.ts'
import { type Row, rowTags, type StoredValue } from '../ports/projection-store.ts'
import { canonicalText } from '../values/canonical-form.ts'
import {
  appendToRope,
  inlineRope,
  isStoredValue,
  patchRope,
  type Rope,
  type RopePart,
  ropeLength,
  ropeOf,
  ropeSlice,
  storedRope,
} from '../values/rope.ts'
import { decodeValue } from '../values/value.ts'
import { removeFields } from './field-commands.ts'
import { type ChangedRows, expiresAt, isExpired, living, type ReadBlob } from './rows.ts'

/** A command of one kind. */
type Of<K extends Command['kind']> = Extract<Command, { kind: K }>

/** The row that a put writes at `time`; `undefined` if it has already expired then. */
export const putRow = ({ value, expiry }: Omit<PutEntry, 'key'>, time: number): Row | undefined =>
  living({ value, expiresAt: expiresAt(expiry, time) }, time)

/** Replaces everything under `key` by `row`, or removes it. `before` is its current row. */
const replace = (rows: ChangedRows, key: string, before: Row | undefined, row?: Row): void => {
  if (before?.value.tag === rowTags.compound) removeFields(rows, key)
  if (row || before) rows.set(key, row)
}

/** Removes everything under `key`, whose row is `before`. */
export const removeKey = (rows: ChangedRows, key: string, before: Row): void =>
  replace(rows, key, before)

/** `put`, and each entry of a `putMany`. Reads the current row only if it may have fields. */
export const applyPut = (rows: ChangedRows, entry: PutEntry, time: number): void => {
  const before = rows.hints.compounds ? rows.get(entry.key) : undefined
  if (before?.value.tag === rowTags.compound) removeFields(rows, entry.key)
  rows.set(entry.key, putRow(entry, time))
}

/** `delete`, and each key of a `deleteMany`. Returns whether there was a value. */
export const applyDelete = (rows: ChangedRows, key: string, time: number): boolean => {
  const before = rows.get(key)
  if (!before) return false
  removeKey(rows, key, before)
  return !isExpired(before, time)
}

/** The current plain value, or `undefined`; a refusal for a compound. */
const plainValue = (
  key: string,
  row: Row | undefined,
): { readonly kind: 'value'; readonly value: StoredValue | undefined } | Refusal => {
  if (!row) return { kind: 'value', value: undefined }
  if (isStoredValue(row.value)) return { kind: 'value', value: row.value }
  return refused('WRONG_TYPE', key)
}

/** `set`. A compound counts as present and is replaced, but its value cannot be answered. */
export const applySet = (
  rows: ChangedRows,
  { key, value, expiry, condition, get }: Of<'set'>,
  time: number,
): CommandAnswer | Refusal => {
  const before = rows.get(key)
  const row = living(before, time)
  const found = get ? plainValue(key, row) : undefined
  if (found?.kind === 'refused') return found
  const written = condition === 'always' || (condition === 'present') === (row !== undefined)
  const ends = expiresAt(expiry, time, row?.expiresAt)
  if (written) replace(rows, key, before, living({ value, expiresAt: ends }, time))
  return { kind: 'set', written, previous: found?.value }
}

/** `getSet`: removes the expiry. */
export const applyGetSet = (
  rows: ChangedRows,
  { key, value }: Of<'getSet'>,
  time: number,
): CommandAnswer | Refusal => {
  const before = rows.get(key)
  const found = plainValue(key, living(before, time))
  if (found.kind === 'refused') return found
  replace(rows, key, before, { value, expiresAt: 0 })
  return { kind: 'getSet', previous: found.value }
}

/**
 * Whether two values are equal. If only a damaged blob could decide, they are not. A frame must be
 * applicable whatever happened to the files: the value stays, and its next reader (the caller of
 * the comparison first) gets the error. But a cache decides nothing without the blob: the other
 * members have it, and decide by it.
 */
const isExpected = (current: StoredValue, expected: StoredValue, rows: ChangedRows): boolean => {
  let damage: KeelsonError | undefined
  try {
    return valuesEqual(current, expected, (ref, from, to) => {
      try {
        return rows.blob(ref, from, to)
      } catch (error) {
        if (isKeelsonError(error, 'CORRUPT')) damage = error
        throw error
      }
    })
  } catch (error) {
    if (damage === undefined) throw error
    if (damage.details.reason === 'cache') throw undecided(damage)
    return false
  }
}

const undecided = (cause: KeelsonError): KeelsonError =>
  new KeelsonError(
    'SHARD_DOWN',
    'the cache lacks a blob that a comparison needs: stop the member, delete its folder, start it',
    { details: cause.details, cause },
  )

/** Whether a frame was not applied, as the cache lacks a blob: the next claim fetches what it has not whole. */
export const isUndecided = (error: unknown): error is KeelsonError =>
  isKeelsonError(error, 'SHARD_DOWN') && error.details.reason === 'cache'

/** `compareAndSet`. Without an expiry it keeps the current one. */
export const applyCompareAndSet = (
  rows: ChangedRows,
  { key, expected, value, expiry }: Of<'compareAndSet'>,
  time: number,
): CommandAnswer | Refusal => {
  const before = rows.get(key)
  const row = living(before, time)
  const found = plainValue(key, row)
  if (found.kind === 'refused') return found
  const current = found.value
  const swapped = expected && current ? isExpected(current, expected, rows) : expected === current
  if (!swapped) return { kind: 'compareAndSet', swapped, current }
  const ends = expiresAt(expiry, time, row?.expiresAt)
  replace(rows, key, before, living({ value, expiresAt: ends }, time))
  return { kind: 'compareAndSet', swapped, current: undefined }
}

/**
 * Changes the bytes of a value by `change`. An absent value starts empty, with the kind of `added`.
 * The expiry is kept.
 */
const changeBytes = (
  rows: ChangedRows,
  key: string,
  time: number,
  added: Rope,
  change: (rope: Rope) => Rope | undefined,
): number | Refusal => {
  const before = rows.get(key)
  const row = living(before, time)
  const found = plainValue(key, row)
  if (found.kind === 'refused') return found
  const rope = found.value ? ropeOf(found.value) : inlineRope(added.content, new Uint8Array(0))
  if (rope.content === 0 || added.content === 0) return refused('WRONG_TYPE', key)
  const next = change(rope)
  if (!next) return refused('TOO_LARGE', key)
  if (next !== rope)
    replace(rows, key, before, { value: storedRope(next), expiresAt: row?.expiresAt ?? 0 })
  return ropeLength(next)
}

/** `append`. Text after text is text; any other combination is bytes. */
export const applyAppend = (
  rows: ChangedRows,
  { key, suffix }: Of<'append'>,
  time: number,
): CommandAnswer | Refusal => {
  const added = ropeOf(suffix)
  const length = changeBytes(rows, key, time, added, (rope) => appendToRope(rope, added))
  return typeof length === 'number' ? { kind: 'append', length } : length
}

/** `setRange`. An empty patch changes nothing. `patchRope` says when the result is text. */
export const applySetRange = (
  rows: ChangedRows,
  { key, offset, patch }: Of<'setRange'>,
  time: number,
): CommandAnswer | Refusal => {
  const added = ropeOf(patch)
  const length = changeBytes(rows, key, time, added, (rope) => patchRope(rope, offset, added))
  return typeof length === 'number' ? { kind: 'setRange', length } : length
}

/** `expire` and `persist`: of a value, or of a compound with all its fields. */
export const applyExpiry = (
  rows: ChangedRows,
  command: Of<'expire' | 'persist'>,
  time: number,
): CommandAnswer => {
  const { kind, key } = command
  const row = living(rows.get(key), time)
  if (!row) return { kind, existed: false }
  const ends = command.kind === 'expire' ? expiresAt(command.expiry, time) : 0
  const next = living({ value: row.value, expiresAt: ends }, time)
  if (next) rows.set(key, next)
  else removeKey(rows, key, row)
  return { kind, existed: true }
}

// Equality of stored values for `compareAndSet`. Kinds are distinct (text never equals bytes, 1
// never 1n, -0 never 0). NaN equals itself. The order of keys, Map entries and Set members does not
// count.
//
// Structured values are compared by a canonical text, so that nested sets do not make it slow.

/** Whether two values are equal. `blob` is read only if lengths and checksums do not decide. */
export const valuesEqual = (left: StoredValue, right: StoredValue, blob: ReadBlob): boolean => {
  if (left.tag === right.tag && sameBytes(left.bytes, right.bytes)) return true
  const [one, other] = [ropeOf(left), ropeOf(right)]
  if (one.content !== other.content) return false
  if (one.content === 0) return structuredEqual(one, other, blob)
  return contentEqual(one, other, blob)
}

const sameBytes = (left: Uint8Array, right: Uint8Array): boolean =>
  left.length === right.length && asBuffer(left).equals(right)

/** The bytes of a rope that are compared at once. */
const windowBytes = 1024 * 1024

const contentEqual = (one: Rope, other: Rope, blob: ReadBlob): boolean => {
  const length = ropeLength(one)
  if (length !== ropeLength(other)) return false
  const [left, right] = [sumOf(one), sumOf(other)]
  if (left && right) return sameBytes(left, right)
  for (let from = 0; from < length; from += windowBytes) {
    const to = Math.min(length, from + windowBytes)
    if (!sameBytes(readRope(one, from, to, blob), readRope(other, from, to, blob))) return false
  }
  return true
}

/**
 * The SHA-256 of a rope's content, if it is stored or the bytes are inline; `undefined` for a rope
 * of several parts.
 */
const sumOf = ({ parts }: Rope): Uint8Array | undefined => {
  const [only] = parts
  if (!only || parts.length > 1) return undefined
  if (only.kind === 'inline') return sha256(only.bytes)
  return only.from === 0 && only.to === only.ref.size ? only.ref.sha256 : undefined
}

/** The bytes of a rope from `from` up to `to`. */
const readRope = (rope: Rope, from: number, to: number, blob: ReadBlob): Uint8Array => {
  const bytes = new Uint8Array(to - from)
  let at = 0
  for (const part of ropeSlice(rope, from, to))
    for (const piece of piecesOf(part, blob)) {
      bytes.set(piece, at)
      at += piece.length
    }
  return bytes
}

function* piecesOf(part: RopePart, blob: ReadBlob): IterableIterator<Uint8Array> {
  if (part.kind === 'inline') yield part.bytes
  else
    for (let from = part.from; from < part.to; from += windowBytes)
      yield blob(part.ref, from, Math.min(part.to, from + windowBytes))
}

/**
 * Encodings of equal values have nearly the same length: only the places of extension types (values
 * that msgpack cannot express) depend on the order. Values that differ by more are not read.
 */
const mayBeEqual = (one: number, other: number): boolean =>
  Math.max(one, other) <= 8 * Math.min(one, other) + 1024

const structuredEqual = (one: Rope, other: Rope, blob: ReadBlob): boolean => {
  const [left, right] = [sumOf(one), sumOf(other)]
  if (left && right && sameBytes(left, right)) return true
  if (!mayBeEqual(ropeLength(one), ropeLength(other))) return false
  return canonicalOf(one, blob) === canonicalOf(other, blob)
}

const canonicalOf = (rope: Rope, blob: ReadBlob): string =>
  canonicalText(decodeValue({ tag: 0, bytes: readRope(rope, 0, ropeLength(rope), blob) }))
