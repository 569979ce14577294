/**
 * Reads blobs and verifies all bytes that it returns. A range is verified by the header and the
 * CRCs of its chunks, a whole blob by its SHA-256 too. A missing or damaged blob is `CORRUPT`,
 * never absent.
 */

import { crc32 } from '../../bytes/crc32.ts'
import { type Sha256, startSha256 } from '../../bytes/sha256.ts'
import { viewOf } from '../../bytes/u64.ts'
import { KeelsonError } from '../../errors.ts'
import { closing, type Disk, type DiskFile } from '../ports/disk.ts'
import { attempt, openIfThere, refusing } from '../ports/disk-failure.ts'
import { blobChunkBytes, blobHeaderBytes, trailerBytes } from '../values/blob-extents.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import { blobSegmentPath } from './blob-folder.ts'
import { chunkSeed, corruptBlob, headerFault, trailerFault } from './blob-record.ts'

/**
 * Reads bytes `from` up to `to` of a blob into new memory. Synchronous, so meant for short ranges.
 * @throws KeelsonError `CORRUPT` with file, offset and evidence; `INVALID_ARGUMENT` for a range
 * beyond the blob; `SHARD_DOWN` (reason `disk`) if the disk fails
 */
export const readBlobRange = (
  disk: Disk,
  dir: string,
  ref: BlobRef,
  from: number,
  to: number,
): Uint8Array => {
  const file = openBlob(disk, dir, ref)
  try {
    const bytes = readChunks(file, ref, from, to, (length) => new Uint8Array(length))
    return bytes.length === bytes.buffer.byteLength ? bytes : bytes.slice()
  } finally {
    attempt(() => file.close())
  }
}

/**
 * A blob that is read in order, from `from` up to `to`. The end of a whole blob is returned only if
 * its SHA-256 holds.
 */
export class BlobReading {
  readonly #file: DiskFile
  readonly #ref: BlobRef
  readonly #to: number
  readonly #sha: Sha256 | undefined
  #at: number

  /** @throws as `readBlobRange` */
  constructor(disk: Disk, dir: string, ref: BlobRef, from: number, to: number) {
    this.#file = openBlob(disk, dir, ref)
    this.#ref = ref
    this.#at = from
    this.#to = to
    this.#sha = from === 0 && to === ref.size ? startSha256() : undefined
  }

