/**
 * Writes a snapshot into a new file, block by block. It holds one block and the index in memory: of
 * a block the index has its offset and its first key. Nothing decides here when to sync.
 */
import { crc32 } from '../../bytes/crc32.ts'
import { viewOf, writeU64 } from '../../bytes/u64.ts'
import type { DiskFile } from '../ports/disk.ts'
import { writeAll } from '../ports/disk-failure.ts'
import type { ProjectedPosition } from '../ports/projection-store.ts'
import type { SnapshotFacts } from '../ports/snapshot-host.ts'
import type { SnapshotRecord } from '../ports/snapshot-rows.ts'
import {
  blockBytesMax,
  blockHeadBytes,
  encodeFooter,
  encodeHeader,
  footerBytes,
  headerBytes,
  indexHeadBytes,
  rowHeadBytes,
  sealBlock,
  sumOfHeader,
  sumWith,
} from './snapshot-format.ts'

/** A snapshot that is being written to an empty file. */
export class SnapshotWriter {
  readonly #file: DiskFile
  readonly #position: ProjectedPosition
  readonly #seed: number
  #block = new Uint8Array(blockBytesMax)
  #view = viewOf(this.#block)
  #filled = blockHeadBytes
  #blockRows = 0
  #index = new Uint8Array(4096)
  #indexed = 0
  #at = headerBytes
  #rows = 0
  #blocks = 0
  #sum = 0

  /** Writes the header. @throws DiskError */
  constructor(file: DiskFile, position: ProjectedPosition) {
    const header = encodeHeader(position)
    this.#file = file
    this.#position = position
    this.#seed = sumOfHeader(header)
    writeAll(file, header, 0, 'ENOSPC')
  }

  /** The rows taken so far. */
  get rows(): number {
    return this.#rows + this.#blockRows
  }

  /** The bytes written so far. */
  get bytes(): number {
    return this.#at
  }

  /**
   * Adds a row; their keys must rise. Returns whether a block was written for it. @throws DiskError
   */
  add({ key, record }: SnapshotRecord): boolean {
    const bytes = rowHeadBytes + key.length + record.length
    const isFull = this.#blockRows > 0 && this.#filled + bytes > blockBytesMax
    if (isFull) this.#flush()
    if (this.#filled + bytes > this.#block.length) this.#take(this.#filled + bytes)
    if (this.#blockRows === 0) this.#note(key)
    this.#view.setUint16(this.#filled, key.length, true)
    this.#view.setUint32(this.#filled + 2, record.length, true)
    this.#block.set(key, this.#filled + rowHeadBytes)
    this.#block.set(record, this.#filled + rowHeadBytes + key.length)
    this.#filled += bytes
    this.#blockRows++
    return isFull
  }

  /** Writes the last block, the index and the footer. @throws DiskError */
  end(): SnapshotFacts {
    if (this.#blockRows > 0) this.#flush()
    const index = this.#index.subarray(0, this.#indexed)
    const footer = {
      rows: this.#rows,
      bytes: this.#at + index.length + footerBytes,
      blocks: this.#blocks,
      lsn: this.#position.lsn,
      indexAt: this.#at,
      indexCrc: crc32(index, this.#seed),
      sum: this.#sum,
    }
    if (index.length > 0) writeAll(this.#file, index, this.#at, 'ENOSPC')
    writeAll(this.#file, encodeFooter(footer), this.#at + index.length, 'ENOSPC')
    const { rows, bytes, blocks, lsn, sum } = footer
    return { position: this.#position, lsn, rows, bytes, blocks, sum }
  }

  #flush(): void {
    const block = this.#block.subarray(0, this.#filled)
    sealBlock(block, this.#blockRows, this.#seed)
    writeAll(this.#file, block, this.#at, 'ENOSPC')
    this.#sum = sumWith(this.#sum, block)
    this.#at += block.length
    this.#rows += this.#blockRows
    this.#blocks++
    this.#filled = blockHeadBytes
    this.#blockRows = 0
    if (this.#block.length > blockBytesMax) this.#take(blockBytesMax)
  }

  /** Takes new memory for a block of one row, or for blocks of the usual size. */
  #take(bytes: number): void {
    this.#block = new Uint8Array(bytes)
    this.#view = viewOf(this.#block)
  }

  /** Adds the block that begins to the index. */
  #note(key: Uint8Array): void {
    const end = this.#indexed + indexHeadBytes + key.length
    if (end > this.#index.length) {
      const grown = new Uint8Array(Math.max(2 * this.#index.length, end))
      grown.set(this.#index)
      this.#index = grown
    }
    const view = viewOf(this.#index)
    writeU64(view, this.#indexed, this.#at)
    view.setUint16(this.#indexed + 8, key.length, true)
    this.#index.set(key, this.#indexed + indexHeadBytes)
    this.#indexed = end
  }
}
