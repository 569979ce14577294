/**
 * Decodes the payload of a DATA frame, which `command-encoding.ts` encodes. Strict: it accepts only
 * the bytes that the encoder writes. Pure.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { asBuffer, readUtf8 } from '../bytes/utf8.ts'
import { isValueTag, type StoredValue } from '../ports/projection-store.ts'
import { entityBytesMax, isEntity } from '../values/entity-key.ts'
import { mainRowOf, type TurnMark } from '../values/entity-row.ts'
import { fieldBytesMax, keyBytesMax } from '../values/key.ts'
import {
  type Command,
  commandCodes,
  type EntityRowChange,
  type EntryUnit,
  type Expiry,
  expiryKinds,
  type FieldEntry,
  type Frame,
  type KeepExpiry,
  keepExpiry,
  noExpiry,
  type OwnChange,
  type OwnChanges,
  ownedFlag,
  ownerBytesMax,
  type PutEntry,
  type Removal,
  setFlags,
  type Turn,
  type Unit,
  unitKinds,
} from './command.ts'
import { checkBody, entryDigestBytes } from './journal-entry.ts'
import { PayloadReader } from './payload.ts'
import { turnFault } from './turn-fault.ts'

/**
 * Decodes the units and the time stamp of a DATA frame's payload. Values are views of `bytes`: copy
 * them if they must outlive it. The checksum of `bytes` should have been verified before.
 * @throws KeelsonError `CORRUPT` with `details.evidence`; `UNSUPPORTED_VERSION` (`details.what`,
 * `details.code`) for a kind of unit, command, expiry or value of a later version. Its effect is
 * unknown, so a replay must stop there without changes.
 */
export const decodeFrame = (bytes: Uint8Array): Frame => {
  const reader = new PayloadReader(bytes)
  const time = reader.u64()
  const count = reader.u16()
  if (count === 0) throw reader.damaged('no unit')
  const units: Unit[] = []
  for (let index = 0; index < count; index++) {
    const length = reader.u32()
    units.push(reader.within(length, () => readUnit(reader)))
  }
  if (reader.at !== reader.end) throw reader.damaged('bytes behind the last unit')
  return { time, units }
}

/** The error that `decodeFrame` throws for this payload; `undefined` if it can be decoded. */
export const frameFault = (bytes: Uint8Array): KeelsonError | undefined => {
  try {
    decodeFrame(bytes)
    return undefined
  } catch (error) {
    if (isKeelsonError(error)) return error
    throw error
  }
}

const unsupported = (what: string, code: number): KeelsonError =>
  new KeelsonError('UNSUPPORTED_VERSION', `a newer version wrote this frame: ${what} ${code}`, {
    details: { what, code },
  })

const readUnit = (reader: PayloadReader): Unit => {
  const kind = reader.u8()
  const read = unitReaders[kind]
  if (!read) throw unsupported('unit', kind)
  return read(reader)
}

const readBatch = (reader: PayloadReader): Unit => ({
  kind: 'batch',
  commands: readMany(reader, () => readSizedCommand(reader)),
})

const readSizedCommand = (reader: PayloadReader): Command => {
  const length = reader.u32()
  return reader.within(length, () => readCommand(reader))
}

const readTurn = (reader: PayloadReader): Turn => {
  const turn: Turn = {
    kind: 'turn',
    entity: reader.text('an entity', entityBytesMax),
    follows: readFlag(reader, 'mark of a turn') ? readMark(reader) : undefined,
    row: readFlag(reader, 'main row of a turn')
      ? mainRowOf(readMark(reader), reader.sized())
      : undefined,
    rows: reader.list(() => readRowChange(reader)),
    writes: reader.list(() => readSizedCommand(reader)),
  }
  const entries = reader.list(() => reader.within(reader.u32(), () => readEntryUnit(reader)))
  const own = reader.at === reader.end ? undefined : readOwn(reader)
  const fault = turnFault(turn)
  if (fault !== undefined) throw reader.damaged(`a turn with ${fault}`)
  if (entries.length === 0 && !own) return turn
  return { ...turn, ...(entries.length > 0 && { entries }), ...(own && { own }) }
}

const readOwn = (reader: PayloadReader): OwnChanges => {
  const birth = readDigits(reader)
  const changes = readMany(reader, () => readOwnChange(reader))
  return { birth, changes }
}

const readOwnChange = (reader: PayloadReader): OwnChange => {
  const key = readKey(reader)
  return [key, readFlag(reader, 'change of a row') ? readValue(reader) : undefined]
}

