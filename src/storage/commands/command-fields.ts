/**
 * The fields of commands: how each is written to a frame, and read again. Writing refuses what
 * could not be read. Pure.
 */
import { KeelsonError } from '../../errors.ts'
import { isValueTag, type StoredValue } from '../ports/projection-store.ts'
import { fieldBytesMax, keyBytesMax } from '../values/key.ts'
import {
  type Expiry,
  expiryKinds,
  type FieldEntry,
  type KeepExpiry,
  keepExpiry,
  noExpiry,
  ownerBytesMax,
  type PutEntry,
  type SetCondition,
  setFlags,
} from './command.ts'
import type { PayloadReader, PayloadSink } from './payload.ts'

/** A field of a command. `command` is the whole of it, for fields that share a byte. */
export type Field<T> = {
  /** Without a `command` for a field that does not look at it. */
  write(sink: PayloadSink, value: T, command?: object): void
  readonly read: (reader: PayloadReader) => T
  /** The values that the store keeps of it. */
  readonly stored?: Stored<T>
}

/** The stored values of a field: all of them, whether one is such, and the field with others. */
export type Stored<T> = {
  readonly list: (field: T) => readonly StoredValue[]
  readonly some: (field: T, is: (value: StoredValue) => boolean) => boolean
  /** The same field if no value changed. */
  readonly replaced: (field: T, by: (value: StoredValue) => StoredValue) => T
}

const invalid = (message: string): KeelsonError => new KeelsonError('INVALID_ARGUMENT', message)

/** The refusal of a frame with a code of a later version. */
export const unsupported = (what: string, code: number): KeelsonError =>
  new KeelsonError('UNSUPPORTED_VERSION', `a newer version wrote this frame: ${what} ${code}`, {
    details: { what, code },
  })

/** Reads a byte that is 0 or 1. */
export const readFlag = (reader: PayloadReader, what: string): boolean => {
  const byte = reader.u8()
  if (byte > 1) throw unsupported(what, byte)
  return byte === 1
}

// Texts.

/** The owner of a lock. */
export const owner: Field<string> = {
  write: (sink, text) => sink.text('an owner', text, ownerBytesMax),
  read: (reader) => reader.text('an owner', ownerBytesMax),
}

/** A key. */
export const key: Field<string> = {
  write: (sink, text) => sink.text('a key', text, keyBytesMax),
  read: (reader) => reader.text('a key', keyBytesMax),
}

/** A field of a compound key. */
export const field: Field<string> = {
  write: (sink, text) => sink.text('a field', text, fieldBytesMax),
  read: (reader) => reader.text('a field', fieldBytesMax),
}

/** A namespace; `undefined`: every key. The caller must state it. */
export const namespace: Field<string | undefined> = {
  write(sink, text) {
    sink.u8(text === undefined ? 0 : 1)
    if (text) sink.text('a namespace', text, keyBytesMax)
    else if (text === '') sink.u16(0)
  },
  read(reader) {
    if (!readFlag(reader, 'scope of a clear')) return undefined
    const length = reader.u16()
    return length === 0 ? '' : reader.textOf('a namespace', length, keyBytesMax)
  },
}

// Numbers and words.

const readMs = (reader: PayloadReader, what: string): number => {
  const ms = reader.u64()
  if (ms === 0) throw reader.damaged(`${what} of 0 ms`)
  return ms
}

/** How long a lock is held. */
export const leaseMs: Field<number> = {
  write(sink, ms) {
    if (!(ms >= 1)) throw invalid('a lease must have at least 1 ms')
    sink.u64(ms)
  },
  read: (reader) => readMs(reader, 'a lease'),
}

/** An offset in bytes. */
export const offset: Field<number> = {
  write: (sink, bytes) => sink.u64(bytes),
  read: (reader) => reader.u64(),
}

/** When a `set` writes. It shares its byte with `get`, which is the next field. */
export const condition: Field<SetCondition> = {
  write: () => undefined,
  read(reader) {
    const flags = reader.u8()
    reader.at -= 1
    const { absent, present, get } = setFlags
    if ((flags & ~(absent | present | get)) !== 0) throw unsupported('flags of a set', flags)
    const bits = flags & (absent | present)
    if (bits === (absent | present)) throw reader.damaged('two conditions of a set')
    return bits === absent ? 'absent' : bits === present ? 'present' : 'always'
  },
}

/** Whether a `set` answers the previous value. */
export const get: Field<boolean> = {
  write(sink, answers, { condition }: { readonly condition: SetCondition }) {
    sink.u8((condition === 'always' ? 0 : setFlags[condition]) | (answers ? setFlags.get : 0))
  },
  read: (reader) => (reader.u8() & setFlags.get) !== 0,
}

// Expiries.

const writeExpiry = (sink: PayloadSink, expiry: Expiry | KeepExpiry): void => {
  sink.u8(expiryKinds[expiry.kind])
  if (expiry.kind !== 'at' && expiry.kind !== 'after') return
  if (!Number.isSafeInteger(expiry.ms) || expiry.ms < 1)
    throw invalid('an expiry must be a whole number of ms, at least 1')
  sink.u64(expiry.ms)
}

