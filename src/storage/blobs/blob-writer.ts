/**
 * Writes blobs: all payloads of a call one after another in the active segment, with one sync. Each
 * opening and each failure starts a new segment, so this writer only appends to bytes that it has
 * written itself. Blobs of an answered call are durable, with the segment's name. Blobs of a failed
 * call have no reference, and a sweep frees them.
 */

import { sha256 } from '../../bytes/sha256.ts'
import { KeelsonError } from '../../errors.ts'
import { type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import { attempt, refusing, writeAll } from '../ports/disk-failure.ts'
import { makeFolder } from '../ports/new-folders.ts'
import { blobHeaderBytes, recordBytes } from '../values/blob-extents.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import {
  type BlobListing,
  type BlobSegment,
  blobSegmentPath,
  listBlobs,
  writeNext,
} from './blob-folder.ts'
import { blobBytesMax, ChunkSums, encodeBlobHeader, encodeBlobTrailer } from './blob-record.ts'
import { BlobSizes } from './blob-sizes.ts'

// Writes the records of one put, one after another, in large writes. Records are put together in a
// buffer of whole blocks that every put uses again: fresh pages cost more than the bytes copied
// into them. Nothing is synced here.

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

/** The folder of blobs, and its limit. */
export type BlobFolderOptions = {
  readonly dir: string
  /** The size of a segment. A call that brings more bytes gets a larger one. */
  readonly segmentBytes: number
  /**
   * The numbers of new segments, which no segment has had: from `from` on, below `to`. Absent: the
   * folder knows which ones it has had.
   */
  readonly numbers?: { readonly from: number; readonly to: number }
}

/** The active segment. All bytes before `end` are written and synced. */
type Active = { readonly segment: number; readonly file: DiskFile; end: number }

/** The writer of one folder, for one opening. */
export class BlobWriter {
  readonly #disk: Disk
  readonly #options: BlobFolderOptions
  readonly #buffer: () => Uint8Array
  #next: number
  /** The next number as made durable. */
  #promised: number
  #active: Active | undefined
  /** None of a cache: the engine has whatever its folder may lose. */
  readonly #sizes: BlobSizes | undefined
  /** The folder exists durably. */
  #hasFolder = false

  /** `listing`: what `listBlobs` found. `buffer`: the memory that records are written from. */
  constructor(
    disk: Disk,
    buffer: () => Uint8Array,
    options: BlobFolderOptions,
    listing: BlobListing,
  ) {
    this.#disk = disk
    this.#buffer = buffer
    this.#options = options
    this.#next = firstNumber(options, listing)
    this.#promised = 0
    this.#sizes = options.numbers ? undefined : new BlobSizes(disk, options.dir, this.#next)
    for (const name of listing.leftovers) attempt(() => disk.remove(pathIn(options.dir, name)))
  }

  /** The number of the active segment. */
  get active(): number | undefined {
    return this.#active?.segment
  }

  /**
   * Makes all payloads durable. Returns their references in order. Equal payloads of one call are
   * written once.
   * @throws KeelsonError `TOO_LARGE`, `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN` (reason `disk`): no
   * payload has a reference
   */
  put(payloads: readonly Uint8Array[]): BlobRef[] {
    for (const { length } of payloads) if (length > blobBytesMax) throw tooLarge(length)
    if (payloads.length === 0) return []
    const { distinct, places } = alike(payloads)
    const bytes = distinct.reduce((total, { length }) => total + recordBytes(length), 0)
    return refusing(() => {
      const isNew = this.#makeRoom(bytes)
      const refs = this.#append(this.#active as Active, distinct, bytes, isNew)
      return places.map((at) => refs[at] as BlobRef)
    })
  }

  /** The blobs of a segment are durable up to this offset, with its name. */
  reached(segment: number, bytes: number): void {
    this.#sizes?.reach(segment, bytes)
  }

  /** A segment is to be cut to this many bytes, or removed. @throws DiskError: it must stay */
  willCut(segment: number, bytes: number): void {
    this.#sizes?.lower(segment, bytes)
  }

