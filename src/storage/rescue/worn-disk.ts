/**
 * A disk that is read although it fails: what one sector costs is that sector. A read that the disk refuses is made again in
 * halves down to single sectors; those that stay unreadable come back as bytes of 0xff, which no frame's sum fits, and are
 * remembered, so that a disk which takes seconds to say no is asked once. It only reads.
 */
import { type Disk, DiskError, type DiskFile } from '../ports/disk.ts'

/** What whoever only looks asks of a disk. */
export type ReadableDisk = Pick<Disk, 'open' | 'entry' | 'list'>

/** Bytes of a file that the disk does not give. */
export type UnreadableExtent = { readonly offset: number; readonly bytes: number }

/** The smallest piece that a disk loses. */
const sectorBytes = 512

/** What Linux answers for a bad sector, and for one whose checksum does not hold. */
const mediumCodes: readonly string[] = ['EIO', 'ENODATA', 'EILSEQ', 'EBADMSG', 'EUCLEAN']

/** Why one file cannot be opened, rather than any: what the process or the machine ran out of is none of these. */
const fileCodes: readonly string[] = [
  ...mediumCodes,
  'EISDIR',
  'EACCES',
  'EPERM',
  'ENOENT',
  'ENOTDIR',
  'ELOOP',
  'ENXIO',
  'ENODEV',
]

/** Whether it is this file that cannot be read, so that others still may be. */
export const isFileFailure = (error: unknown): error is DiskError =>
  error instanceof DiskError && fileCodes.includes(error.code)

/** See above. One of these remembers what it could not read as long as it lives. */
export class WornDisk implements ReadableDisk {
  readonly #disk: ReadableDisk
  readonly #badSectors = new Map<string, Set<number>>()

  constructor(disk: ReadableDisk) {
    this.#disk = disk
  }

  /** As the disk's own. */
  entry(path: string): ReturnType<Disk['entry']> {
    return this.#disk.entry(path)
  }

  /** As the disk's own. */
  list(path: string): string[] {
    return this.#disk.list(path)
  }

  /** As the disk's own, to read. @throws DiskError when the file cannot be opened */
  open(path: string): DiskFile {
    const file = this.#disk.open(path, 'read')
    const bad = this.#badSectors.get(path) ?? new Set()
    this.#badSectors.set(path, bad)
    return { ...file, read: reading(file, bad) }
  }

  /** What could not be read of the file so far, in the order of offsets. */
  unreadable(path: string): UnreadableExtent[] {
    const extents: { offset: number; bytes: number }[] = []
    for (const sector of [...(this.#badSectors.get(path) ?? [])].sort((a, b) => a - b)) {
      const last = extents.at(-1)
      const offset = sector * sectorBytes
      if (last && last.offset + last.bytes === offset) last.bytes += sectorBytes
      else extents.push({ offset, bytes: sectorBytes })
    }
    return extents
  }
}

const reading =
  (file: DiskFile, bad: Set<number>): DiskFile['read'] =>
  (into, offset) => {
    if (bad.size === 0) {
      const count = attempted(file, into, offset)
      if (count !== undefined) return count
    }
    const count = Math.max(0, Math.min(into.length, file.size() - offset))
    fill(file, into.subarray(0, count), offset, bad)
    return count
  }

const fill = (file: DiskFile, into: Uint8Array, offset: number, bad: Set<number>): void => {
  if (into.length === 0) return
  const first = Math.floor(offset / sectorBytes)
  const sectors = Math.ceil((offset + into.length) / sectorBytes) - first
  const isKnown = bad.size > 0 && hasAny(bad, first, sectors)
  if (!isKnown && attempted(file, into, offset) !== undefined) return
  if (sectors === 1) {
    bad.add(first)
    into.fill(0xff)
    return
  }
  const middle = (first + Math.floor(sectors / 2)) * sectorBytes - offset
  fill(file, into.subarray(0, middle), offset, bad)
  fill(file, into.subarray(middle), offset + middle, bad)
}

const hasAny = (bad: ReadonlySet<number>, first: number, sectors: number): boolean => {
  for (let sector = first; sector < first + sectors; sector++) if (bad.has(sector)) return true
  return false
}

/** The count, or `undefined` when something in it cannot be read. */
const attempted = (file: DiskFile, into: Uint8Array, offset: number): number | undefined => {
  try {
    return file.read(into, offset)
  } catch (error) {
    if (error instanceof DiskError && mediumCodes.includes(error.code)) return undefined
    throw error
  }
}
