/**
 * Examines the LMDB file of a projection without LMDB. LMDB maps the file and trusts it: a cut file
 * causes SIGBUS, and a flipped bit in a page causes a wrong result, SIGSEGV or an abort. So a file
 * is examined before it is mapped; the end of its last opening decides how much of it
 * (`projection-marks.ts`). A damaged file is set aside and rebuilt from the log. Changes nothing.
 */

import { crc32 } from '../../bytes/crc32.ts'
import { readU64, viewOf } from '../../bytes/u64.ts'
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import { type Disk, DiskError, type DiskFile } from '../ports/disk.ts'
import type { LoadPlace } from '../ports/named-snapshot.ts'
import type { Progress } from '../ports/progress.ts'
import type {
  ExaminationDepth,
  ProjectedPosition,
  ProjectionExamination,
} from '../ports/projection-store.ts'
import { finish } from '../ports/steps.ts'
import { decodePlace, isRowKey, positionKey, rowHeadBytes } from '../values/row-codec.ts'
import { type Meta, metaPageBytes, newerMeta, readMeta } from './lmdb-format.ts'
import { damage, LmdbPages } from './lmdb-pages.ts'
import { type CompareKeys, type EntryVisitor, LmdbTree } from './lmdb-tree.ts'

/** The name of LMDB's file in the folder of a projection. */
export const dataFileName = 'data.mdb'

/**
 * The state of the projection in `dir`: absent, sound (safe to open and to write), or damaged, with
 * the evidence. Each byte is read once, in bounded memory. A disk error during a read is damage
 * too. Synchronous: every depth except `position` belongs on a thread.
 */
export const examineProjection = (
  disk: Disk,
  dir: string,
  depth: ExaminationDepth = 'all',
): ProjectionExamination => finish(examiningProjection(disk, dir, depth))

/** Gets a row: its key and its record, views that are valid during the call. */
export type SeeRow = (key: Uint8Array, record: Uint8Array) => void

/** Examines as `examineProjection` does, yields its progress, and gives each sound row to `see`. */
export function* examiningProjection(
  disk: Disk,
  dir: string,
  depth: ExaminationDepth,
  see?: SeeRow,
): Generator<Progress, ProjectionExamination> {
  const path = `${dir}/${dataFileName}`
  try {
    const folder = disk.entry(dir)
    if (folder && folder.kind !== 'folder')
      return { state: 'damaged', evidence: `${dir} is not a folder` }
    if (disk.entry(path) === undefined) return { state: 'absent' }
    const file = disk.open(path, 'read')
    try {
      return yield* examineFile(file, depth, see)
    } finally {
      file.close()
    }
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) return { state: 'damaged', evidence: evidenceOf(error) }
    if (error instanceof DiskError) return { state: 'damaged', evidence: error.message }
    throw error
  }
}

const evidenceOf = (error: KeelsonError): string => {
  const { evidence, key } = error.details
  return key === undefined ? String(evidence) : `${String(evidence)}, at the key ${String(key)}`
}

/**
 * The meta page from which LMDB will start. Reads only the two meta pages; `open` uses it as a last
 * check. @throws KeelsonError `CORRUPT`
 */
export const readNewerMeta = (file: DiskFile): Meta => {
  const first = readMetaAt(file, 0, 0)
  const second = readMetaAt(file, 1, first.pageBytes)
  const newer = newerMeta(first, second)
  if (typeof newer === 'string') throw damage(newer)
  return newer
}

/** How often the meta pages are read: a commit that is writing one makes them disagree. */
const metaReadings = 5

/** As `readNewerMeta`, of a file that an open store may be writing. @throws KeelsonError `CORRUPT` */
export const readMetaOf = (file: DiskFile): Meta => {
  for (let left = metaReadings; ; left--)
    try {
      return readNewerMeta(file)
    } catch (error) {
      if (left === 1 || !isKeelsonError(error, 'CORRUPT')) throw error
    }
}

const readMetaAt = (file: DiskFile, page: number, offset: number): Meta => {
  const bytes = new Uint8Array(metaPageBytes)
  const count = file.read(bytes, offset)
  const meta = readMeta(bytes.subarray(0, count), page)
  if (typeof meta === 'string') throw damage(`the meta page ${page} ${meta}`)
  return meta
}

/** The leaf pages between two reports of progress. */
const leavesPerStep = 256

function* examineFile(
  file: DiskFile,
  depth: ExaminationDepth,
  see: SeeRow | undefined,
): ReturnType<typeof examiningProjection> {
  const meta = readMetaOf(file)
  const pages = new LmdbPages(file, meta)
  if (depth !== 'position') {
    const free = new FreeList(pages, meta)
    new LmdbTree('free list', meta.free, meta, pages, compareIntegers, free).walk('all')
  }
  const rows = new Rows(see)
  const totalBytes = file.size()
  let leaves = 0
  const tree = new LmdbTree('main tree', meta.main, meta, pages, compareBytes, rows)
  for (const _ of tree.steps(depth))
    if (++leaves % leavesPerStep === 0)
      yield {
        what: 'the projection',
        bytes: Math.min(leaves * meta.pageBytes, totalBytes),
        totalBytes,
      }
  if (depth !== 'position') pages.checkUnwritten()
  if (rows.count > 0 && rows.place === undefined) throw damage('it has rows but no position')
  const { place: position } = rows
  if (position && 'snapshot' in position) return { state: 'loading', place: position }
  const count = Math.max(0, meta.main.entries - 1)
  return { state: 'sound', position, rows: count, bytes: totalBytes }
}

