/**
 * Copies blobs to the same places in segments of the same numbers. The record is made anew from the
 * reference and from a payload that was verified whole. A blob that is there and sound is left as it
 * is. What nothing refers to is a hole in the copy.
 */
import { isKeelsonError } from '../../errors.ts'
import { blobSegmentPath } from '../blobs/blob-folder.ts'
import { BlobReading } from '../blobs/blob-reader.ts'
import {
  blobHeaderBytes,
  ChunkSums,
  encodeBlobHeader,
  encodeBlobTrailer,
  recordExtent,
} from '../blobs/blob-record.ts'
import { writeAll } from '../disk/disk-failure.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import type { BlobRef } from '../values/blob-reference.ts'

const pieceBytes = 1024 * 1024

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
  const reading = new BlobReading(disk, from, ref, 0, ref.size)
  try {
    const path = blobSegmentPath(to, ref.segment)
    const file = disk.open(path, disk.entry(path) ? 'write' : 'create')
    try {
      yield* fill(file, reading, ref)
    } finally {
      file.close()
    }
  } finally {
    reading.close()
  }
  return true
}

/** The header comes last: a record that is cut off has none. */
function* fill(file: DiskFile, reading: BlobReading, ref: BlobRef): Generator<number, void> {
  const header = encodeBlobHeader(ref.size, ref.sha256)
  const sums = new ChunkSums(ref)
  const memory = new Uint8Array(pieceBytes)
  let at = ref.offset
  for (let isDone = false; !isDone; ) {
    const { bytes, done } = reading.next(memory)
    sums.add(bytes)
    if (bytes.length > 0) writeAll(file, bytes, at, 'ENOSPC')
    at += bytes.length
    isDone = done
    yield bytes.length
  }
  writeAll(file, encodeBlobTrailer(ref, header, sums.end()), at, 'ENOSPC')
  const { to } = recordExtent(ref)
  if (file.size() < to) file.truncate(to)
  writeAll(file, header, ref.offset - blobHeaderBytes, 'ENOSPC')
  file.sync()
}

function* isThere(disk: Disk, dir: string, ref: BlobRef): Generator<number, boolean> {
  if (!disk.entry(blobSegmentPath(dir, ref.segment))) return false
  try {
    const reading = new BlobReading(disk, dir, ref, 0, ref.size)
    try {
      const memory = new Uint8Array(pieceBytes)
      for (let isDone = false; !isDone; ) {
        const { bytes, done } = reading.next(memory)
        isDone = done
        yield bytes.length
      }
      return true
    } finally {
      reading.close()
    }
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) return false
    throw error
  }
}
