/**
 * Writes blobs: all payloads of a call in one write with one sync, behind one another in the present segment. Each
 * opening begins a segment of its own, and so does every failure: nothing is ever appended to bytes that this writer has
 * not written itself. What is answered is durable, name and all; what failed is referred to by nobody, and is swept.
 */
import { dirname } from 'node:path'
import { KeelsonError } from '../errors.ts'
import {
  type BlobListing,
  type BlobSegment,
  blobSegmentPath,
  closeQuietly,
  listBlobs,
  removeQuietly,
  writeNext,
} from './blob-folder.ts'
import {
  blobBytesMax,
  blobHeaderBytes,
  ChunkSums,
  encodeBlobHeader,
  encodeBlobTrailer,
  recordBytes,
} from './blob-record.ts'
import type { BlobRef } from './blob-reference.ts'
import type { Disk, DiskFile } from './disk.ts'
import { refusing } from './log-errors.ts'
import { pathIn } from './log-folder.ts'
import { writeAll } from './segment-file.ts'
import { sha256 } from './sha256.ts'

/** Where blobs go. */
export type BlobFolderOptions = {
  readonly dir: string
  /** A segment takes no more bytes than this, unless one call brings more. */
  readonly segmentBytes: number
}

/** Up to this many bytes of a call are one write; more are one for each piece. */
const joinedBytesMax = 16 * 1024 * 1024

/** The present segment. Everything before `end` was written and synced. */
type Active = { readonly segment: number; readonly file: DiskFile; end: number }

/** A distinct payload and its place. */
type Placed = { readonly payload: Uint8Array; readonly ref: BlobRef }

/** The writer of one folder, for one opening. */
export class BlobWriter {
  readonly #disk: Disk
  readonly #options: BlobFolderOptions
  #next: number
  /** What was written down of it. */
  #promised: number
  #active: Active | undefined
  /** The folder is there, and durably so. */
  #hasFolder = false

  /** Takes what `listBlobs` has found. */
  constructor(disk: Disk, options: BlobFolderOptions, listing: BlobListing) {
    this.#disk = disk
    this.#options = options
    this.#next = listing.next
    this.#promised = 0
    for (const name of listing.leftovers) removeQuietly(disk, pathIn(options.dir, name))
  }

  /** The number of the segment that is being written; `undefined` without one. */
  get active(): number | undefined {
    return this.#active?.segment
  }

  /**
   * Makes all payloads durable; answers their references in order. Equal payloads of one call are written once.
   * @throws KeelsonError `TOO_LARGE`, `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN` (reason `disk`): none of them is referred to
   */
  put(payloads: readonly Uint8Array[]): BlobRef[] {
    for (const { length } of payloads) if (length > blobBytesMax) throw tooLarge(length)
    if (payloads.length === 0) return []
    const sums = payloads.map((payload) => ({ payload, sum: sha256(payload) }))
    const sizes = new Map(sums.map(({ payload, sum }) => [keyOf(sum), recordBytes(payload.length)]))
    const bytes = [...sizes.values()].reduce((total, size) => total + size, 0)
    return refusing(() => {
      const isNew = this.#makeRoom(bytes)
      const active = this.#active as Active
      const placed = new Map<string, Placed>()
      let offset = active.end + blobHeaderBytes
      for (const { payload, sum } of sums) {
        const key = keyOf(sum)
        if (placed.has(key)) continue
        const ref = { size: payload.length, segment: active.segment, offset, sha256: sum }
        placed.set(key, { payload, ref })
        offset += recordBytes(payload.length)
      }
      this.#append(active, [...placed.values()], bytes, isNew)
      return sums.map(({ sum }) => (placed.get(keyOf(sum)) as Placed).ref)
    })
  }

