/**
 * Copies blobs to the same places in segments of the same numbers. The record is rebuilt from the
 * reference and from a payload that was verified whole. A blob that is there and sound is left as it
 * is. A part that nothing refers to is a hole in the copy.
 *
 * After a sync that failed a reader may see blobs that only the page cache has, and no later sync
 * writes them. So their segment gets a mark: the next copy writes all of its blobs. A power cut ends
 * the cache, and may take the mark.
 */
import { isKeelsonError } from '../../errors.ts'
import { blobSegmentPath, listBlobs, writeNext } from '../blobs/blob-folder.ts'
import { blobPieces } from '../blobs/blob-reader.ts'
import { ChunkSums, encodeBlobHeader, encodeBlobTrailer } from '../blobs/blob-record.ts'
import { closing, type Disk, type DiskFile } from '../ports/disk.ts'
import { attempt, writeAll } from '../ports/disk-failure.ts'
import { recordExtent } from '../values/blob-extents.ts'
import type { BlobRef } from '../values/blob-reference.ts'

/**
 * A blob that is written to the place that its reference names. Its header comes last: a record
 * that is cut off has none. Close it, whatever happens.
 */
export class PlacedBlob {
  readonly #disk: Disk
  readonly #ref: BlobRef
  readonly #file: DiskFile
  readonly #sums: ChunkSums
  #at: number

  /** @throws DiskError */
  constructor(disk: Disk, dir: string, ref: BlobRef) {
    const path = blobSegmentPath(dir, ref.segment)
    this.#disk = disk
    this.#ref = ref
    this.#file = disk.open(path, disk.entry(path) ? 'write' : 'create')
    this.#sums = new ChunkSums(ref)
    this.#at = ref.offset
  }

  /** Writes the next bytes of the payload. @throws DiskError */
  add(bytes: Uint8Array): void {
    this.#sums.add(bytes)
    if (bytes.length > 0) writeAll(this.#file, bytes, this.#at, 'ENOSPC')
    this.#at += bytes.length
  }

  /** Writes trailer and header, and syncs. The payload is the one of the reference. @throws DiskError */
  finish(): void {
    const header = encodeBlobHeader(this.#ref.size, this.#ref.sha256)
    const trailer = encodeBlobTrailer(this.#ref, header, this.#sums.end())
    writeAll(this.#file, trailer, this.#at, 'ENOSPC')
    const { from, to } = recordExtent(this.#ref)
    if (this.#file.size() < to) this.#file.truncate(to)
    writeAll(this.#file, header, from, 'ENOSPC')
    try {
      this.#file.sync()
    } catch (error) {
      // Without a mark the next try would find the record whole, which the disk may lack.
      if (!hasMarked(this.#disk, this.#file))
        attempt(() => writeAll(this.#file, new Uint8Array(header.length), from))
      throw error
    }
  }

  close(): void {
    this.#file.close()
  }
}

/** Syncs a segment of which every blob that is wanted was examined or copied. @throws DiskError */
export const syncSegment = (disk: Disk, dir: string, segment: number): void => {
  const path = blobSegmentPath(dir, segment)
  closing(disk.open(path, 'write'), (file) => {
    try {
      file.sync()
    } catch (error) {
      hasMarked(disk, file)
      throw error
    }
  })
  disk.remove(markOf(path))
}

/** Marks a segment whose sync has failed. False: it has a mark already, or the disk takes none. */
const hasMarked = (disk: Disk, { path }: DiskFile): boolean =>
  attempt(() => disk.open(markOf(path), 'create').close())

/**
 * Makes durable that the segments below `next` have had their numbers. A copy lacks blobs that have
 * been freed, and frames that were refused still name them: no new segment may have their number.
 * @throws DiskError
 */
export const keepNumbers = (disk: Disk, dir: string, next: number): void => {
  if (listBlobs(disk, dir).next < next) writeNext(disk, dir, next)
}

/** The least number that no segment in `dir` has had. @throws DiskError */
export const nextNumber = (disk: Disk, dir: string): number => listBlobs(disk, dir).next

const markOf = (path: string): string => `${path}.unsynced.tmp`

/**
 * Copies a blob, and yields the bytes examined or copied. Answers whether it was copied.
 * @throws KeelsonError `CORRUPT` if it is missing or damaged in `from`; DiskError
 */
export function* copyingBlob(
  disk: Disk,
  from: string,
  to: string,
  ref: BlobRef,
): Generator<number, boolean> {
  if (yield* isThere(disk, to, ref)) return false
  let copy: PlacedBlob | undefined
  try {
    for (const bytes of blobPieces(disk, from, ref)) {
      copy ??= new PlacedBlob(disk, to, ref)
      copy.add(bytes)
      yield bytes.length
    }
    copy?.finish()
  } finally {
    copy?.close()
  }
  return true
}

function* isThere(disk: Disk, dir: string, ref: BlobRef): Generator<number, boolean> {
  const path = blobSegmentPath(dir, ref.segment)
  if (!disk.entry(path) || disk.entry(markOf(path))) return false
  try {
    for (const bytes of blobPieces(disk, dir, ref)) yield bytes.length
    return true
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) return false
    throw error
  }
}
