/**
 * Reads a snapshot from its beginning to its end, one block at a time, and verifies all of it. A
 * block is given out after its checksum held, and a whole reading ends only if header, blocks,
 * index and footer agree. So a reader that stops early has verified what it got, and nothing else.
 */

import { crc32 } from '../../bytes/crc32.ts'
import { readU64, viewOf } from '../../bytes/u64.ts'
import { type Disk, DiskError, type DiskFile, pathIn } from '../ports/disk.ts'
import { isSameSnapshot, type NamedSnapshot } from '../ports/named-snapshot.ts'
import type { ProjectedPosition } from '../ports/projection-store.ts'
import type { SnapshotFacts, SnapshotPlace, SnapshotProtocol } from '../ports/snapshot-host.ts'
import type { SnapshotRecord } from '../ports/snapshot-rows.ts'
import { BlobExtents, recordExtent } from '../values/blob-extents.ts'
import { refsOf } from '../values/rope.ts'
import { decodeRow } from '../values/row-codec.ts'
import { snapshotName } from './snapshot-folder.ts'
import {
  blockHeadBytes,
  decodeFooter,
  decodeHeader,
  type Footer,
  footerBytes,
  headerBytes,
  indexHeadBytes,
  readBlockHead,
  rowHeadBytes,
  snapshotDamage,
  sumOfHeader,
  sumWith,
} from './snapshot-format.ts'

/** A verified block. */
export type SnapshotBlock = {
  /** Where the block after it begins: from there a later reading can go on. */
  readonly next: number
  /** Its rows in order, as views of its memory. */
  readonly records: readonly SnapshotRecord[]
}

/** Gets a row: a view, valid during the call. */
export type TakeRow = (record: SnapshotRecord) => void

/** Where a reading begins, or has come to. */
export type ReadFrom = SnapshotPlace

/**
 * An open snapshot. Opening reads header and footer.
 * @throws KeelsonError `CORRUPT` (details: file, offset, evidence), `UNSUPPORTED_VERSION`;
 * DiskError
 */
export class SnapshotReader {
  readonly facts: SnapshotFacts
  readonly #name: string
  readonly #file: DiskFile
  readonly #seed: number
  readonly #footer: Footer

  /** The file `name` in `dir`. */
  constructor(disk: Disk, dir: string, name: string) {
    this.#name = name
    this.#file = openedFile(disk, dir, name)
    try {
      const header = this.#read(0, headerBytes, 'header')
      const position = decodeHeader(name, header)
      this.#seed = sumOfHeader(header)
      this.#footer = this.#readFooter(position)
      const { rows, bytes, blocks, lsn, sum } = this.#footer
      this.facts = { position, rows, bytes, blocks, lsn, sum }
    } catch (error) {
      this.#file.close()
      throw error
    }
  }

  /** Refuses a file that is not `named`. @throws KeelsonError `CORRUPT` */
  refuseUnless(named: NamedSnapshot): void {
    const { facts } = this
    if (!isSameSnapshot(facts, named))
      throw this.#damage(facts.bytes - footerBytes, 'it is not the snapshot that MANIFEST names')
  }

  /**
   * The blocks in order. From the first block on, the end of the iteration verifies that the blocks
   * are exactly the ones of index and footer. @throws KeelsonError `CORRUPT`; DiskError
   */
  *blocks(from?: ReadFrom): IterableIterator<SnapshotBlock> {
    const index = this.#readIndex()
    const { indexAt } = this.#footer
    let at = from?.offset ?? headerBytes
    let rows = from?.rows ?? 0
    let sum = 0
    let last: Uint8Array = new Uint8Array(0)
    let entry = entryOf(index, at)
    while (at < indexAt) {
      const block = this.#readBlock(at)
      const records = this.#decoded(block, at, last)
      const first = records[0]?.key
      if (!entry || !first || entry.offset !== at || Buffer.compare(entry.key, first) !== 0)
        throw this.#damage(at, 'the index names another block here')
      last = Uint8Array.from(records.at(-1)?.key ?? [])
      sum = sumWith(sum, block)
      at += block.length
      rows += records.length
      entry = entryAt(index, entry.end)
      yield { next: at, records }
    }
    const isAll = rows === this.#footer.rows && (from !== undefined || sum === this.#footer.sum)
    if (!isAll || entry) throw this.#damage(indexAt, 'its blocks are not those of its footer')
  }

