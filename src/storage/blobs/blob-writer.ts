/**
 * Writes blobs: all payloads of a call behind one another in the present segment, with one sync. Each
 * opening begins a segment of its own, and so does every failure: nothing is ever appended to bytes that this writer has
 * not written itself. What is answered is durable, name and all; what failed is referred to by nobody, and is swept.
 */
import { dirname } from 'node:path'
import { KeelsonError } from '../../errors.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import { refusing } from '../segments/log-errors.ts'
import { pathIn } from '../segments/log-folder.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import {
  type BlobListing,
  type BlobSegment,
  blobSegmentPath,
  closeQuietly,
  listBlobs,
  removeQuietly,
  writeNext,
} from './blob-folder.ts'
import { blobBytesMax, recordBytes } from './blob-record.ts'
import { RecordWriter } from './record-writer.ts'

/** Where blobs go. */
export type BlobFolderOptions = {
  readonly dir: string
  /** A segment takes no more bytes than this, unless one call brings more. */
  readonly segmentBytes: number
}

/** The present segment. Everything before `end` was written and synced. */
type Active = { readonly segment: number; readonly file: DiskFile; end: number }

/** The writer of one folder, for one opening. */
export class BlobWriter {
  readonly #disk: Disk
  readonly #options: BlobFolderOptions
  readonly #buffer: () => Uint8Array
  #next: number
  /** What was written down of it. */
  #promised: number
  #active: Active | undefined
  /** The folder is there, and durably so. */
  #hasFolder = false

  /** Takes what `listBlobs` has found. */
  constructor(
    disk: Disk,
    buffer: () => Uint8Array,
    options: BlobFolderOptions,
    listing: BlobListing,
  ) {
    this.#disk = disk
    this.#buffer = buffer
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
    const { distinct, places } = alike(payloads)
    const bytes = distinct.reduce((total, { length }) => total + recordBytes(length), 0)
    return refusing(() => {
      const isNew = this.#makeRoom(bytes)
      const refs = this.#append(this.#active as Active, distinct, bytes, isNew)
      return places.map((at) => refs[at] as BlobRef)
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
      return { segment, file: this.#disk.open(blobSegmentPath(dir, segment), 'createLarge') }
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
      return refs
    } catch (error) {
      // Nobody knows what stands there now; nothing more is written behind it.
      this.#active = undefined
      closeQuietly(active.file)
      throw error
    }
  }
}

/** The payloads without those that equal one before them, and for each of all its number among them. */
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

/** Makes the folder and its name durable, also one that an earlier life had made and not synced. Its parent is durable. */
const makeFolder = (disk: Disk, dir: string): void => {
  disk.makeFolder(dir)
  disk.syncFolder(dirname(dir))
}

const tooLarge = (size: number): KeelsonError =>
  new KeelsonError('TOO_LARGE', `A blob has at most ${blobBytesMax} bytes.`, {
    details: { size, sizeMax: blobBytesMax },
  })
