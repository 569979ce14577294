/**
 * The folder of a shard's blobs: numbered segments, and the next number. Each number is used once:
 * the next number is made durable before a segment is removed. So no reference ever names two
 * blobs.
 *
 *     <20 digits>.bloblog         a segment
 *     <20 digits>.bloblog.tmp     an unfinished copy; the next opening removes it
 *     next_segment_id             "NUMBER CRC\n": the lowest number that no segment has had
 */

import { crc32 } from '../../bytes/crc32.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import { replaceFile } from '../ports/sealed-file.ts'

/** The file of a segment. */
export type BlobSegment = { readonly segment: number; readonly size: number }

/** The content of the folder. */
export type BlobListing = {
  /** In the order of their numbers. */
  readonly segments: readonly BlobSegment[]
  /** The number of the next segment. */
  readonly next: number
  /** Unfinished files of processes that ended. */
  readonly leftovers: readonly string[]
  /** Other names. They are left alone. */
  readonly strange: readonly string[]
}

const nextFile = 'next_segment_id'
const extension = '.bloblog'

/** The name of a segment's file. */
const blobSegmentName = (segment: number): string =>
  `${String(segment).padStart(20, '0')}${extension}`

/** The path of a segment's file. */
export const blobSegmentPath = (dir: string, segment: number): string =>
  pathIn(dir, blobSegmentName(segment))

/**
 * The number in a segment's name; `undefined` for other names, such as a number without padding.
 */
const segmentOf = (name: string): number | undefined => {
  const segment = /^\d{20}\.bloblog$/.test(name) ? Number(name.slice(0, 20)) : Number.NaN
  return Number.isSafeInteger(segment) ? segment : undefined
}

/** Lists the folder and changes nothing. A missing folder is empty. @throws DiskError */
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

/** Added to the highest number if the next one is damaged. No folder has had that many segments. */
const jump = 2 ** 40

/**
 * The next number as written. A damaged one jumps, because a gap is better than a number used
 * twice.
 */
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

/** Makes durable that all numbers below `next` are used. @throws DiskError */
export const writeNext = (disk: Disk, dir: string, next: number): void => {
  replaceFile(disk, pathIn(dir, nextFile), new TextEncoder().encode(nextText(next)))
}