  /** Gives each row to `take`, and yields the place after each block. @throws as `blocks` */
  *walk(take: TakeRow): Generator<ReadFrom, void> {
    let rows = 0
    for (const { next, records } of this.blocks()) {
      for (const record of records) take(record)
      rows += records.length
      yield { offset: next, rows }
    }
  }

  close(): void {
    this.#file.close()
  }

  #damage(offset: number, evidence: string): Error {
    return snapshotDamage(this.#name, offset, evidence)
  }

  #read(offset: number, length: number, what: string): Uint8Array {
    const bytes = new Uint8Array(length)
    if (this.#file.read(bytes, offset) !== length)
      throw this.#damage(offset, `it ends within its ${what}`)
    return bytes
  }

  #readFooter(position: ProjectedPosition): Footer {
    const size = this.#file.size()
    const at = size - footerBytes
    if (at < headerBytes) throw this.#damage(size, 'it ends before its footer')
    const footer = decodeFooter(this.#name, at, this.#read(at, footerBytes, 'footer'))
    if (footer.bytes !== size || footer.indexAt < headerBytes || footer.indexAt > at)
      throw this.#damage(at, `its footer is of a file of ${footer.bytes} bytes, it has ${size}`)
    if (footer.lsn !== position.lsn)
      throw this.#damage(at, `its footer names lsn ${footer.lsn}, its header ${position.lsn}`)
    return footer
  }

