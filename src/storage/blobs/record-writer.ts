/**
 * Writes the records of one put, one after another, in large writes. Records are put together in a
 * buffer of whole blocks that every put uses again: fresh pages cost more than the bytes copied
 * into them. Nothing is synced here.
 */

import { sha256 } from '../../bytes/sha256.ts'
import type { DiskFile } from '../ports/disk.ts'
import { writeAll } from '../ports/disk-failure.ts'
import { blobHeaderBytes, recordBytes } from '../values/blob-extents.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import { ChunkSums, encodeBlobHeader, encodeBlobTrailer } from './blob-record.ts'

/** The records of one put, which begins at a block of a segment. */
export class RecordWriter {
  readonly #segment: number
  readonly #file: DiskFile
  readonly #buffer: Uint8Array
  /** Where the buffer goes in the file, and how much of it is filled. */
  #at: number
  #filled = 0

  /** `end`: where the segment ends. `buffer`: a multiple of a block. */
  constructor(
    { segment, file, end }: { segment: number; file: DiskFile; end: number },
    buffer: Uint8Array,
  ) {
    this.#segment = segment
    this.#file = file
    this.#buffer = buffer
    this.#at = end
  }

  /** Takes the payload of the next record. Returns its reference. @throws DiskError */
  add(payload: Uint8Array): BlobRef {
    const size = payload.length
    const place = { segment: this.#segment, offset: this.#at + this.#filled + blobHeaderBytes }
    const sum = sha256(payload)
    const chunks = new ChunkSums(place)
    chunks.add(payload)
    const header = encodeBlobHeader(size, sum)
    const trailer = encodeBlobTrailer(place, header, chunks.end())
    this.#put(header)
    this.#put(payload)
    this.#put(trailer)
    this.#pad(recordBytes(size) - header.length - size - trailer.length)
    return { size, ...place, sha256: sum }
  }

  /** Writes the rest. @throws DiskError */
  end(): void {
    if (this.#filled > 0)
      writeAll(this.#file, this.#buffer.subarray(0, this.#filled), this.#at, 'ENOSPC')
    this.#at += this.#filled
    this.#filled = 0
  }

  #put(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + this.#room())
      this.#buffer.set(piece, this.#filled)
      this.#filled += piece.length
      at += piece.length
    }
  }

  /** Zeros up to the next block; a block never spans two buffers. */
  #pad(bytes: number): void {
    this.#buffer.fill(0, this.#filled, this.#filled + bytes)
    this.#filled += bytes
  }

  #room(): number {
    if (this.#filled === this.#buffer.length) this.end()
    return this.#buffer.length - this.#filled
  }
}
