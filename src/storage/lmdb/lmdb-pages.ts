/**
 * The pages of an LMDB file as an examination reads them: each at most once, within the file, within the range that the
 * meta page names. Memory is bounded: one bit a page, one window of the file.
 */
import { KeelsonError } from '../../errors.ts'
import type { DiskFile } from '../ports/disk.ts'
import { type Meta, metaPages } from './lmdb-format.ts'

/** Something that an LMDB file must not hold. Examinations turn it into their answer. */
export const damage = (evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `the projection's file is damaged: ${evidence}`, {
    details: { evidence },
  })

/** How many pages one read brings in while pages are asked for in order. */
const windowPages = 64

/** How many bytes of large data one read brings in. */
const chunkBytes = 1 << 20

/** How far the last page may lie behind the end of the file: pages that a transaction took and freed unwritten. */
const unwrittenPagesMax = 1 << 20

/** The pages of one file under examination, from the snapshot of `meta`. */
export class LmdbPages {
  readonly #file: DiskFile
  readonly #meta: Meta
  /** Whole pages that the file has. */
  readonly #filePages: number
  /** One bit for each page that something has claimed: a tree, a run of overflow pages, or the free list. */
  readonly #claimed: Uint8Array
  readonly #window: Uint8Array
  #windowFrom = 0
  #windowTo = 0
  #chunk: Uint8Array | undefined

  constructor(file: DiskFile, meta: Meta) {
    this.#file = file
    this.#meta = meta
    this.#filePages = Math.floor(file.size() / meta.pageBytes)
    if (meta.lastPage >= this.#filePages + unwrittenPagesMax)
      throw damage(`the file has ${this.#filePages} pages, its last one should be ${meta.lastPage}`)
    this.#claimed = new Uint8Array((meta.lastPage >>> 3) + 1)
    this.#window = new Uint8Array(windowPages * meta.pageBytes)
  }

  /** Notes that the pages belong to `what`. @throws `CORRUPT` when they are none, or belong to something already. */
  claim(page: number, count: number, what: string): void {
    if (!(page >= metaPages && count >= 1 && page + count - 1 <= this.#meta.lastPage))
      throw damage(`${what} names the page ${page}, ${count} of them, of ${this.#meta.lastPage}`)
    for (let next = page; next < page + count; next++) {
      const bit = 1 << (next & 7)
      const byte = this.#claimed[next >>> 3] ?? 0
      if (byte & bit) throw damage(`${what} names the page ${next}, which is in use elsewhere`)
      this.#claimed[next >>> 3] = byte | bit
    }
  }

  /** @throws `CORRUPT` when the file ends before the page. */
  checkWritten(page: number): void {
    if (page >= this.#filePages) throw damage(`the file ends before the page ${page}`)
  }

  /** The bytes of a claimed page, good until the next call. @throws `CORRUPT` when the file ends before it. */
  read(page: number): Uint8Array {
    const { pageBytes } = this.#meta
    this.checkWritten(page)
    if (page < this.#windowFrom || page >= this.#windowTo) this.#load(page)
    const at = (page - this.#windowFrom) * pageBytes
    return this.#window.subarray(at, at + pageBytes)
  }

  #load(page: number): void {
    const inOrder = page === this.#windowTo
    const count = inOrder ? Math.min(windowPages, this.#filePages - page) : 1
    this.#fill(this.#window.subarray(0, count * this.#meta.pageBytes), page * this.#meta.pageBytes)
    this.#windowFrom = page
    this.#windowTo = page + count
  }

  #fill(into: Uint8Array, offset: number): void {
    if (this.#file.read(into, offset) !== into.length)
      throw damage(`the file ends within what it held at ${offset}`)
  }

  /**
   * The `count` bytes from `offset` of the file on, in pieces, each good until the next one. All pieces but the last
   * have a length that 8 divides.
   */
  *chunks(offset: number, count: number): IterableIterator<Uint8Array> {
    this.#chunk ??= new Uint8Array(chunkBytes)
    for (let done = 0; done < count; done += chunkBytes) {
      const piece = this.#chunk.subarray(0, Math.min(chunkBytes, count - done))
      this.#fill(piece, offset + done)
      yield piece
    }
  }

  /** @throws `CORRUPT` when a page that the file is too short for is not a free one. Called when all are claimed. */
  checkUnwritten(): void {
    for (let page = this.#filePages; page <= this.#meta.lastPage; page++)
      if (((this.#claimed[page >>> 3] ?? 0) & (1 << (page & 7))) === 0)
        throw damage(`the file ends before the page ${page}`)
  }
}