const readExpiry = (reader: PayloadReader): Expiry => {
  const kind = reader.u8()
  if (kind === expiryKinds.none) return noExpiry
  if (kind > expiryKinds.after) throw unsupported('expiry', kind)
  return { kind: kind === expiryKinds.at ? 'at' : 'after', ms: readMs(reader, 'an expiry') }
}

/** When a value expires. */
export const expiry: Field<Expiry> = {
  write: writeExpiry,
  read: readExpiry,
}

/** The same, or the expiry before. */
export const expiryOrKeep: Field<Expiry | KeepExpiry> = {
  write: writeExpiry,
  read(reader) {
    if (reader.at === reader.end || reader.bytes[reader.at] !== expiryKinds.keep)
      return readExpiry(reader)
    reader.u8()
    return keepExpiry
  },
}

/** A time at which a value expires. */
export const expiryTime: Field<Exclude<Expiry, { kind: 'none' }>> = {
  write: writeExpiry,
  read(reader) {
    const time = readExpiry(reader)
    if (time.kind === 'none') throw reader.damaged('an expire without a time')
    return time
  },
}

// Values.

const one: Stored<StoredValue> = {
  list: (value) => [value],
  some: (value, is) => is(value),
  replaced: (value, by) => by(value),
}

/** The stored values of a list, each in one item. */
const each = <Item>(
  valueIn: (item: Item) => StoredValue,
  withValue: (item: Item, value: StoredValue) => Item,
): Stored<readonly Item[]> => ({
  list: (items) => items.map(valueIn),
  some: (items, is) => items.some((item) => is(valueIn(item))),
  replaced(items, by) {
    const values = items.map((item) => by(valueIn(item)))
    return items.every((item, at) => valueIn(item) === values[at])
      ? items
      : items.map((item, at) => withValue(item, values[at] ?? valueIn(item)))
  },
})

const readTag = (reader: PayloadReader): StoredValue['tag'] => {
  const tag = reader.u8()
  if (!isValueTag(tag)) throw unsupported('value', tag)
  return tag
}

/** Writes a value after its length. */
export const writeValue = (sink: PayloadSink, { tag, bytes }: StoredValue): void => {
  sink.u8(tag)
  sink.sized(bytes)
}

/** Reads a value after its length. */
export const readValue = (reader: PayloadReader): StoredValue => {
  const tag = readTag(reader)
  return { tag, bytes: reader.sized() }
}

/** A value that takes the rest of its command. */
export const lastValue: Field<StoredValue> = {
  write(sink, { tag, bytes }) {
    sink.u8(tag)
    sink.bytes(bytes)
  },
  read(reader) {
    const tag = readTag(reader)
    const from = reader.take(reader.end - reader.at)
    return { tag, bytes: reader.bytes.subarray(from, reader.end) }
  },
  stored: one,
}

/** The same for text, bytes or a rope. */
export const lastBytes: Field<StoredValue> = {
  write(sink, value, command) {
    if (value.tag === 0) throw invalid('a structured value cannot stand for bytes')
    lastValue.write(sink, value, command)
  },
  read(reader) {
    const value = lastValue.read(reader)
    if (value.tag === 0) throw reader.damaged('a structured value where bytes belong')
    return value
  },
  stored: one,
}

/** The value that a comparison expects; `undefined`: the key is absent. It is never stored. */
export const expected: Field<StoredValue | undefined> = {
  write(sink, value) {
    sink.u8(value === undefined ? 0 : 1)
    if (value) writeValue(sink, value)
  },
  read: (reader) => (readFlag(reader, 'expectation') ? readValue(reader) : undefined),
}

// Lists.

/** Reads a list that has at least one item. */
export const readMany = <T>(reader: PayloadReader, read: (reader: PayloadReader) => T): T[] => {
  const list = reader.list(() => read(reader))
  if (list.length === 0) throw reader.damaged('a list of nothing')
  return list
}

const many = <T>(item: Omit<Field<T>, 'stored'>): Field<readonly T[]> => ({
  write(sink, list, command) {
    if (list.length === 0) throw invalid('a command on several keys must have at least one')
    sink.u32(list.length)
    for (const each of list) item.write(sink, each, command)
  },
  read: (reader) => readMany(reader, item.read),
})

/** Keys, at least one. */
export const keys: Field<readonly string[]> = many(key)

/** Keys with their values and expiries. */
export const entries: Field<readonly PutEntry[]> = {
  ...many<PutEntry>({
    write(sink, entry, command) {
      key.write(sink, entry.key, command)
      writeExpiry(sink, entry.expiry)
      writeValue(sink, entry.value)
    },
    read: (reader) => ({
      key: key.read(reader),
      expiry: readExpiry(reader),
      value: readValue(reader),
    }),
  }),
  stored: each<PutEntry>(
    (entry) => entry.value,
    (entry, value) => ({ ...entry, value }),
  ),
}

/** Fields of a compound key with their values. */
export const fields: Field<readonly FieldEntry[]> = {
  ...many<FieldEntry>({
    write(sink, [name, value], command) {
      field.write(sink, name, command)
      writeValue(sink, value)
    },
    read: (reader) => [field.read(reader), readValue(reader)],
  }),
  stored: each<FieldEntry>(
    ([, value]) => value,
    ([name], value) => [name, value],
  ),
}