/** The order of byte strings, a prefix first: the order of keys in LMDB. */
export const compareBytes: CompareKeys = (a, aFrom, aTo, b, bFrom, bTo) => {
  const shorter = Math.min(aTo - aFrom, bTo - bFrom)
  for (let index = 0; index < shorter; index++) {
    const difference = (a[aFrom + index] ?? 0) - (b[bFrom + index] ?? 0)
    if (difference !== 0) return difference
  }
  return aTo - aFrom - (bTo - bFrom)
}

/** The order of u64 keys. Keys of another length are damage. */
const compareIntegers: CompareKeys = (a, aFrom, aTo, b, bFrom, bTo) => {
  if (aTo - aFrom !== 8 || bTo - bFrom !== 8)
    throw damage('a key of the free list is not an integer')
  return readU64(viewOf(a), aFrom) - readU64(viewOf(b), bFrom)
}

/**
 * The entries of the free list. Each transaction has the pages that it freed, as u64 count and that
 * many u64 words. A word is a page, or 0 (a gap), or the negative length of the run that begins at
 * the page in the next word (lmdb-js's `midl.c`).
 */
class FreeList implements EntryVisitor {
  readonly #pages: LmdbPages
  readonly #meta: Meta

  constructor(pages: LmdbPages, meta: Meta) {
    this.#pages = pages
    this.#meta = meta
  }

  inline(page: Uint8Array, keyFrom: number, dataFrom: number, dataTo: number): void {
    this.#checkTransaction(page.subarray(keyFrom, dataFrom))
    this.#claim([page.subarray(dataFrom, dataTo)], dataTo - dataFrom)
  }

  large(key: Uint8Array, bytes: number, pieces: Iterable<Uint8Array>): void {
    this.#checkTransaction(key)
    this.#claim(pieces, bytes)
  }

  #checkTransaction(key: Uint8Array): void {
    const transaction = key.length === 8 ? readU64(viewOf(key), 0) : 0
    if (transaction < 1 || transaction > this.#meta.transaction)
      throw damage('the free list names no transaction, or a later one')
  }

  #claim(pieces: Iterable<Uint8Array>, bytes: number): void {
    if (bytes < 8 || bytes % 8 !== 0) throw damage(`an entry of the free list has ${bytes} bytes`)
    let left = -1
    let run = 0
    for (const piece of pieces) {
      const view = viewOf(piece)
      for (let at = 0; at < piece.length && left !== 0; at += 8) {
        if (left < 0) left = this.#wordCount(view, bytes)
        else {
          run = this.#claimWord(view, at, run)
          left--
        }
      }
    }
    if (run !== 0) throw damage('an entry of the free list ends within a run')
  }

  #wordCount(view: DataView, bytes: number): number {
    const count = readU64(view, 0)
    if (count > bytes / 8 - 1) throw damage(`the free list has ${count} pages in ${bytes} bytes`)
    return count
  }

  /**
   * Reads one word; `run` is the length of the run that the previous word announced, or 0. Returns
   * the length of the run that the next word begins, or 0.
   */
  #claimWord(view: DataView, at: number, run: number): number {
    const high = view.getInt32(at + 4, true)
    const word = view.getUint32(at, true) + high * 2 ** 32
    if (run > 0 || word > 0) this.#pages.claim(word, Math.max(run, 1), 'the free list')
    return word < 0 ? -word : 0
  }
}

/** The entries of the main tree: rows and the position, each with its checksum. */
export class Rows implements EntryVisitor {
  count = 0
  place: ProjectedPosition | LoadPlace | undefined
  readonly #see: SeeRow | undefined

  constructor(see?: SeeRow) {
    this.#see = see
  }

  inline(page: Uint8Array, keyFrom: number, dataFrom: number, dataTo: number): void {
    if (page[keyFrom] === positionKey[0] && dataFrom - keyFrom === positionKey.length) {
      this.place = decodePlace(page.subarray(dataFrom, dataTo))
      return
    }
    checkRowKey(page, keyFrom, dataFrom)
    if (dataTo - dataFrom < rowHeadBytes) throw damage('a row is too short')
    const crc = crc32(page.subarray(dataFrom + 4, dataTo), crc32(page.subarray(keyFrom, dataFrom)))
    if (viewOf(page).getUint32(dataFrom, true) !== crc)
      throw damage('a row’s checksum does not hold')
    this.count++
    this.#see?.(page.subarray(keyFrom, dataFrom), page.subarray(dataFrom, dataTo))
  }

  large(key: Uint8Array, bytes: number, pieces: Iterable<Uint8Array>): void {
    checkRowKey(key, 0, key.length)
    if (bytes < rowHeadBytes) throw damage('a row is too short')
    let expected = -1
    let crc = crc32(key)
    const record = this.#see && new Uint8Array(bytes)
    let at = 0
    for (const piece of pieces) {
      record?.set(piece, at)
      at += piece.length
      const isFirst = expected < 0
      if (isFirst) expected = viewOf(piece).getUint32(0, true)
      crc = crc32(isFirst ? piece.subarray(4) : piece, crc)
    }
    if (crc !== expected) throw damage('a large row’s checksum does not hold')
    this.count++
    if (record) this.#see?.(key, record)
  }
}

/** Refuses the key at `from..to` that no row can have. */
export const checkRowKey = (bytes: Uint8Array, from: number, to: number): void => {
  if (!isRowKey(bytes, from, to)) throw damage(`a row has an impossible key of ${to - from} bytes`)
}