  /** Makes the file of a new segment, which is not the present one: a stream's. @throws DiskError */
  create(): { readonly segment: number; readonly file: DiskFile } {
    const { dir } = this.#options
    if (!this.#hasFolder) makeFolder(this.#disk, dir)
    this.#hasFolder = true
    const segment = this.#next
    if (!Number.isSafeInteger(segment + 1))
      throw new KeelsonError('NO_SPACE', 'The numbers of blob segments are used up.')
    // Even a file that could not be made may have left its name: the number is gone.
    this.#next += 1
    try {
      return { segment, file: this.#disk.open(blobSegmentPath(dir, segment), 'create') }
    } catch (error) {
      // Whoever has removed the folder may have it made again by the next.
      this.#hasFolder = false
      throw error
    }
  }

  /** What stands there; of the present segment as far as it is written. @throws DiskError */
  list(): BlobSegment[] {
    return listBlobs(this.#disk, this.#options.dir).segments.map((found) =>
      found.segment === this.#active?.segment ? { ...found, size: this.#active.end } : found,
    )
  }

  /** What is written from now on goes to another segment. */
  seal(): void {
    const active = this.#active
    this.#active = undefined
    if (active) closeQuietly(active.file)
  }

  /** Sees to it that no number is given out again, whatever is removed. @throws DiskError */
  promiseNumbers(): void {
    if (this.#promised === this.#next) return
    writeNext(this.#disk, this.#options.dir, this.#next)
    this.#promised = this.#next
  }

  /** Lets a segment be the present one that has room for so many bytes; true when its name is not durable yet. */
  #makeRoom(bytes: number): boolean {
    const active = this.#active
    if (active) {
      const isFull = active.end + bytes > this.#options.segmentBytes
      // Somebody else's hand was at it: what this writer believes of the file does not hold.
      if (!isFull && active.file.size() === active.end) return false
      this.seal()
    }
    this.#active = { ...this.create(), end: 0 }
    return true
  }

  #append(active: Active, placed: readonly Placed[], bytes: number, isNew: boolean): void {
    try {
      if (bytes <= joinedBytesMax) {
        const joined = new Uint8Array(bytes)
        for (const { offset, piece } of piecesOf(placed)) joined.set(piece, offset - active.end)
        writeAll(active.file, joined, active.end, 'ENOSPC')
      } else
        for (const { offset, piece } of piecesOf(placed))
          writeAll(active.file, piece, offset, 'ENOSPC')
      active.file.sync()
      if (isNew) this.#disk.syncFolder(this.#options.dir)
      active.end += bytes
    } catch (error) {
      // Nobody knows what stands there now; nothing more is written behind it.
      this.#active = undefined
      closeQuietly(active.file)
      throw error
    }
  }
}

const keyOf = (sum: Uint8Array): string => Buffer.from(sum).toString('latin1')

/** The bytes of records and where each goes; in pieces that one write takes. The last is filled up to its block. */
function* piecesOf(placed: readonly Placed[]): Generator<{ offset: number; piece: Uint8Array }> {
  for (const { payload, ref } of placed) {
    const header = encodeBlobHeader(ref.size, ref.sha256)
    const sums = new ChunkSums(ref)
    sums.add(payload)
    const trailer = encodeBlobTrailer(ref, header, sums.end())
    yield { offset: ref.offset - blobHeaderBytes, piece: header }
    for (let at = 0; at < payload.length; at += joinedBytesMax)
      yield { offset: ref.offset + at, piece: payload.subarray(at, at + joinedBytesMax) }
    const tail = new Uint8Array(recordBytes(ref.size) - blobHeaderBytes - ref.size)
    tail.set(trailer)
    yield { offset: ref.offset + ref.size, piece: tail }
  }
}

/** Makes the folder and its name durable, also one that an earlier life had made and not synced. Its parent is durable. */
const makeFolder = (disk: Disk, dir: string): void => {
  disk.makeFolder(dir)
  disk.syncFolder(dirname(dir))
}

const tooLarge = (size: number): KeelsonError =>
  new KeelsonError('TOO_LARGE', `A blob has at most ${blobBytesMax} bytes.`, {
    details: { size, sizeMax: blobBytesMax },
  })
