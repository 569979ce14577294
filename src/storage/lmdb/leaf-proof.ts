/**
 * Proves leaf pages of a file before LMDB reads them. After a start the leaf pages of a large file
 * are not examined yet. LMDB has no checksums of pages: a damaged one hides rows, or ends the
 * process. So until the whole file is proven, each read first has the leaf pages that it needs
 * examined here, once each, in the state of the file before LMDB mapped it. A pin of the store
 * keeps that state. Later states come from it: a page that lost rows there is found, whatever a
 * commit has made of it. It is apart from `lmdb-projection-store.ts` because it reads the file
 * without LMDB.
 */
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import { type Disk, DiskError, type DiskFile } from '../ports/disk.ts'
import { compareBytes, dataFileName, Rows, readNewerMeta } from './lmdb-examination.ts'
import { damage, LmdbPages } from './lmdb-pages.ts'
import { type LeafBounds, LmdbTree } from './lmdb-tree.ts'

/** The leaf pages of one file. Holds a descriptor until it is ended. */
export class LeafProof {
  readonly #file: DiskFile
  readonly #tree: LmdbTree
  readonly #found: (damage: KeelsonError) => void
  #hasEnded = false

  /**
   * Create it before LMDB maps the file, whose branch pages are examined. `found` is called with
   * damage before it is thrown. @throws KeelsonError `CORRUPT`; DiskError
   */
  constructor(disk: Disk, dir: string, found: (damage: KeelsonError) => void) {
    this.#found = found
    this.#file = disk.open(`${dir}/${dataFileName}`, 'read')
    try {
      const meta = readNewerMeta(this.#file)
      const pages = new LmdbPages(this.#file, meta)
      this.#tree = new LmdbTree('main tree', meta.main, meta, pages, compareBytes, new Rows())
    } catch (error) {
      this.#file.close()
      throw error
    }
  }

  /** Call it before the look-up of `key`. @throws KeelsonError `CORRUPT` */
  prove(key: Uint8Array): void {
    this.leafOf(key, false)
  }

  /** As the tree's `leafOf`. After the end there is one page for all keys. */
  leafOf(key: Uint8Array | undefined, isBelow: boolean): LeafBounds {
    if (this.#hasEnded) return { low: undefined, high: undefined }
    try {
      return this.#tree.leafOf(key, isBelow)
    } catch (error) {
      const found = error instanceof DiskError ? damage(error.message) : error
      if (isKeelsonError(found, 'CORRUPT')) this.#found(found)
      throw found
    }
  }

  /** Call it before a cursor begins at `start`, as LMDB does. @throws as `prove` does */
  walk(start: Uint8Array | undefined, isReverse: boolean): LeafWalk {
    return new LeafWalk(this, start, isReverse)
  }

  /** Ends the proof: everything is taken for proven. */
  end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#file.close()
  }
}

/** The leaf pages of one cursor: they are proven one page ahead of it. */
export class LeafWalk {
  readonly #proof: LeafProof
  readonly #isReverse: boolean
  /** Where the next page begins, which is proven. `undefined`: there is none. */
  #edge: Uint8Array | undefined

  constructor(proof: LeafProof, start: Uint8Array | undefined, isReverse: boolean) {
    this.#proof = proof
    this.#isReverse = isReverse
    const { low, high } = proof.leafOf(start ?? (isReverse ? undefined : noBytes), isReverse)
    this.#edge = isReverse ? low : high
    // LMDB looks for the first key from `start` on, also in reverse. It may be in the next page.
    if (isReverse && high) proof.leafOf(high, false)
    if (this.#edge) proof.leafOf(this.#edge, isReverse)
  }

  /** Call it when the cursor is at `key`, or at its end. @throws as `prove` does */
  reached(key: Uint8Array | undefined): void {
    while (this.#edge && (key === undefined || this.#hasPassed(this.#edge, key))) {
      const { low, high } = this.#proof.leafOf(this.#edge, this.#isReverse)
      this.#edge = this.#isReverse ? low : high
      if (this.#edge) this.#proof.leafOf(this.#edge, this.#isReverse)
    }
  }

  #hasPassed(edge: Uint8Array, key: Uint8Array): boolean {
    const order = Buffer.compare(key, edge)
    return this.#isReverse ? order < 0 : order >= 0
  }
}

const noBytes = new Uint8Array(0)
