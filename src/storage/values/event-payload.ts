/**
 * `keelson/journal`: the wire form of values in the journal: a version byte, then the bytes of a structured value. The
 * same bytes go to the log, to the digest, to subscribers and to replicas. The version is the
 * application's: it says which shape of its data follows. Pure.
 */
import { types } from 'node:util'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { valueTags } from '../ports/projection-store.ts'
import { decodeValue, encodeStructured } from './value.ts'

declare const valueType: unique symbol

/** A version byte, then msgpack. `T` is the type of its value. */
export type EventPayload<T = unknown> = Uint8Array & { readonly [valueType]?: T }

/** The greatest version of a payload. */
const versionMax = 255

/**
 * The payload of `value`, which is anything that the store takes as a value; `version` is a whole
 * number from 1 to 255.
 * @throws KeelsonError `INVALID_ARGUMENT` with `details.path`
 */
export const eventPayload = <T>(value: T, version = 1): EventPayload<T> => {
  if (!Number.isInteger(version) || version < 1 || version > versionMax)
    throw invalidArgument('version', `a whole number from 1 to ${versionMax}`, version)
  const bytes = encodeStructured(value, 1)
  bytes[0] = version
  return bytes
}

/**
 * Version and value of a payload.
 * @throws KeelsonError `CORRUPT` if these bytes are none; `INVALID_ARGUMENT` if it is no Uint8Array
 */
export const readEventPayload = <T>(
  payload: EventPayload<T>,
): { readonly version: number; readonly value: T } => {
  if (!types.isUint8Array(payload)) throw invalidArgument('payload', 'a Uint8Array', payload)
  const version = payload[0]
  if (!version || payload.length < 2)
    throw new KeelsonError('CORRUPT', 'a payload of the journal has no version', {
      details: { evidence: `${payload.length} bytes` },
    })
  return {
    version,
    value: decodeValue({ tag: valueTags.structured, bytes: payload.subarray(1) }) as T,
  }
}
