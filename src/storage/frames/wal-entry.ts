/**
 * The entry of a log that is used as a library. The payload of its DATA frame is
 *
 *     u64 ms, the log's stamp | u16 0 | u16 type | bytes
 *
 * The zero is in the place of a store frame's count of units, which is never zero. So the library
 * and the store never mistake each other's frames. The opaque bytes of a caller's CHECKPOINT begin
 * with a byte 1; a CHECKPOINT written by the log itself has none. Pure.
 */
import { KeelsonError } from '../../errors.ts'
import { stampBytes } from './control-payload.ts'

/** Bytes before the bytes of an entry. */
export const entryHeaderBytes = stampBytes + 4

/** The greatest type of an entry. */
export const entryTypeMax = 0xffff

/** Writes an entry into `into` at `at` as a frame's payload, with a zero stamp. */
export const putEntry = (into: Uint8Array, at: number, type: number, bytes: Uint8Array): void => {
  into.fill(0, at, at + stampBytes + 2)
  into[at + stampBytes + 2] = type & 0xff
  into[at + stampBytes + 3] = type >>> 8
  into.set(bytes, at + entryHeaderBytes)
}

/**
 * The type and the bytes (a view) of the entry in `source` at `offset`.
 * @throws KeelsonError `WRONG_TYPE` for a frame that the store has written.
 */
export const decodeEntry = (
  source: Uint8Array,
  offset = 0,
  length = source.length - offset,
): { readonly type: number; readonly bytes: Uint8Array } => {
  const at = offset + stampBytes
  if (length < entryHeaderBytes || readU16(source, at) !== 0)
    throw new KeelsonError('WRONG_TYPE', 'The frame is not an entry: the log belongs to a store')
  return {
    type: readU16(source, at + 2),
    bytes: source.subarray(offset + entryHeaderBytes, offset + length),
  }
}

/** Reads without a DataView, because this runs for every entry that is read. */
const readU16 = (source: Uint8Array, at: number): number =>
  (source[at] ?? 0) | ((source[at + 1] ?? 0) << 8)

const ownMark = 1

/** Encodes the bytes that a caller attaches to a checkpoint. */
export const encodeOpaque = (bytes: Uint8Array): Uint8Array => {
  const opaque = new Uint8Array(1 + bytes.length)
  opaque[0] = ownMark
  opaque.set(bytes, 1)
  return opaque
}

/** The bytes that a caller attached; `undefined` for a checkpoint written by the log itself. */
export const decodeOpaque = (opaque: Uint8Array): Uint8Array | undefined =>
  opaque[0] === ownMark ? opaque.subarray(1) : undefined
