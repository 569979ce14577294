/**
 * Unsigned 64-bit integers in files, as two little-endian halves. In memory they are ordinary numbers, because a
 * BigInt costs an allocation each; whoever reads one checks that it is a safe integer before relying on it.
 */

const half = 2 ** 32

/** Writes a safe integer from 0 on. */
export const writeU64 = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, value % half, true)
  view.setUint32(at + 4, Math.floor(value / half), true)
}

/** Reads what stands at `at`; beyond 2^53 the answer is not a safe integer, and not exact. */
export const readU64 = (view: DataView, at: number): number =>
  view.getUint32(at + 4, true) * half + view.getUint32(at, true)

/** A view over the same bytes, whatever part of its buffer they are. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
