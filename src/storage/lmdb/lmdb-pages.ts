/**
 * The pages of an LMDB file for an examination. Each is read at most once, within the file and the
 * range of the meta page. Memory is bounded: one bit per page and one window of the file.
 */
import { KeelsonError } from '../../errors.ts'
import type { DiskFile } from '../ports/disk.ts'
import { type Meta, metaPages } from './lmdb-format.ts'

/** Damage in an LMDB file. Examinations return it as their result. */
export const damage = (evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `the projection's file is damaged: ${evidence}`, {
    details: { evidence },
  })

/** The pages of one read while pages are read in order. */
const windowPages = 64

/** The bytes of one read of large data. */
const chunkBytes = 1 << 20

/**
 * How far the last page may be after the end of the file: pages that a transaction allocated and
 * freed without writing them.
 */
const unwrittenPagesMax = 1 << 20

/** The pages of one examined file, in the snapshot of `meta`. */
export class LmdbPages {
  readonly #file: DiskFile
  readonly #meta: Meta
  /** The number of complete pages in the file. */
  readonly #filePages: number
  /** One bit per page that is claimed by a tree, a run of overflow pages, or the free list. */
  readonly #claimed: Uint8Array
  /** One bit per page that was examined by itself. */
  #examined: Uint8Array | undefined
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

  /** Claims pages for `what`. @throws `CORRUPT` if they do not exist or are already claimed */
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

  /** Notes that a page was examined and is sound. */
  sound(page: number): void {
    this.#examined ??= new Uint8Array(this.#claimed.length)
    this.#examined[page >>> 3] = (this.#examined[page >>> 3] ?? 0) | (1 << (page & 7))
  }

  /** Whether the page was noted as sound. */
  isSound(page: number): boolean {
    return ((this.#examined?.[page >>> 3] ?? 0) & (1 << (page & 7))) !== 0
  }

  /** Checks that the page is in the file. @throws `CORRUPT` */
  checkWritten(page: number): void {
    if (page >= this.#filePages) throw damage(`the file ends before the page ${page}`)
  }

  /**
   * The bytes of a claimed page, valid until the next call. @throws `CORRUPT` if the file ends
   * before it
   */
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
   * The `count` bytes of the file from `offset` on, in pieces, each valid until the next one. The
   * length of every piece except the last is a multiple of 8.
   */
  *chunks(offset: number, count: number): IterableIterator<Uint8Array> {
    this.#chunk ??= new Uint8Array(chunkBytes)
    for (let done = 0; done < count; done += chunkBytes) {
      const piece = this.#chunk.subarray(0, Math.min(chunkBytes, count - done))
      this.#fill(piece, offset + done)
      yield piece
    }
  }

  /**
   * Checks that pages after the end of the file are free ones. Call it after all claims. @throws
   * `CORRUPT`
   */
  checkUnwritten(): void {
    for (let page = this.#filePages; page <= this.#meta.lastPage; page++)
      if (((this.#claimed[page >>> 3] ?? 0) & (1 << (page & 7))) === 0)
        throw damage(`the file ends before the page ${page}`)
  }
}
