/**
 * Writes a blob of unknown size, piece by piece, into a separate segment: first the payload, then
 * the trailer, the header last. The blob has no reference before the final sync. Aborting the
 * stream removes the file.
 */

import { startSha256 } from '../../bytes/sha256.ts'
import { KeelsonError } from '../../errors.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import { attempt, refusing, writeAll } from '../ports/disk-failure.ts'
import { blobHeaderBytes } from '../values/blob-extents.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import { blobBytesMax, ChunkSums, encodeBlobHeader, encodeBlobTrailer } from './blob-record.ts'
import type { BlobWriter } from './blob-writer.ts'

/**
 * Bytes from one sync to the next. The last sync then has little to do, and the page cache stays
 * small.
 */
const syncEvery = 32 * 1024 * 1024

/** A blob that is being written as a stream. */
export class BlobStreamWriter {
  readonly segment: number
  readonly #disk: Disk
  readonly #dir: string
  readonly #file: DiskFile
  readonly #writer: BlobWriter
  readonly #sha = startSha256()
  readonly #sums: ChunkSums
  #size = 0
  #unsynced = 0

  /** @throws KeelsonError `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN` */
  constructor(disk: Disk, dir: string, writer: BlobWriter) {
    const { segment, file } = refusing(() => writer.create())
    this.segment = segment
    this.#disk = disk
    this.#dir = dir
    this.#file = file
    this.#writer = writer
    this.#sums = new ChunkSums({ segment, offset: blobHeaderBytes })
  }

  /**
   * Writes the next bytes. Returns the size so far. @throws as the constructor, `TOO_LARGE`; then
   * call `abort`
   */
  write(bytes: Uint8Array): number {
    if (this.#size + bytes.length > blobBytesMax)
      throw new KeelsonError('TOO_LARGE', `a blob has at most ${blobBytesMax} bytes`)
    refusing(() => {
      writeAll(this.#file, bytes, blobHeaderBytes + this.#size, 'ENOSPC')
      this.#sha.add(bytes)
      this.#sums.add(bytes)
      this.#size += bytes.length
      this.#unsynced += bytes.length
      if (this.#unsynced < syncEvery) return
      this.#file.sync()
      this.#unsynced = 0
    })
    return this.#size
  }

  /**
   * Makes the blob durable. Returns its reference. @throws as the constructor; then call `abort`
   */
  finish(): BlobRef {
    const sum = this.#sha.end()
    const place = { segment: this.segment, offset: blobHeaderBytes }
    const header = encodeBlobHeader(this.#size, sum)
    const trailer = encodeBlobTrailer(place, header, this.#sums.end())
    refusing(() => {
      writeAll(this.#file, trailer, blobHeaderBytes + this.#size, 'ENOSPC')
      writeAll(this.#file, header, 0, 'ENOSPC')
      this.#file.sync()
      this.#disk.syncFolder(this.#dir)
      this.#file.close()
    })
    this.#writer.reached(this.segment, blobHeaderBytes + this.#size + trailer.length)
    return { size: this.#size, ...place, sha256: sum }
  }

  /** Removes the file. If that fails, a sweep removes it later. */
  abort(): void {
    attempt(() => this.#file.close())
    attempt(() => this.#disk.remove(this.#file.path))
  }
}
