/**
 * What a log that is used alone puts into its frames. A DATA frame's payload is
 *
 *     u64 ms, the log's stamp | u16 0 | u16 type | bytes
 *
 * The zero stands where a frame of the store counts its units, and the store writes none without a unit: neither takes
 * the other's frames for its own. The opaque bytes of a CHECKPOINT begin with a byte 1; those that the log writes by itself
 * have none. Pure.
 */
import { KeelsonError } from '../../errors.ts'
import { stampBytes } from './control-payload.ts'

/** Bytes before an entry's own. */
export const entryHeaderBytes = stampBytes + 4

/** The greatest type that an entry can have. */
export const entryTypeMax = 0xffff

/** Writes an entry as a frame's payload into `into` from `at` on, its stamp left zero: `entryHeaderBytes` and its own. */
export const putEntry = (into: Uint8Array, at: number, type: number, bytes: Uint8Array): void => {
  into.fill(0, at, at + stampBytes + 2)
  into[at + stampBytes + 2] = type & 0xff
  into[at + stampBytes + 3] = type >>> 8
  into.set(bytes, at + entryHeaderBytes)
}

/**
 * The type and the bytes (a view) of an entry whose payload stands in `source` from `offset` on.
 * @throws KeelsonError `WRONG_TYPE` for a whole frame that somebody else wrote: the store.
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

/** Without a view: this is done for every entry that is read. */
const readU16 = (source: Uint8Array, at: number): number =>
  (source[at] ?? 0) | ((source[at + 1] ?? 0) << 8)

const ownMark = 1

/** What a caller attaches to a checkpoint, as a CHECKPOINT's opaque bytes. */
export const encodeOpaque = (bytes: Uint8Array): Uint8Array => {
  const opaque = new Uint8Array(1 + bytes.length)
  opaque[0] = ownMark
  opaque.set(bytes, 1)
  return opaque
}

/** What a caller attached; `undefined` for a checkpoint that the log wrote by itself. */
export const decodeOpaque = (opaque: Uint8Array): Uint8Array | undefined =>
  opaque[0] === ownMark ? opaque.subarray(1) : undefined