  #readIndex(): Uint8Array {
    const { indexAt, indexCrc, bytes } = this.#footer
    const index = this.#read(indexAt, bytes - footerBytes - indexAt, 'index')
    if (crc32(index, this.#seed) !== indexCrc)
      throw this.#damage(indexAt, 'the checksum of its index does not hold')
    return index
  }

  /** A block with its head. */
  #readBlock(at: number): Uint8Array {
    const room = this.#footer.indexAt - at
    if (room < blockHeadBytes) throw this.#damage(at, 'a block lies within the index')
    const { length } = readBlockHead(this.#read(at, blockHeadBytes, 'blocks'))
    const bytes = blockHeadBytes + length
    if (bytes > room) throw this.#damage(at, `a block of ${length} bytes goes beyond the last one`)
    return this.#read(at, bytes, 'blocks')
  }

  #decoded(block: Uint8Array, at: number, last: Uint8Array): readonly SnapshotRecord[] {
    const head = readBlockHead(block)
    if (crc32(block.subarray(4), this.#seed) !== head.crc)
      throw this.#damage(at, 'the checksum of a block does not hold')
    const records = recordsIn(block)
    if (records.length !== head.rows)
      throw this.#damage(at, `a block has ${records.length} rows, its head names ${head.rows}`)
    let before = last
    for (const { key } of records) {
      if (Buffer.compare(before, key) >= 0) throw this.#damage(at, 'its keys do not rise')
      before = key
    }
    return records
  }
}

const openedFile = (disk: Disk, dir: string, name: string): DiskFile => {
  try {
    return disk.open(pathIn(dir, name), 'read')
  } catch (error) {
    const code = error instanceof DiskError ? error.code : undefined
    if (code === 'ENOENT') throw snapshotDamage(name, 0, 'it is missing')
    if (code === 'EISDIR') throw snapshotDamage(name, 0, 'it is a folder')
    throw error
  }
}

/** The rows of a block whose checksum holds. */
const recordsIn = (block: Uint8Array): SnapshotRecord[] => {
  const view = viewOf(block)
  const records: SnapshotRecord[] = []
  for (let at = blockHeadBytes; at + rowHeadBytes <= block.length; ) {
    const from = at + rowHeadBytes
    const begin = from + view.getUint16(at, true)
    const end = begin + view.getUint32(at + 2, true)
    records.push({ key: block.subarray(from, begin), record: block.subarray(begin, end) })
    at = end
  }
  return records
}

/** An entry of an index: a block, by its offset and its first key, and where the next entry is. */
type IndexEntry = { readonly offset: number; readonly key: Uint8Array; readonly end: number }

const entryAt = (index: Uint8Array, at: number): IndexEntry | undefined => {
  if (at + indexHeadBytes > index.length) return undefined
  const view = viewOf(index)
  const from = at + indexHeadBytes
  const end = from + view.getUint16(at + 8, true)
  return { offset: readU64(view, at), key: index.subarray(from, end), end }
}

/** The entry of the block at `offset`. */
const entryOf = (index: Uint8Array, offset: number): IndexEntry | undefined => {
  let entry = entryAt(index, 0)
  while (entry && entry.offset < offset) entry = entryAt(index, entry.end)
  return entry
}

/** Opens `file` in `dir`. @throws KeelsonError `CORRUPT`, also for a file that is not `snapshot` */
export const openSnapshot = (
  disk: Disk,
  dir: string,
  snapshot: NamedSnapshot,
  file = snapshotName(snapshot.lsn),
): SnapshotReader => {
  const reader = new SnapshotReader(disk, dir, file)
  try {
    reader.refuseUnless(snapshot)
    return reader
  } catch (error) {
    reader.close()
    throw error
  }
}

/**
 * Reads all of `file` in `dir`, gives each row to `take`, and yields after each block.
 * @throws KeelsonError `CORRUPT`, also for a file that is not `snapshot`; `UNSUPPORTED_VERSION`;
 * DiskError
 */
export function* verifyingFile(
  disk: Disk,
  dir: string,
  file: string,
  snapshot: NamedSnapshot,
  take: TakeRow = () => undefined,
): Generator<ReadFrom, SnapshotFacts> {
  const reader = openSnapshot(disk, dir, snapshot, file)
  try {
    yield* reader.walk(take)
    return reader.facts
  } finally {
    reader.close()
  }
}

/**
 * The blobs that the rows of a snapshot refer to. They stay alive while the snapshot is kept, even
 * if newer rows have replaced them. Reads the whole snapshot, and yields after each block.
 * @throws KeelsonError `CORRUPT`; DiskError
 */
export function* blobsOfSnapshot(reader: SnapshotReader): Generator<ReadFrom, BlobExtents> {
  const live = new BlobExtents()
  yield* reader.walk(({ key, record }) => {
    for (const ref of refsOf(decodeRow(key, record).value)) live.add(ref.segment, recordExtent(ref))
  })
  return live
}

/**
 * About `maxBytes` of rows from `from` on, in whole blocks, packed so that they cross to another
 * thread at once.
 * @throws KeelsonError `CORRUPT`; DiskError
 */
export const rowsFrom = (
  reader: SnapshotReader,
  maxBytes: number,
  from?: SnapshotPlace,
): SnapshotProtocol['rows']['answer'] => {
  const pieces: Uint8Array[] = []
  const lengths: number[] = []
  let rows = from?.rows ?? 0
  let size = 0
  let at = from?.offset ?? 0
  // A thread gives its memory away, and a small `Buffer.concat` would be a part of Node's pool.
  const answer = () => ({
    position: reader.facts.position,
    lengths,
    bytes: new Uint8Array(Buffer.concat(pieces)),
  })
  for (const { next, records } of reader.blocks(from)) {
    // The block before was not the last one.
    if (size >= maxBytes) return { ...answer(), next: { offset: at, rows } }
    for (const { key, record } of records) {
      pieces.push(key, record)
      lengths.push(key.length, record.length)
      size += key.length + record.length
    }
    rows += records.length
    at = next
  }
  return answer()
}
