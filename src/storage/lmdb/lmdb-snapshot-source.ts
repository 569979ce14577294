/**
 * The rows of an LMDB file for a snapshot, without LMDB. One state is read: that of the newest meta
 * page when the source is opened. A pin of the open store keeps its pages. The walk verifies every
 * page, the checksum of every row, and that the tree has as many rows as it says. So a thread that
 * reads can be ended at any time, and a page that lost rows is found.
 */

import { type ViewedBytes, viewedBytes } from '../../bytes/u64.ts'
import { KeelsonError } from '../../errors.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import { openIfThere } from '../ports/disk-failure.ts'
import type { ProjectedPosition } from '../ports/projection-store.ts'
import type { SnapshotRecord, SnapshotSource } from '../ports/snapshot-rows.ts'
import { checkRecord, decodePosition, positionKey } from '../values/row-codec.ts'
import { checkRowKey, compareBytes, dataFileName, readMetaOf } from './lmdb-examination.ts'
import type { Meta } from './lmdb-format.ts'
import { LmdbPages } from './lmdb-pages.ts'
import { type EntryVisitor, LmdbTree } from './lmdb-tree.ts'

/**
 * Opens the present state of the projection in `dir`.
 * @throws KeelsonError `CORRUPT`; `INVALID_ARGUMENT` if it has no position; DiskError
 */
export const lmdbSnapshotSource = (disk: Disk, dir: string): SnapshotSource => {
  const file = openIfThere(disk, `${dir}/${dataFileName}`)
  if (!file) throw noPosition()
  try {
    return new LmdbSnapshotSource(file)
  } catch (error) {
    file.close()
    throw error
  }
}

const noPosition = (): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', 'a projection without a position has no snapshot')

class LmdbSnapshotSource implements SnapshotSource {
  readonly position: ProjectedPosition
  readonly rows: number
  readonly #file: DiskFile
  readonly #meta: Meta

  constructor(file: DiskFile) {
    this.#file = file
    this.#meta = readMetaOf(file)
    this.rows = Math.max(0, this.#meta.main.entries - 1)
    this.position = this.#readPosition()
  }

  *records(): Iterable<SnapshotRecord> {
    const leaf = new Leaf()
    for (const _ of this.#tree(leaf).steps('all')) yield* leaf.taken()
  }

  grownBytes(): number {
    return (readMetaOf(this.#file).lastPage - this.#meta.lastPage) * this.#meta.pageBytes
  }

  close(): void {
    this.#file.close()
  }

  /** It is the first entry of the tree. */
  #readPosition(): ProjectedPosition {
    const leaf = new Leaf()
    this.#tree(leaf).walk('position')
    if (!leaf.position) throw noPosition()
    return leaf.position
  }

  #tree(leaf: Leaf): LmdbTree {
    const pages = new LmdbPages(this.#file, this.#meta)
    return new LmdbTree('main tree', this.#meta.main, this.#meta, pages, compareBytes, leaf)
  }
}

/** Gathers the rows of one leaf page. */
class Leaf implements EntryVisitor {
  position: ProjectedPosition | undefined
  #page: Uint8Array | undefined
  #copy = viewedBytes(new Uint8Array(0))
  #inline: SnapshotRecord[] = []
  #large: SnapshotRecord[] = []

  inline(page: Uint8Array, keyFrom: number, dataFrom: number, dataTo: number): void {
    // The page is lost when large data is read, and its rows are taken after that.
    if (this.#page !== page) this.#copy = viewedBytes(page.slice())
    this.#page = page
    const { bytes } = this.#copy
    if (dataFrom - keyFrom === positionKey.length && bytes[keyFrom] === positionKey[0])
      this.position = decodePosition(bytes.subarray(dataFrom, dataTo))
    else this.#inline.push(checked(this.#copy, keyFrom, dataFrom, dataTo))
  }

  large(key: Uint8Array, bytes: number, pieces: Iterable<Uint8Array>): void {
    const memory = viewedBytes(new Uint8Array(key.length + bytes))
    memory.bytes.set(key)
    let at = key.length
    for (const piece of pieces) {
      memory.bytes.set(piece, at)
      at += piece.length
    }
    this.#large.push(checked(memory, 0, key.length, at))
  }

  /** The rows gathered since the last call, in order. */
  taken(): readonly SnapshotRecord[] {
    const rows = this.#inline
    if (this.#large.length > 0) {
      rows.push(...this.#large)
      rows.sort((a, b) => Buffer.compare(a.key, b.key))
    }
    this.#inline = []
    this.#large = []
    return rows
  }
}

const checked = (
  memory: ViewedBytes,
  keyFrom: number,
  dataFrom: number,
  dataTo: number,
): SnapshotRecord => {
  const { bytes } = memory
  checkRowKey(bytes, keyFrom, dataFrom)
  checkRecord(memory, keyFrom, dataFrom, dataTo)
  return { key: bytes.subarray(keyFrom, dataFrom), record: bytes.subarray(dataFrom, dataTo) }
}
