/**
 * Unsigned 64-bit integers in files, as two little-endian halves. In memory they are ordinary
 * numbers, because each BigInt costs an allocation. The reader of a number checks that it is a safe
 * integer.
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

/** A view over the same bytes, which may be a part of their buffer. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
