/**
 * The record of a blob in a segment. Header and payload are FerricStore's record, byte for byte.
 * The trailer is ours: a range can be verified without the rest of the blob. Pure.
 *
 *     header    00 "FSBLOG" | u8 version 1 | u64 size | 32 bytes SHA-256 of the payload       (big endian, 48 bytes)
 *     payload   `size` bytes
 *     trailer   u32 CRC of each 64 KiB of the payload | "KBLT" | u32 CRC of the header | u32 CRC of the CRCs before
 *               | u32 CRC of the twelve bytes before                                          (little endian)
 *
 * Records begin on multiples of 4,096, so no block holds bytes of two records. A torn write damages
 * only its own record, and the blocks of a dead record can be freed. Each CRC is seeded with the
 * record's place, so misplaced bytes fail.
 */

import { crc32 } from '../../bytes/crc32.ts'
import { viewOf, writeU64 } from '../../bytes/u64.ts'
import { KeelsonError } from '../../errors.ts'
import { blobChunkBytes, blobFooterBytes, blobHeaderBytes } from '../values/blob-extents.ts'
import type { BlobRef } from '../values/blob-reference.ts'

/** The largest payload. */
export const blobBytesMax = 2 ** 40

/** NUL, "FSBLOG", version. */
const magic: Uint8Array = Uint8Array.of(0x00, 0x46, 0x53, 0x42, 0x4c, 0x4f, 0x47, 1)
const footerMagic = new TextEncoder().encode('KBLT')

/** The place of a record: its segment, and the offset of its payload. */
export type BlobPlace = { readonly segment: number; readonly offset: number }

/** The header of a payload of `size` bytes, in new memory. */
export const encodeBlobHeader = (size: number, sha256: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(blobHeaderBytes)
  bytes.set(magic)
  viewOf(bytes).setBigUint64(8, BigInt(size))
  bytes.set(sha256, 16)
  return bytes
}

/** How `header` contradicts `ref`; `undefined` if it does not. */
export const headerFault = (header: Uint8Array, ref: BlobRef): string | undefined => {
  if (magic.some((byte, at) => byte !== header[at])) return 'it has no header'
  if (viewOf(header).getBigUint64(8) !== BigInt(ref.size)) return 'its header names another size'
  return ref.sha256.some((byte, at) => byte !== header[16 + at])
    ? 'its header names another content'
    : undefined
}

/**
 * The seed of one CRC: the record's place, and the number of the chunk or of one of the `pieces`.
 */
const seedOf = ({ segment, offset }: BlobPlace, number: number): number => {
  const view = new DataView(new ArrayBuffer(24))
  writeU64(view, 0, segment)
  writeU64(view, 8, offset)
  writeU64(view, 16, number)
  return crc32(new Uint8Array(view.buffer))
}

/** Numbers above those of all chunks. */
const pieces = { header: 2 ** 50, table: 2 ** 50 + 1, footer: 2 ** 50 + 2 } as const

/** The seed of a chunk's CRC. */
export const chunkSeed = (place: BlobPlace, index: number): number => seedOf(place, index)

/** Computes the CRCs of a payload that comes in pieces of any size. */
export class ChunkSums {
  readonly #place: BlobPlace
  readonly #sums: number[] = []
  #sum: number
  #filled = 0

  constructor(place: BlobPlace) {
    this.#place = place
    this.#sum = chunkSeed(place, 0)
  }

  /** Takes the next bytes of the payload. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + blobChunkBytes - this.#filled)
      this.#sum = crc32(piece, this.#sum)
      this.#filled += piece.length
      at += piece.length
      if (this.#filled === blobChunkBytes) this.#next()
    }
  }

  /** The CRCs of all chunks. Nothing can be added afterwards. */
  end(): readonly number[] {
    if (this.#filled > 0) this.#next()
    return this.#sums
  }

  #next(): void {
    this.#sums.push(this.#sum)
    this.#sum = chunkSeed(this.#place, this.#sums.length)
    this.#filled = 0
  }
}

/** The trailer of a record, in new memory. */
export const encodeBlobTrailer = (
  place: BlobPlace,
  header: Uint8Array,
  sums: readonly number[],
): Uint8Array => {
  const bytes = new Uint8Array(4 * sums.length + blobFooterBytes)
  const view = viewOf(bytes)
  sums.forEach((sum, at) => {
    view.setUint32(4 * at, sum, true)
  })
  const footer = 4 * sums.length
  bytes.set(footerMagic, footer)
  view.setUint32(footer + 4, crc32(header, seedOf(place, pieces.header)), true)
  view.setUint32(footer + 8, crc32(bytes.subarray(0, footer), seedOf(place, pieces.table)), true)
  const footerSum = crc32(bytes.subarray(footer, footer + 12), seedOf(place, pieces.footer))
  view.setUint32(footer + 12, footerSum, true)
  return bytes
}

/** The fault of a record's trailer; `undefined` if its CRCs hold. */
export const trailerFault = (
  place: BlobPlace,
  header: Uint8Array,
  trailer: Uint8Array,
): string | undefined => {
  const footer = trailer.length - blobFooterBytes
  const view = viewOf(trailer)
  const sum = (at: number): number => view.getUint32(footer + at, true)
  const own = crc32(trailer.subarray(footer, footer + 12), seedOf(place, pieces.footer))
  if (footerMagic.some((byte, at) => byte !== trailer[footer + at]) || sum(12) !== own)
    return 'its trailer is damaged'
  if (sum(4) !== crc32(header, seedOf(place, pieces.header))) return 'its header is damaged'
  return sum(8) === crc32(trailer.subarray(0, footer), seedOf(place, pieces.table))
    ? undefined
    : 'the sums of its chunks are damaged'
}

/** `CORRUPT`: the record of a reference is missing or damaged. */
export const corruptBlob = (ref: BlobRef, file: string, evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `a blob is damaged: ${evidence}`, {
    details: { file, offset: ref.offset, size: ref.size, evidence },
  })