  /** Ends the active segment, and makes durable what is noted of all. */
  close(): void {
    this.seal()
    this.#sizes?.close()
  }

  /** Makes the file of a new segment. A stream uses it for itself. @throws DiskError */
  create(): { readonly segment: number; readonly file: DiskFile } {
    const { dir } = this.#options
    if (!this.#hasFolder) makeFolder(this.#disk, dir)
    this.#hasFolder = true
    const segment = this.#next
    if (segment >= (this.#options.numbers?.to ?? Number.MAX_SAFE_INTEGER))
      throw new KeelsonError('NO_SPACE', 'the numbers of blob segments are used up')
    // A file that could not be made may have left its name, so its number is used.
    this.#next += 1
    try {
      return { segment, file: this.#disk.open(blobSegmentPath(dir, segment), 'createLarge') }
    } catch (error) {
      // The folder may have been removed. The next call makes it again.
      this.#hasFolder = false
      throw error
    }
  }

  /** Lists the segments. The active one ends where it is written and synced. @throws DiskError */
  list(): BlobSegment[] {
    return listBlobs(this.#disk, this.#options.dir).segments.map((found) =>
      found.segment === this.#active?.segment ? { ...found, size: this.#active.end } : found,
    )
  }

  /** Ends the active segment. The next put starts another one. */
  seal(): void {
    const active = this.#active
    this.#active = undefined
    if (active) attempt(() => active.file.close())
  }

  /** Makes all used numbers durable, before a segment is removed. @throws DiskError */
  promiseNumbers(): void {
    if (this.#promised === this.#next) return
    writeNext(this.#disk, this.#options.dir, this.#next)
    this.#promised = this.#next
  }

  /**
   * Makes sure that the active segment has room for `bytes`. Returns true if its name is not
   * durable yet.
   */
  #makeRoom(bytes: number): boolean {
    const active = this.#active
    if (active) {
      const isFull = active.end + bytes > this.#options.segmentBytes
      // With another size, something else has changed the file, and this writer must not append to
      // it.
      if (!isFull && active.file.size() === active.end) return false
      this.seal()
    }
    this.#active = { ...this.create(), end: 0 }
    return true
  }

  #append(
    active: Active,
    payloads: readonly Uint8Array[],
    bytes: number,
    isNew: boolean,
  ): BlobRef[] {
    try {
      const records = new RecordWriter(active, this.#buffer())
      const refs = payloads.map((payload) => records.add(payload))
      records.end()
      active.file.sync()
      if (isNew) this.#disk.syncFolder(this.#options.dir)
      active.end += bytes
      this.reached(active.segment, active.end)
      return refs
    } catch (error) {
      // The content of the file is unknown now, so nothing is appended to it.
      this.#active = undefined
      attempt(() => active.file.close())
      throw error
    }
  }
}

/** A file with a number that no segment has had is of another log. It is left alone. */
const firstNumber = ({ numbers }: BlobFolderOptions, { segments, next }: BlobListing): number => {
  if (!numbers) return next
  const { from, to } = numbers
  const taken = segments.filter(({ segment }) => segment >= from && segment < to)
  return Math.max(from, ...taken.map(({ segment }) => segment + 1))
}

/** The distinct payloads, and for each payload its index among them. */
const alike = (payloads: readonly Uint8Array[]) => {
  const distinct: Uint8Array[] = []
  const ofLength = new Map<number, number[]>()
  const places = payloads.map((payload) => {
    const candidates = ofLength.get(payload.length) ?? []
    ofLength.set(payload.length, candidates)
    const found = candidates.find((at) => Buffer.compare(distinct[at] as Uint8Array, payload) === 0)
    if (found !== undefined) return found
    candidates.push(distinct.length)
    return distinct.push(payload) - 1
  })
  return { distinct, places }
}

const tooLarge = (size: number): KeelsonError =>
  new KeelsonError('TOO_LARGE', `a blob has at most ${blobBytesMax} bytes`, {
    details: { size, sizeMax: blobBytesMax },
  })
