/**
 * Unsigned 64-bit integers in files, as two little-endian halves. In memory they are ordinary
 * numbers, because each BigInt costs an allocation. The reader of a number checks that it is a safe
 * integer. Rows and payloads have them in plain bytes: a view of each would cost an allocation, and
 * Node's `writeUInt32LE` costs four times as much as four stores.
 */

const half = 2 ** 32

/** Writes a safe integer from 0 on. */
export const writeU64 = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, value % half, true)
  view.setUint32(at + 4, Math.floor(value / half), true)
}

/** Reads the integer at `at`. Beyond 2^53 the result is not exact, and not a safe integer. */
export const readU64 = (view: DataView, at: number): number =>
  view.getUint32(at + 4, true) * half + view.getUint32(at, true)

/** Writes the lower half of a safe integer. */
export const putU32 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

/** Writes a safe integer from 0 on. */
export const putU64 = (bytes: Uint8Array, at: number, value: number): void => {
  putU32(bytes, at, value)
  putU32(bytes, at + 4, Math.floor(value / half))
}

/** Reads a number of 32 bits. */
export const u32In = (bytes: Uint8Array, at: number): number =>
  (byteIn(bytes, at) |
    (byteIn(bytes, at + 1) << 8) |
    (byteIn(bytes, at + 2) << 16) |
    (byteIn(bytes, at + 3) << 24)) >>>
  0

const byteIn = (bytes: Uint8Array, at: number): number => bytes[at] ?? 0

/** Reads the integer at `at`, as `readU64` does. */
export const u64In = (bytes: Uint8Array, at: number): number =>
  u32In(bytes, at + 4) * half + u32In(bytes, at)

/** A view over the same bytes, which may be a part of their buffer. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Bytes with a view over them, for code that reads or writes both. */
export type ViewedBytes = { readonly bytes: Uint8Array; readonly view: DataView }

/** `bytes` with a view over them. */
export const viewedBytes = (bytes: Uint8Array): ViewedBytes => ({ bytes, view: viewOf(bytes) })
