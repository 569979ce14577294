/**
 * A reference to a blob: the place of its payload in the blob segments, its length and its SHA-256.
 * The encoded form has 64 bytes, in the layout of FerricStore's references of version 2 (big
 * endian):
 *
 *     00 "FSBLOB" | u8 version 2 | u64 size | u64 segment | u64 offset of the payload | 32 bytes SHA-256 of the payload
 *
 * The tag of a value says that it is a reference. These bytes alone never do. Pure.
 */

import { shaBytes } from '../../bytes/sha256.ts'
import { viewOf } from '../../bytes/u64.ts'
import { KeelsonError } from '../../errors.ts'

/**
 * The place of a blob. `size` and the payload's `offset` are in bytes; all three are safe integers.
 */
export type BlobRef = {
  readonly size: number
  readonly segment: number
  readonly offset: number
  readonly sha256: Uint8Array
}

/** Bytes of an encoded reference. */
export const blobReferenceBytes = 64

/** NUL, "FSBLOB", version. */
const magic: Uint8Array = Uint8Array.of(0x00, 0x46, 0x53, 0x42, 0x4c, 0x4f, 0x42, 2)

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

/**
 * The 64 bytes of `ref`, in memory of their own.
 * @throws KeelsonError `INVALID_ARGUMENT` for a negative or unsafe integer, or a sum of another
 * length.
 */
export const encodeBlobReference = (ref: BlobRef): Uint8Array => {
  const { size, segment, offset, sha256 } = ref
  if (![size, segment, offset].every(isCount) || sha256.length !== shaBytes)
    throw new KeelsonError('INVALID_ARGUMENT', 'a blob reference has a field that is out of range')
  const bytes = new Uint8Array(blobReferenceBytes)
  const view = viewOf(bytes)
  bytes.set(magic)
  ;[size, segment, offset].forEach((value, index) => {
    view.setBigUint64(8 + 8 * index, BigInt(value))
  })
  bytes.set(sha256, 32)
  return bytes
}

/**
 * Decodes exactly 64 bytes. The SHA-256 of the result is a copy.
 * @throws KeelsonError `CORRUPT` for any other length, another magic, or a number beyond 2^53;
 * `UNSUPPORTED_VERSION` for another version.
 */
export const decodeBlobReference = (bytes: Uint8Array): BlobRef => {
  if (bytes.length !== blobReferenceBytes) throw damaged(`${bytes.length} bytes`)
  if (magic.subarray(0, 7).some((byte, at) => byte !== bytes[at])) throw damaged('another magic')
  if (bytes[7] !== magic[7])
    throw new KeelsonError('UNSUPPORTED_VERSION', 'a newer version wrote this blob reference', {
      details: { what: 'blob reference', code: bytes[7] },
    })
  const view = viewOf(bytes)
  const count = (at: number): number => {
    const value = Number(view.getBigUint64(at))
    if (!isCount(value)) throw damaged('a number beyond 2^53')
    return value
  }
  return { size: count(8), segment: count(16), offset: count(24), sha256: bytes.slice(32) }
}

const damaged = (evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `a blob reference is damaged: ${evidence}`, { details: { evidence } })
