/**
 * The folder of a shard's blobs: segments named by their numbers, and the number that comes next. A number is given out
 * once: before a segment goes, the next number is written down, so that no reference ever names two blobs.
 *
 *     <20 digits>.bloblog         a segment
 *     <20 digits>.bloblog.tmp     one that was being written anew without what is dead in it; removed at the next opening
 *     next_segment_id             "NUMBER CRC\n": the least number that no segment has had
 */
import { crc32 } from '../bytes/crc32.ts'
import { type Disk, DiskError, type DiskFile } from '../ports/disk.ts'
import { pathIn } from '../segments/log-folder.ts'
import { writeAll } from '../segments/segment-file.ts'

/** A segment's file. */
export type BlobSegment = { readonly segment: number; readonly size: number }

/** What stands in the folder. */
export type BlobListing = {
  /** By number. */
  readonly segments: readonly BlobSegment[]
  /** The number of the next segment. */
  readonly next: number
  /** What was being written when a process ended. */
  readonly leftovers: readonly string[]
  /** Names that are nobody's here; they are left alone. */
  readonly strange: readonly string[]
}

const nextFile = 'next_segment_id'
const extension = '.bloblog'

/** The name of a segment's file. */
export const blobSegmentName = (segment: number): string =>
  `${String(segment).padStart(20, '0')}${extension}`

/** The path of a segment's file. */
export const blobSegmentPath = (dir: string, segment: number): string =>
  pathIn(dir, blobSegmentName(segment))

/** The number in a name; `undefined` for every other name, an unpadded number included. */
const segmentOf = (name: string): number | undefined => {
  const segment = /^\d{20}\.bloblog$/.test(name) ? Number(name.slice(0, 20)) : Number.NaN
  return Number.isSafeInteger(segment) ? segment : undefined
}

/** Looks at the folder and changes nothing; one that is not there is empty. @throws DiskError */
export const listBlobs = (disk: Disk, dir: string): BlobListing => {
  const names = disk.entry(dir)?.kind === 'folder' ? disk.list(dir) : []
  const segments: BlobSegment[] = []
  const leftovers: string[] = []
  const strange: string[] = []
  for (const name of names) {
    const segment = segmentOf(name)
    const entry = segment === undefined ? undefined : disk.entry(pathIn(dir, name))
    if (segment !== undefined && entry?.kind === 'file')
      segments.push({ segment, size: entry.size })
    else if (name.endsWith('.tmp')) leftovers.push(name)
    else if (name !== nextFile) strange.push(name)
  }
  segments.sort((a, b) => a.segment - b.segment)
  const highest = segments[segments.length - 1]?.segment ?? -1
  const written = names.includes(nextFile) ? readNext(disk, dir, highest) : 0
  return { segments, next: Math.max(written, highest + 1), leftovers, strange }
}

/** How far numbers jump when nobody knows any more how far they had gone: further than any folder can have come. */
const jump = 2 ** 40

/** The number that was written down; a damaged one jumps, because a number given out twice would be worse than a gap. */
const readNext = (disk: Disk, dir: string, highest: number): number => {
  const file = disk.open(pathIn(dir, nextFile), 'read')
  const bytes = new Uint8Array(64)
  try {
    const text = new TextDecoder().decode(bytes.subarray(0, file.read(bytes, 0)))
    const next = Number(text.split(' ')[0])
    return Number.isSafeInteger(next) && text === nextText(next) ? next : highest + 1 + jump
  } finally {
    file.close()
  }
}

const nextText = (next: number): string =>
  `${next} ${crc32(new TextEncoder().encode(String(next)))
    .toString(16)
    .padStart(8, '0')}\n`

/** Writes down, durably, that numbers below `next` have been given out. @throws DiskError */
export const writeNext = (disk: Disk, dir: string, next: number): void => {
  const path = pathIn(dir, nextFile)
  const temporary = `${path}.tmp`
  disk.remove(temporary)
  const file = disk.open(temporary, 'create')
  try {
    writeAll(file, new TextEncoder().encode(nextText(next)), 0, 'ENOSPC')
    file.sync()
  } finally {
    file.close()
  }
  disk.rename(temporary, path)
  disk.syncFolder(dir)
}

/** Closes a file of which nothing more is wanted: what was synced is there however that ends. */
export const closeQuietly = (file: DiskFile): void => {
  try {
    file.close()
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
  }
}

/** Removes a file; that it could not be removed is nobody's concern now. */
export const removeQuietly = (disk: Disk, path: string): void => {
  try {
    disk.remove(path)
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
  }
}
