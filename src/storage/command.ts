/**
 * Commands and units, and the payload of a DATA frame that carries them (all integers little endian):
 *
 *     u64 ms, the log's stamp | u16 units | per unit: u32 length | u8 kind | body
 *     body of a command       u8 code | u16 key length | key | fields
 *     body of an atomic batch u32 commands | per command: u32 length | the body of a command
 *     fields of put           u8 expiry (0 none, 1 at, 2 after) | u64 ms unless none | u8 tag | the value's bytes
 *     fields of delete        none
 *
 * A unit's length counts its kind and its body. Pure: the same units give the same bytes, and only those bytes are read.
 */
import { KeelsonError } from '../errors.ts'
import { keyBytesMax } from './key.ts'
import { PayloadReader } from './payload-reader.ts'
import { isValueTag, type StoredValue } from './projection-store.ts'
import { readUtf8, utf8Length } from './utf8.ts'

/** When a value ends: never, at a moment (ms since 1970), or so many ms after its frame's stamp. Whole, at least 1. */
export type Expiry =
  | { readonly kind: 'none' }
  | { readonly kind: 'at'; readonly ms: number }
  | { readonly kind: 'after'; readonly ms: number }

/** No expiry. */
export const noExpiry: Expiry = { kind: 'none' }

/** One change of the store. */
export type Command =
  | {
      readonly kind: 'put'
      readonly key: string
      readonly value: StoredValue
      readonly expiry: Expiry
    }
  | { readonly kind: 'delete'; readonly key: string }

/** The unit of effect: it takes effect as a whole or not at all. Commands of a batch see those before them. */
export type Unit =
  | { readonly kind: 'command'; readonly command: Command }
  | { readonly kind: 'batch'; readonly commands: readonly Command[] }

/** A frame's payload, read. `time` is its stamp in ms since 1970; 0 before the log has stamped it. */
export type Frame = { readonly time: number; readonly units: readonly Unit[] }

/** The hole at the head of a payload that the log fills with its stamp, in bytes. */
export const stampBytes = 8

/** The most units of one frame. */
export const frameUnitsMax = 0xffff

/** Kinds of units. 2 (journal entry) and 3 (projection operations) are taken by later versions. */
const unitKinds = { command: 0, batch: 1 } as const

/**
 * Codes of commands; they never change. 3 to 20 are taken, in this order, by set, append, getSet, setRange,
 * compareAndSet, lockedPut, lock, extend, unlock, putField, putFields, deleteField, putMany, deleteMany, expire, persist,
 * clear and removeExpired.
 */
const codes = { put: 1, delete: 2 } as const

const expiryKinds = { none: 0, at: 1, after: 2 } as const

const unitHeadBytes = 5
const frameHeadBytes = stampBytes + 2
const highUnit = 2 ** 32

/** Bytes of a command's body. */
const commandLength = (command: Command, keyBytes: number): number => {
  const head = 3 + keyBytes
  if (command.kind === 'delete') return head
  return head + (command.expiry.kind === 'none' ? 1 : 9) + 1 + command.value.bytes.length
}

/** Bytes of a key, which the caller has checked; checked again, because a frame with another one could not be read. */
const keyLength = (key: string): number => {
  const bytes = utf8Length(key)
  if (bytes < 1 || bytes > keyBytesMax || key.includes('\0'))
    throw new KeelsonError(
      'INVALID_ARGUMENT',
      'a command needs a key of 1 to 1,024 bytes without NUL',
    )
  return bytes
}

const put16 = (bytes: Uint8Array, at: number, value: number): number => {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  return at + 2
}

const put32 = (bytes: Uint8Array, at: number, value: number): number => {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
  return at + 4
}

const putMs = (bytes: Uint8Array, at: number, ms: number): number => {
  if (!Number.isSafeInteger(ms) || ms < 1)
    throw new KeelsonError('INVALID_ARGUMENT', 'an expiry is a whole number of ms, at least 1')
  return put32(bytes, put32(bytes, at, ms % highUnit), Math.floor(ms / highUnit))
}

const putKey = (bytes: Uint8Array, at: number, key: string, keyBytes: number): number => {
  const from = put16(bytes, at, keyBytes)
  if (keyBytes === key.length)
    for (let i = 0; i < keyBytes; i++) bytes[from + i] = key.charCodeAt(i)
  else bytes.set(Buffer.from(key), from)
  return from + keyBytes
}

const putCommand = (bytes: Uint8Array, at: number, command: Command, keyBytes: number): number => {
  bytes[at] = codes[command.kind]
  let next = putKey(bytes, at + 1, command.key, keyBytes)
  if (command.kind === 'delete') return next
  const { expiry, value } = command
  bytes[next++] = expiryKinds[expiry.kind]
  if (expiry.kind !== 'none') next = putMs(bytes, next, expiry.ms)
  bytes[next++] = value.tag
  bytes.set(value.bytes, next)
  return next + value.bytes.length
}

/** Bytes of a unit with its length and kind. */
const unitLength = (unit: Unit): number => {
  if (unit.kind === 'command')
    return unitHeadBytes + commandLength(unit.command, keyLength(unit.command.key))
  let bytes = unitHeadBytes + 4
  for (const command of unit.commands) bytes += 4 + commandLength(command, keyLength(command.key))
  return bytes
}

