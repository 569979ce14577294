/**
 * Keys with their present values, and durable actors with their present states, in a form that
 * people can read with SQL. A value is JSON if JSON can express it and PostgreSQL's `jsonb` takes
 * it, else bytes. A large value is given by its size alone. The log has the value in any case.
 */
import { plainJson } from '../../bytes/json.ts'
import {
  decodeValue,
  entityRowKey,
  isStoredValue,
  type ReadableChange,
  type ReadableKey,
  type Row,
  readEntityBody,
  readEntityRow,
  ropeLength,
  ropeOf,
  type StoredValue,
  valueTags,
} from '../../storage/index.ts'
import type { ShardCore } from '../core/shard-core.ts'

/** Larger values and states are not shown. They make a row of SQL unwieldy, and take memory here. */
const shownBytesMax = 64 * 1024

/** The most fields of a compound that are shown. */
const shownFieldsMax = 1_000

/** Deeper values are given as bytes: the server's parser recurses. */
const depthMax = 64

/** The key as it is now. @throws KeelsonError `SHARD_DOWN`, `CORRUPT` */
export const readableChange = (shard: ShardCore, key: string): ReadableChange => {
  const asOf = shard.appliedLsn
  const row = shard.view().get(key, shard.now())
  if (!row) return { kind: 'gone', key }
  const shown = isStoredValue(row.value) ? shownValue(row.value) : fieldsOf(shard, key, row)
  return { kind: 'key', asOf, row: { key, expiresAt: row.expiresAt, ...shown } }
}

/** The actor as it is now. @throws KeelsonError `SHARD_DOWN`, `CORRUPT`, `UNSUPPORTED_VERSION` */
export const readableEntity = (shard: ShardCore, entity: string): ReadableChange => {
  const asOf = shard.appliedLsn
  const row = shard.view().row(entityRowKey(entity))
  if (!row) return { kind: 'ended', entity }
  const { body } = readEntityRow(row)
  const { version, state, fields } = readEntityBody(body)
  const shown = body.length > shownBytesMax ? undefined : jsonText(state)
  return {
    kind: 'entity',
    asOf,
    row: {
      entity,
      version,
      size: body.length,
      fields: jsonText(fields) ?? '{}',
      ...(shown !== undefined && { state: shown }),
    },
  }
}

type Shown = Pick<ReadableKey, 'type' | 'json' | 'bytes' | 'size'>

const types = ['structured', 'text', 'bytes'] as const

const shownValue = (stored: StoredValue): Shown => {
  const rope = ropeOf(stored)
  const type = types[rope.content]
  const size = ropeLength(rope)
  if (stored.tag === valueTags.blob || size > shownBytesMax) return { type, size }
  const json = type === 'bytes' ? undefined : jsonText(decodeValue(stored))
  return json === undefined ? { type, size, bytes: stored.bytes } : { type, size, json }
}

const fieldsOf = (shard: ShardCore, key: string, row: Row): Shown => {
  const size = countIn(row.value.bytes)
  if (size > shownFieldsMax) return { type: 'fields', size }
  const fields: string[] = []
  let bytes = 0
  for (const [field, { value }] of shard.view().fields(key, shard.now())) {
    bytes += field.length + value.bytes.length
    if (bytes > shownBytesMax || !isStoredValue(value)) return { type: 'fields', size }
    const [name, shown] = [jsonText(field), shownValue(value)]
    if (name !== undefined) fields.push(`${name}:${shown.json ?? 'null'}`)
  }
  return { type: 'fields', size, json: `{${fields.join(',')}}` }
}

const countIn = (bytes: Uint8Array): number =>
  Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(0, true))

/**
 * A value as JSON that `jsonb` takes; `undefined` if there is none: for NUL, lone surrogates, and
 * values that are too deep. Bytes within it become text in base64, a Map becomes an object or
 * pairs, a large integer becomes text.
 */
export const jsonText = (value: unknown): string | undefined => {
  try {
    // Most values are plain, and a copy of each would cost more than its text.
    const text = plainJson(isPlain(value, 0) ? value : plain(value, 0))
    return text === undefined || isRefused(text) ? undefined : text
  } catch {
    return undefined
  }
}

/** NUL, and lone surrogates, which `JSON.stringify` escapes. */
const refused = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/

const isRefused = (text: string): boolean => text.includes('\\u') && refused.test(text)

/** Whether `plain` would only copy the value. */
const isPlain = (value: unknown, depth: number): boolean => {
  if (typeof value !== 'object' || value === null) return typeof value !== 'bigint'
  if (depth > depthMax) return false
  if (Array.isArray(value)) return value.every((each) => isPlain(each, depth + 1))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  for (const key in value)
    if (!isPlain((value as Record<string, unknown>)[key], depth + 1) && Object.hasOwn(value, key))
      return false
  return true
}

const plain = (value: unknown, depth: number): unknown => {
  if (depth > depthMax) throw new Error('too deep')
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Date) return value
  if (ArrayBuffer.isView(value))
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  const inside = (each: unknown): unknown => plain(each, depth + 1)
  if (Array.isArray(value)) return value.map(inside)
  if (value instanceof Set) return [...value].map(inside)
  if (value instanceof Map)
    return [...value.keys()].every((key) => typeof key === 'string')
      ? Object.fromEntries([...value].map(([key, each]) => [key, inside(each)]))
      : [...value].map(inside)
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, inside(each)]))
}