  /**
   * Reads as many more chunks as fit into `memory`. `done` after the last one.
   * @throws as `readBlobRange`; `INVALID_ARGUMENT` if no chunk fits
   */
  next(memory: Uint8Array): { readonly bytes: Uint8Array; readonly done: boolean } {
    const reach = toChunk(this.#at) + memory.length
    const end = Math.min(this.#to, reach < this.#ref.size ? toChunk(reach) : this.#ref.size)
    if (end <= this.#at && this.#at < this.#to)
      throw new KeelsonError('INVALID_ARGUMENT', 'no chunk fits into this memory')
    const room = (length: number) => memory.subarray(0, length)
    const bytes = readChunks(this.#file, this.#ref, this.#at, end, room)
    this.#at = end
    this.#sha?.add(bytes)
    const done = end === this.#to
    if (done && this.#sha) this.#verifyWhole(this.#sha.end())
    return { bytes, done }
  }

  /** Closes the file. */
  close(): void {
    attempt(() => this.#file.close())
  }

  #verifyWhole(sum: Uint8Array): void {
    const { size, sha256, offset } = this.#ref
    const header = readExactly(this.#file, this.#ref, offset - blobHeaderBytes, blobHeaderBytes)
    const trailer = readExactly(this.#file, this.#ref, offset + size, trailerBytes(size))
    const evidence = sum.some((byte, at) => byte !== sha256[at])
      ? 'its SHA-256 does not hold'
      : trailerFault(this.#ref, header, trailer)
    if (evidence) throw corruptBlob(this.#ref, this.#file.path, evidence)
  }
}

/**
 * Whether a blob was freed: its segment has a hole at its record. A segment that is gone, or cannot
 * be read, says nothing: it may come back.
 */
export const isFreed = (disk: Disk, dir: string, ref: BlobRef): boolean => {
  const { offset, size } = ref
  const header = new Uint8Array(blobHeaderBytes).fill(1)
  const trailer = new Uint8Array(trailerBytes(size)).fill(1)
  attempt(() => {
    const file = openIfThere(disk, blobSegmentPath(dir, ref.segment))
    if (!file) return
    closing(file, () => {
      file.read(header, offset - blobHeaderBytes)
      file.read(trailer, offset + size)
    })
  })
  return [...header, ...trailer].every((byte) => byte === 0)
}

/** The memory for the pieces of a blob that is read whole. */
const pieceBytes = 1024 * 1024

/**
 * The payload of a blob in order, at least one piece, each valid until the next. The end comes only
 * if all of it is verified. @throws as `readBlobRange`
 */
export function* blobPieces(disk: Disk, dir: string, ref: BlobRef): Generator<Uint8Array, void> {
  const reading = new BlobReading(disk, dir, ref, 0, ref.size)
  try {
    const memory = new Uint8Array(pieceBytes)
    for (let isDone = false; !isDone; ) {
      const { bytes, done } = reading.next(memory)
      isDone = done
      yield bytes
    }
  } finally {
    reading.close()
  }
}

/** Rounds down to the start of a chunk. */
const toChunk = (offset: number): number => offset - (offset % blobChunkBytes)

/** Opens the segment of a blob and compares its header with the reference. */
const openBlob = (disk: Disk, dir: string, ref: BlobRef): DiskFile => {
  const path = blobSegmentPath(dir, ref.segment)
  return refusing(() => {
    const file = openIfThere(disk, path)
    if (!file) throw corruptBlob(ref, path, 'its segment is missing')
    try {
      const at = ref.offset - blobHeaderBytes
      const evidence =
        at < 0
          ? 'no record can begin there'
          : headerFault(readExactly(file, ref, at, blobHeaderBytes), ref)
      if (evidence) throw corruptBlob(ref, path, evidence)
      return file
    } catch (error) {
      attempt(() => file.close())
      throw error
    }
  })
}

const readExactly = (file: DiskFile, ref: BlobRef, offset: number, length: number): Uint8Array =>
  fill(new Uint8Array(length), file, ref, offset)

const fill = (bytes: Uint8Array, file: DiskFile, ref: BlobRef, offset: number): Uint8Array => {
  const count = refusing(() => file.read(bytes, offset))
  if (count < bytes.length) throw corruptBlob(ref, file.path, 'its segment is too short')
  return bytes
}

/**
 * Reads and verifies whole chunks into memory that `room` gives, and returns the requested part.
 */
const readChunks = (
  file: DiskFile,
  ref: BlobRef,
  from: number,
  to: number,
  room: (length: number) => Uint8Array,
): Uint8Array => {
  if (!(from >= 0 && from <= to && to <= ref.size))
    throw new KeelsonError('INVALID_ARGUMENT', 'the range reaches beyond the blob', {
      details: { from, to, size: ref.size },
    })
  if (from === to) return new Uint8Array(0)
  const first = Math.floor(from / blobChunkBytes)
  const end = Math.ceil(to / blobChunkBytes)
  const start = first * blobChunkBytes
  const length = Math.min(ref.size, end * blobChunkBytes) - start
  const bytes = fill(room(length), file, ref, ref.offset + start)
  const sums = viewOf(readExactly(file, ref, ref.offset + ref.size + 4 * first, 4 * (end - first)))
  for (let chunk = first; chunk < end; chunk++) {
    const at = (chunk - first) * blobChunkBytes
    const sum = crc32(bytes.subarray(at, at + blobChunkBytes), chunkSeed(ref, chunk))
    if (sum !== sums.getUint32(4 * (chunk - first), true))
      throw corruptBlob(ref, file.path, `the sum of its chunk ${chunk} does not hold`)
  }
  return bytes.subarray(from - start, to - start)
}
