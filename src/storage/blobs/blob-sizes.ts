/**
 * The sizes of a shard's blob segments, noted beside their folder. Each blob of an answered put is
 * within the noted size of its segment. So a start notices a missing folder, a missing segment and a
 * cut one, without a look at the references. The note proves only losses: without it, or with a
 * damaged line, less is noticed at the start, and the rest by readers.
 *
 *     blobs.sizes     lines "SEGMENT BYTES CRC\n"; the last line of a segment counts
 *
 * Lines are appended without a sync, and only raise a size. Before a segment shrinks or goes, the
 * file is replaced durably.
 */
import { crc32 } from '../../bytes/crc32.ts'
import { closing, type Disk, type DiskFile, readWhole } from '../ports/disk.ts'
import { attempt, writeAll } from '../ports/disk-failure.ts'
import { replaceFile } from '../ports/sealed-file.ts'
import { blobSegmentPath, listBlobs } from './blob-folder.ts'

type Sizes = Map<number, number>

/** A file that is missing or too short for what was acknowledged. */
export type LostFile = {
  readonly file: string
  readonly isMissing: boolean
  readonly evidence: string
}

/** The file with the sizes of the segments in `dir`. */
export const blobSizesPath = (dir: string): string => `${dir}.sizes`

/** The segments in `dir` that have fewer bytes than noted. Changes nothing. @throws DiskError */
export const lostSegments = (disk: Disk, dir: string): LostFile[] =>
  [...readSizes(disk, dir)].flatMap(([segment, bytes]) => {
    const file = blobSegmentPath(dir, segment)
    const entry = disk.entry(file)
    const size = entry?.kind === 'file' ? entry.size : 0
    if (size >= bytes) return []
    const evidence = entry
      ? `it has ${size} of ${bytes} bytes`
      : `it is missing, with ${bytes} bytes`
    return [{ file, isMissing: !entry, evidence }]
  })

const readSizes = (disk: Disk, dir: string): Sizes => {
  const path = blobSizesPath(dir)
  const sizes: Sizes = new Map()
  if (disk.entry(path)?.kind !== 'file') return sizes
  for (const line of new TextDecoder().decode(readWhole(disk, path)).split('\n')) {
    const [segment, bytes] = line.split(' ').map(Number)
    if (segment === undefined || bytes === undefined || line !== lineOf(segment, bytes)) continue
    sizes.set(segment, bytes)
  }
  return sizes
}

const lineOf = (segment: number, bytes: number): string =>
  `${segment} ${bytes} ${crc32(Buffer.from(`${segment} ${bytes}`))
    .toString(16)
    .padStart(8, '0')}`

const linesOf = (sizes: Sizes): Buffer =>
  Buffer.from([...sizes].map(([segment, bytes]) => `${lineOf(segment, bytes)}\n`).join(''))

/** The file is replaced when this much was appended to it. */
const appendedMax = 64 * 1024

/** The writer of the note, in one opening of the blobs. */
export class BlobSizes {
  readonly #disk: Disk
  readonly #dir: string
  readonly #next: number
  #sizes: Sizes | undefined
  #file: DiskFile | undefined
  #end = 0
  #limit = 0

  /** `next`: the number of the first segment of this opening. */
  constructor(disk: Disk, dir: string, next: number) {
    this.#disk = disk
    this.#dir = dir
    this.#next = next
  }

  /** Notes that the blobs of a segment end there. After a failure less is noted. */
  reach(segment: number, bytes: number): void {
    attempt(() => {
      const sizes = this.#known().set(segment, bytes)
      if (!this.#file || this.#end > this.#limit) return this.#rewrite(sizes)
      const line = Buffer.from(`${lineOf(segment, bytes)}\n`)
      writeAll(this.#file, line, this.#end, 'ENOSPC')
      this.#end += line.length
    })
  }

  /**
   * Notes durably that a segment needs no more than this; 0: it goes.
   * @throws DiskError: the segment must stay as it is
   */
  lower(segment: number, bytes: number): void {
    const sizes = new Map(this.#known())
    if ((sizes.get(segment) ?? 0) <= bytes) return
    if (bytes > 0) sizes.set(segment, bytes)
    else sizes.delete(segment)
    this.#rewrite(sizes)
  }

  /** Makes the note durable, and closes the file. */
  close(): void {
    const file = this.#file
    this.#file = undefined
    if (!file) return
    attempt(() => file.sync())
    attempt(() => file.close())
  }

  /** The noted sizes; without a note, those of the segments of earlier openings. */
  #known(): Sizes {
    const isNoted = this.#disk.entry(blobSizesPath(this.#dir)) !== undefined
    this.#sizes ??= isNoted ? readSizes(this.#disk, this.#dir) : this.#found()
    return this.#sizes
  }

  /**
   * Bytes that are not durable yet must not be noted: a power cut may take them. Nor those of an open
   * stream: its end may remove them.
   */
  #found(): Sizes {
    const { segments } = listBlobs(this.#disk, this.#dir)
    const earlier = segments.filter(({ segment, size }) => segment < this.#next && size > 0)
    return new Map(
      earlier.map(({ segment, size }) => {
        closing(this.#disk.open(blobSegmentPath(this.#dir, segment), 'write'), (file) =>
          file.sync(),
        )
        return [segment, size]
      }),
    )
  }

  /** If it fails, the sizes before still count, so a lowering is tried again. @throws DiskError */
  #rewrite(sizes: Sizes): void {
    this.close()
    const path = blobSizesPath(this.#dir)
    const bytes = linesOf(sizes)
    replaceFile(this.#disk, path, bytes)
    this.#sizes = sizes
    this.#file = this.#disk.open(path, 'write')
    this.#end = bytes.length
    this.#limit = this.#end + appendedMax
  }
}
