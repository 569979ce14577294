/**
 * The frame of one put or delete by nobody in particular: the most frequent ones by far, in the bytes that
 * `command-encoding.ts` describes, without its sinks. Pure.
 */
import { KeelsonError } from '../../errors.ts'
import { keyBytesMax } from '../values/key.ts'
import {
  type Command,
  commandCodes,
  type Expiry,
  expiryKinds,
  type FrameUnits,
  isAlone,
  type PutCommand,
  stampBytes,
  unitKinds,
} from './command.ts'
import { textBytes } from './payload.ts'

/** Bytes before the first unit: the stamp, and the number of units. */
export const frameHeadBytes: number = stampBytes + 2

/** A command that has the fast way. */
export type QuickCommand = Extract<Command, { kind: 'put' | 'delete' }>

/** The one command of these units, when it has the fast way. */
export const quickCommand = (units: FrameUnits): QuickCommand | undefined => {
  const only = isAlone(units) ? units : units.length === 1 ? units[0] : undefined
  if (only?.kind !== 'put' && only?.kind !== 'delete') return undefined
  return only.owner === undefined ? only : undefined
}

/** @throws KeelsonError `INVALID_ARGUMENT` for what is no expiry */
export const checkedMs = (ms: number): number => {
  if (!Number.isSafeInteger(ms) || ms < 1)
    throw new KeelsonError('INVALID_ARGUMENT', 'an expiry is a whole number of ms, at least 1')
  return ms
}

const put16 = (bytes: Uint8Array, at: number, value: number): number => {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  return at + 2
}

const put32 = (bytes: Uint8Array, at: number, value: number): number => {
  put16(bytes, at, value)
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
  return at + 4
}

const putKey = (bytes: Uint8Array, at: number, key: string, keyBytes: number): number => {
  const from = put16(bytes, at, keyBytes)
  if (keyBytes === key.length)
    for (let i = 0; i < keyBytes; i++) bytes[from + i] = key.charCodeAt(i)
  else bytes.set(Buffer.from(key), from)
  return from + keyBytes
}

/** Bytes of a frame with one quick command, but for its key and its value: head, length, kind, code, length of the key. */
const quickHeadBytes = frameHeadBytes + 8

const expiryBytes = (expiry: Expiry): number => (expiry.kind === 'none' ? 1 : 9)

/** Bytes of the payload. @throws KeelsonError `INVALID_ARGUMENT` for a key or an expiry that is none */
export const quickLength = (command: QuickCommand): number => {
  const length = quickHeadBytes + textBytes('a key', command.key, keyBytesMax)
  if (command.kind === 'delete') return length
  const { expiry, value } = command
  if (expiry.kind !== 'none') checkedMs(expiry.ms)
  return length + expiryBytes(expiry) + 1 + value.bytes.length
}

/** Writes the payload, of `length` bytes, behind its stamp, which stands at `from`. */
export const encodeQuick = (
  command: QuickCommand,
  length: number,
  bytes: Uint8Array,
  from: number,
): void => {
  put16(bytes, from + stampBytes, 1)
  let at = put32(bytes, from + frameHeadBytes, length - frameHeadBytes - 4)
  bytes[at++] = unitKinds.command
  bytes[at++] = commandCodes[command.kind]
  const keyBytes = length - quickHeadBytes - fieldBytes(command)
  at = putKey(bytes, at, command.key, keyBytes)
  if (command.kind === 'put') putValue(bytes, at, command)
}

const fieldBytes = (command: QuickCommand): number =>
  command.kind === 'put' ? expiryBytes(command.expiry) + 1 + command.value.bytes.length : 0

const putValue = (bytes: Uint8Array, from: number, { expiry, value }: PutCommand): void => {
  let at = from
  bytes[at++] = expiryKinds[expiry.kind]
  if (expiry.kind !== 'none') {
    const { ms } = expiry
    at = put32(bytes, put32(bytes, at, ms % 2 ** 32), Math.floor(ms / 2 ** 32))
  }
  bytes[at++] = value.tag
  bytes.set(value.bytes, at)
}
