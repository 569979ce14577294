/**
 * Two small files beside LMDB's file. They decide how much of it is examined before it is mapped.
 * LMDB has no checksums of pages: a damaged one hides rows, or shows old ones.
 *
 *   CLEAN     the store was closed cleanly, with this length and this last transaction
 *   UNPROVEN  it was opened after another end, and its leaf pages are not examined yet
 *
 *   no LMDB file           → 'position'   nothing to read
 *   a small file           → 'all'
 *   UNPROVEN, not CLEAN    → 'all'        the last opening ended before it had examined the leaves, and
 *                                         they may have ended it
 *   another file           → 'branches'   all pages above the leaves; the leaves are examined while the
 *                                         store is open, those that are read first (`leaf-proof.ts`)
 *
 * CLEAN is removed, durably, before LMDB maps the file. If a power cut restores it, it names an
 * older transaction.
 */

import { crc32 } from '../../bytes/crc32.ts'
import { layout, u64 } from '../../bytes/layout.ts'
import { viewOf } from '../../bytes/u64.ts'
import { isKeelsonError } from '../../errors.ts'
import { closing, type Disk, DiskError } from '../ports/disk.ts'
import type { ExaminationDepth } from '../ports/projection-store.ts'
import { dataFileName, readNewerMeta } from './lmdb-examination.ts'

const markVersion = 1
const markBytes = 24

const cleanIn = (dir: string): string => `${dir}/CLEAN`
const unprovenIn = (dir: string): string => `${dir}/UNPROVEN`

/**
 * How much of the file in `dir` must be examined before it is mapped. One of up to `wholeBytesMax`
 * bytes is examined whole.
 */
export const depthToExamine = (
  disk: Disk,
  dir: string,
  wholeBytesMax: number,
): ExaminationDepth => {
  const size = sizeIn(disk, dir)
  if (size === 'absent') return 'position'
  if (size <= wholeBytesMax) return 'all'
  const hasMark = attempted(() => disk.entry(unprovenIn(dir))) !== undefined
  return hasMark && !fitsCleanMark(disk, dir) ? 'all' : 'branches'
}

/** Size of LMDB's file in bytes; `Infinity` if unreadable. */
const sizeIn = (disk: Disk, dir: string): number | 'absent' =>
  attempted(() => disk.entry(`${dir}/${dataFileName}`)?.size ?? 'absent') ??
  Number.POSITIVE_INFINITY

/** The marks of one store from before it is mapped until after it is closed. */
export class ProjectionMarks {
  readonly #disk: Disk
  readonly #dir: string
  #state: 'proven' | 'closed' | 'unproven' | 'damaged'

  /**
   * Create it before LMDB maps the file. `isExamined`: the whole file was examined and is sound.
   * @throws DiskError
   */
  constructor(disk: Disk, dir: string, isExamined = false) {
    this.#disk = disk
    this.#dir = dir
    const isProven = isExamined || disk.entry(`${dir}/${dataFileName}`) === undefined
    this.#state = isProven ? 'proven' : fitsCleanMark(disk, dir) ? 'closed' : 'unproven'
    disk.remove(cleanIn(dir))
    if (this.#state !== 'unproven') disk.remove(unprovenIn(dir))
    else if (disk.entry(unprovenIn(dir)) === undefined)
      attempted(() => disk.open(unprovenIn(dir), 'create').close())
    disk.syncFolder(dir)
  }

  /** Whether the whole file is known to be sound. */
  get isProven(): boolean {
    return this.#state === 'proven'
  }

  /** Records that the whole file was examined and is sound. */
  proven(): void {
    if (this.#state === 'damaged') return
    this.#state = 'proven'
    attempted(() => this.#disk.remove(unprovenIn(this.#dir)))
  }

  /**
   * Records that a commit failed, and that its pages may not be on the disk: CLEAN will not be
   * written.
   */
  distrust(): void {
    this.#state = 'damaged'
  }

  /** Records that the file is damaged: the next opening examines all of it. */
  damaged(): void {
    this.distrust()
    const mark = unprovenIn(this.#dir)
    attempted(() => this.#disk.entry(mark) ?? this.#disk.open(mark, 'create').close())
  }

  /**
   * Call it after LMDB has closed the file. A mark that cannot be written only costs an
   * examination.
   */
  close(): void {
    const [disk, dir] = [this.#disk, this.#dir]
    attempted(() => {
      if (this.#state === 'unproven') disk.remove(unprovenIn(dir))
      if (this.#state === 'proven' || this.#state === 'closed') writeCleanMark(disk, dir)
    })
  }
}

/** The file as the mark of a clean close describes it. */
export type ClosedFile = { readonly transaction: number; readonly bytes: number }

const closedFile = layout<ClosedFile>({ transaction: u64(8), bytes: u64(16) })

/** The bytes of CLEAN. */
export const encodeCleanMark = (file: ClosedFile): Uint8Array => {
  const mark = new Uint8Array(markBytes)
  const view = viewOf(mark)
  view.setUint32(4, markVersion, true)
  closedFile.write(view, file)
  view.setUint32(0, crc32(mark.subarray(4)), true)
  return mark
}

const writeCleanMark = (disk: Disk, dir: string): void => {
  const mark = encodeCleanMark(factsOf(disk, dir))
  closing(disk.open(cleanIn(dir), 'create'), (file) => {
    file.write(mark, 0)
    file.sync()
  })
  disk.syncFolder(dir)
}

const fitsCleanMark = (disk: Disk, dir: string): boolean => {
  const facts = attempted(() => {
    const mark = readCleanMark(disk, dir)
    return mark && { mark, file: factsOf(disk, dir) }
  })
  return (
    facts !== undefined &&
    facts.mark.transaction === facts.file.transaction &&
    facts.mark.bytes === facts.file.bytes
  )
}

const readCleanMark = (disk: Disk, dir: string): ClosedFile | undefined => {
  if (disk.entry(cleanIn(dir))?.kind !== 'file') return undefined
  return closing(disk.open(cleanIn(dir), 'read'), (file) => {
    const mark = new Uint8Array(markBytes)
    const view = viewOf(mark)
    const isWhole =
      file.read(mark, 0) === markBytes && view.getUint32(0, true) === crc32(mark.subarray(4))
    if (!isWhole || view.getUint32(4, true) !== markVersion) return undefined
    return closedFile.read(view)
  })
}

const factsOf = (disk: Disk, dir: string): ClosedFile =>
  closing(disk.open(`${dir}/${dataFileName}`, 'read'), (file) => {
    return { transaction: readNewerMeta(file).transaction, bytes: file.size() }
  })

/** The result of `action`; `undefined` if the disk refuses or the meta pages are damaged. */
const attempted = <T>(action: () => T): T | undefined => {
  try {
    return action()
  } catch (error) {
    if (error instanceof DiskError || isKeelsonError(error, 'CORRUPT')) return undefined
    throw error
  }
}