const putUnit = (bytes: Uint8Array, at: number, unit: Unit, length: number): number => {
  let next = put32(bytes, at, length - 4)
  bytes[next++] = unitKinds[unit.kind]
  if (unit.kind === 'command')
    return putCommand(bytes, next, unit.command, keyLength(unit.command.key))
  next = put32(bytes, next, unit.commands.length)
  for (const command of unit.commands) {
    const keyBytes = keyLength(command.key)
    next = put32(bytes, next, commandLength(command, keyBytes))
    next = putCommand(bytes, next, command, keyBytes)
  }
  return next
}

/** The length at which encoding gives up: lengths are u32, and a frame has to fit a segment of 1 GiB anyway. */
const frameBytesMax = 2 ** 31

/**
 * The payload of a DATA frame with these units, its stamp left zero, in memory of its own (a plain `Uint8Array`, never
 * part of Node's pool, so that it may be handed to another thread).
 * @throws KeelsonError `INVALID_ARGUMENT` for no unit, an empty batch, more than 65,535 units, a key or an expiry that
 * is none; `TOO_LARGE` beyond 2 GiB. Whether it fits a segment is the log's to say.
 */
export const encodeFrame = (units: readonly Unit[]): Uint8Array => {
  const only = units.length === 1 ? units[0] : undefined
  if (only?.kind === 'command') return encodeCommandFrame(only.command)
  if (units.length === 0 || units.length > frameUnitsMax)
    throw new KeelsonError('INVALID_ARGUMENT', `a frame has 1 to ${frameUnitsMax} units`)
  const lengths = units.map((unit) => {
    if (unit.kind === 'batch' && unit.commands.length === 0)
      throw new KeelsonError('INVALID_ARGUMENT', 'a batch has at least one command')
    return unitLength(unit)
  })
  const bytes = makeFrame(lengths.reduce((sum, length) => sum + length, 0))
  let at = put16(bytes, stampBytes, units.length)
  units.forEach((unit, index) => {
    at = putUnit(bytes, at, unit, lengths[index] ?? 0)
  })
  return bytes
}

/** The frame of one command: the hot path, which measures the key only once. */
const encodeCommandFrame = (command: Command): Uint8Array => {
  const keyBytes = keyLength(command.key)
  const length = commandLength(command, keyBytes)
  const bytes = makeFrame(unitHeadBytes + length)
  let at = put16(bytes, stampBytes, 1)
  at = put32(bytes, at, length + 1)
  bytes[at++] = unitKinds.command
  putCommand(bytes, at, command, keyBytes)
  return bytes
}

const makeFrame = (unitBytes: number): Uint8Array => {
  if (unitBytes > frameBytesMax)
    throw new KeelsonError('TOO_LARGE', 'a frame takes too many bytes', {
      details: { bytes: unitBytes, bytesMax: frameBytesMax },
    })
  return new Uint8Array(frameHeadBytes + unitBytes)
}

/**
 * The units of a DATA frame's payload, and its stamp. Values are views of `bytes`: copy what must outlive them.
 * Meant for bytes whose checksum held; strict nevertheless.
 * @throws KeelsonError `CORRUPT` with `details.evidence`; `UNSUPPORTED_VERSION` (`details.what`, `details.code`) for a
 * kind of unit, a command, an expiry or a value that a later version has written: its effect is unknown, so whoever
 * replays stops there and changes nothing.
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

const unsupported = (what: string, code: number): KeelsonError =>
  new KeelsonError('UNSUPPORTED_VERSION', `a newer version wrote this frame: ${what} ${code}`, {
    details: { what, code },
  })

const readUnit = (reader: PayloadReader): Unit => {
  const kind = reader.u8()
  if (kind === unitKinds.command) return { kind: 'command', command: readCommand(reader) }
  if (kind !== unitKinds.batch) throw unsupported('unit', kind)
  const count = reader.u32()
  if (count === 0) throw reader.damaged('an empty batch')
  const commands: Command[] = []
  for (let index = 0; index < count; index++) {
    const length = reader.u32()
    commands.push(reader.within(length, () => readCommand(reader)))
  }
  return { kind: 'batch', commands }
}

const readCommand = (reader: PayloadReader): Command => {
  const code = reader.u8()
  if (code !== codes.put && code !== codes.delete) throw unsupported('command', code)
  const key = readKey(reader)
  if (code === codes.delete) return { kind: 'delete', key }
  const expiry = readExpiry(reader)
  return { kind: 'put', key, expiry, value: readValue(reader) }
}

const readKey = (reader: PayloadReader): string => {
  const length = reader.u16()
  if (length === 0 || length > keyBytesMax) throw reader.damaged(`a key of ${length} bytes`)
  const from = reader.take(length)
  const key = readUtf8(reader.bytes, from, from + length)
  if (key.includes('\0')) throw reader.damaged('a key with a NUL')
  return key
}

const readExpiry = (reader: PayloadReader): Expiry => {
  const kind = reader.u8()
  if (kind === expiryKinds.none) return noExpiry
  if (kind > expiryKinds.after) throw unsupported('expiry', kind)
  const ms = reader.u64()
  if (ms === 0) throw reader.damaged('an expiry of 0 ms')
  return { kind: kind === expiryKinds.at ? 'at' : 'after', ms }
}

/** The value that takes the rest of its command. */
const readValue = (reader: PayloadReader): StoredValue => {
  const tag = reader.u8()
  if (!isValueTag(tag)) throw unsupported('value', tag)
  const from = reader.take(reader.end - reader.at)
  return { tag, bytes: reader.bytes.subarray(from, reader.end) }
}