/** 8 bytes as hex digits. */
const readDigits = (reader: PayloadReader): string => {
  const from = reader.take(8)
  return asBuffer(reader.bytes).toString('hex', from, from + 8)
}

const readRemoval = (reader: PayloadReader): Removal => {
  const entity = reader.text('an entity', entityBytesMax)
  if (!isEntity(entity)) throw reader.damaged('a removal with the name of its entity')
  const birth = readDigits(reader)
  const isLast = readFlag(reader, 'end of a removal')
  return { kind: 'removal', entity, birth, isLast, keys: reader.list(() => readKey(reader)) }
}

const readEntryUnit = (reader: PayloadReader): EntryUnit => {
  const digestAt = reader.take(entryDigestBytes)
  const id = checkBody(reader)
  const bodyAt = digestAt + entryDigestBytes
  return {
    kind: 'entry',
    id,
    digest: reader.bytes.subarray(digestAt, bodyAt),
    body: reader.bytes.subarray(bodyAt, reader.at),
  }
}

const readMark = (reader: PayloadReader): TurnMark => ({
  incarnation: readDigits(reader),
  seq: reader.u64(),
})

const readRowChange = (reader: PayloadReader): EntityRowChange => {
  const length = reader.u16()
  const from = reader.take(length)
  const rowKey = readUtf8(reader.bytes, from, from + length)
  return [rowKey, readFlag(reader, 'change of a row') ? reader.sized() : undefined]
}

/** Reads a list that has at least one item. */
const readMany = <T>(reader: PayloadReader, read: () => T): T[] => {
  const list = reader.list(read)
  if (list.length === 0) throw reader.damaged('a list of nothing')
  return list
}

const { put, delete: remove } = commandCodes

const readCommand = (reader: PayloadReader): Command => {
  const code = reader.u8()
  // The most frequent commands come first and avoid the table.
  if (code === put) {
    const key = readKey(reader)
    const expiry = readExpiry(reader)
    return { kind: 'put', key, expiry, value: readLastValue(reader) }
  }
  if (code === remove) return { kind: 'delete', key: readKey(reader) }
  return readOther(reader, code)
}

/** The decoder of each kind of unit. A kind without a decoder belongs to a later version. */
const unitReaders: { readonly [kind: number]: ((reader: PayloadReader) => Unit) | undefined } = {
  [unitKinds.command]: readCommand,
  [unitKinds.batch]: readBatch,
  [unitKinds.entry]: readEntryUnit,
  [unitKinds.turn]: readTurn,
  [unitKinds.removal]: readRemoval,
}

const kindsByCode: ReadonlyMap<number, Command['kind']> = new Map(
  Object.entries(commandCodes).map(([kind, code]) => [code, kind as Command['kind']]),
)

/** Commands that never have an owner, and commands that always have one. */
const ownerless: ReadonlySet<Command['kind']> = new Set(['removeExpired'])
const alwaysOwned: ReadonlySet<Command['kind']> = new Set(['lock', 'extend', 'unlock'])

/** Commands without a key of their own at the start. */
const keyless: ReadonlySet<Command['kind']> = new Set([
  'lock',
  'extend',
  'unlock',
  'putMany',
  'deleteMany',
  'clear',
  'removeExpired',
])

const readOther = (reader: PayloadReader, code: number): Command => {
  const kind = kindsByCode.get(code & ~ownedFlag)
  const isOwned = (code & ownedFlag) !== 0
  if (kind === undefined || (isOwned && ownerless.has(kind))) throw unsupported('command', code)
  if (!isOwned && alwaysOwned.has(kind)) throw reader.damaged(`${kind} without an owner`)
  const key = keyless.has(kind) ? '' : readKey(reader)
  const owner = isOwned ? reader.text('an owner', ownerBytesMax) : ''
  const command = readFields(reader, kind, key, owner)
  return isOwned && !alwaysOwned.has(kind) ? ({ ...command, owner } as Command) : command
}

/** Reads the fields after code, key and owner. */
const readFields = (
  reader: PayloadReader,
  kind: Command['kind'],
  key: string,
  owner: string,
): Command => {
  switch (kind) {
    case 'put':
      return { kind, key, expiry: readExpiry(reader), value: readLastValue(reader) }
    case 'delete':
    case 'persist':
      return { kind, key }
    case 'set':
      return readSet(reader, key)
    case 'append':
      return { kind, key, suffix: readLastBytes(reader) }
    case 'getSet':
      return { kind, key, value: readLastValue(reader) }
    case 'setRange':
      return { kind, key, offset: reader.u64(), patch: readLastBytes(reader) }
    case 'compareAndSet':
      return readCompareAndSet(reader, key)
    case 'lock':
    case 'extend':
      return { kind, owner, leaseMs: readMs(reader, 'a lease'), keys: readKeys(reader) }
    case 'unlock':
      return { kind, owner, keys: readKeys(reader) }
    case 'deleteMany':
    case 'removeExpired':
      return { kind, keys: readKeys(reader) }
    case 'putField':
      return { kind, key, field: readField(reader), value: readLastValue(reader) }
    case 'deleteField':
      return { kind, key, field: readField(reader) }
    case 'putFields':
      return { kind, key, fields: readMany(reader, () => readFieldEntry(reader)) }
    case 'putMany':
      return { kind, entries: readMany(reader, () => readEntry(reader)) }
    case 'expire':
      return readExpire(reader, key)
    case 'clear':
      return { kind, namespace: readNamespace(reader) }
  }
}

const readSet = (reader: PayloadReader, key: string): Command => {
  const flags = reader.u8()
  const { absent, present, get } = setFlags
  if ((flags & ~(absent | present | get)) !== 0) throw unsupported('flags of a set', flags)
  const condition = flags & (absent | present)
  if (condition === (absent | present)) throw reader.damaged('two conditions of a set')
  return {
    kind: 'set',
    key,
    condition: condition === absent ? 'absent' : condition === present ? 'present' : 'always',
    get: (flags & get) !== 0,
    expiry: readExpiryOrKeep(reader),
    value: readLastValue(reader),
  }
}

const readCompareAndSet = (reader: PayloadReader, key: string): Command => {
  const expiry = readExpiryOrKeep(reader)
  const isExpected = readFlag(reader, 'expectation')
  const expected = isExpected ? readValue(reader) : undefined
  return { kind: 'compareAndSet', key, expiry, expected, value: readLastValue(reader) }
}

const readExpire = (reader: PayloadReader, key: string): Command => {
  const expiry = readExpiry(reader)
  if (expiry.kind === 'none') throw reader.damaged('an expire without a time')
  return { kind: 'expire', key, expiry }
}

const readNamespace = (reader: PayloadReader): string | undefined => {
  if (!readFlag(reader, 'scope of a clear')) return undefined
  const length = reader.u16()
  return length === 0 ? '' : reader.textOf('a namespace', length, keyBytesMax)
}

const readFlag = (reader: PayloadReader, what: string): boolean => {
  const byte = reader.u8()
  if (byte > 1) throw unsupported(what, byte)
  return byte === 1
}

const readEntry = (reader: PayloadReader): PutEntry => ({
  key: readKey(reader),
  expiry: readExpiry(reader),
  value: readValue(reader),
})

const readFieldEntry = (reader: PayloadReader): FieldEntry => [readField(reader), readValue(reader)]

const readKey = (reader: PayloadReader): string => reader.text('a key', keyBytesMax)

const readKeys = (reader: PayloadReader): string[] => readMany(reader, () => readKey(reader))

const readField = (reader: PayloadReader): string => reader.text('a field', fieldBytesMax)

const readExpiry = (reader: PayloadReader): Expiry => {
  const kind = reader.u8()
  if (kind === expiryKinds.none) return noExpiry
  if (kind > expiryKinds.after) throw unsupported('expiry', kind)
  return { kind: kind === expiryKinds.at ? 'at' : 'after', ms: readMs(reader, 'an expiry') }
}

const readExpiryOrKeep = (reader: PayloadReader): Expiry | KeepExpiry => {
  if (reader.at === reader.end || reader.bytes[reader.at] !== expiryKinds.keep)
    return readExpiry(reader)
  reader.u8()
  return keepExpiry
}

const readMs = (reader: PayloadReader, what: string): number => {
  const ms = reader.u64()
  if (ms === 0) throw reader.damaged(`${what} of 0 ms`)
  return ms
}

const readTag = (reader: PayloadReader): StoredValue['tag'] => {
  const tag = reader.u8()
  if (!isValueTag(tag)) throw unsupported('value', tag)
  return tag
}

/** Reads a value after its length. */
const readValue = (reader: PayloadReader): StoredValue => {
  const tag = readTag(reader)
  return { tag, bytes: reader.sized() }
}

/** Reads a value that takes the rest of its command. */
const readLastValue = (reader: PayloadReader): StoredValue => {
  const tag = readTag(reader)
  const from = reader.take(reader.end - reader.at)
  return { tag, bytes: reader.bytes.subarray(from, reader.end) }
}

/** The same for text, bytes or a rope. */
const readLastBytes = (reader: PayloadReader): StoredValue => {
  const value = readLastValue(reader)
  if (value.tag === 0) throw reader.damaged('a structured value where bytes belong')
  return value
}
