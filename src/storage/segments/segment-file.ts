/**
 * Makes segments. The space is allocated first: a file of zeros under a name that recovery ignores,
 * written and synced. So a full disk is detected before anything depends on the segment, and later
 * syncs have no blocks to allocate. The segment exists from its rename on, with its header and
 * perhaps its first groups, synced.
 */

import { encodeSegmentHeader, type SegmentHeader } from '../frames/segment-header.ts'
import { type Disk, type DiskFile, type DiskFolder, pathIn } from '../ports/disk.ts'
import { attempt, writeAll } from '../ports/disk-failure.ts'
import { segmentName } from './log-folder.ts'

const chunkBytes = 1024 * 1024
/**
 * Zeros are synced in parts: the sync of a commit waits for all data that the disk was given
 * before.
 */
const syncedBytes = 2 * chunkBytes

/** A spare to make: its path and its size in bytes. */
export type SpareTask = { readonly path: string; readonly size: number }

/**
 * Makes a spare of `size` zero bytes. Its content is durable, its name is not. After a failure it
 * is removed and the disk error thrown.
 */
export const prepareSpare = (disk: Disk, task: SpareTask): void => {
  for (const _ of sparePreparation(disk, task));
}

/** `prepareSpare` in steps, for callers that do other work between the calls to the disk. */
export function* sparePreparation(disk: Disk, { path, size }: SpareTask): Generator<void> {
  try {
    disk.remove(path)
    yield
    const file = disk.open(path, 'create')
    try {
      yield
      yield* fillWithZeros(file, size)
      file.sync()
    } finally {
      file.close()
    }
  } catch (error) {
    attempt(() => disk.remove(path))
    throw error
  }
}

function* fillWithZeros(file: DiskFile, size: number): Generator<void> {
  const zeros = new Uint8Array(Math.min(chunkBytes, size))
  for (let at = 0; at < size; at += zeros.length) {
    writeAll(file, zeros.subarray(0, Math.min(zeros.length, size - at)), at, 'ENOSPC')
    yield
    if ((at + zeros.length) % syncedBytes === 0) file.sync()
  }
}

/** How a spare becomes a segment: `fill` writes the first frames after the header. */
export type Installation = {
  readonly header: SegmentHeader
  readonly fill?: (file: DiskFile) => void
}

/**
 * Makes the open file of a spare the segment that `header` describes, and returns its name. The
 * file stays open, so a lack of descriptors cannot fail it half way. Everything is durable on
 * return. Any failure is final for the caller.
 */
export const installSegment = (
  { dir, folder }: OpenFolder,
  spare: DiskFile,
  { header, fill }: Installation,
): string => {
  fill?.(spare)
  writeAll(spare, encodeSegmentHeader(header), 0)
  spare.sync()
  const name = segmentName(header.baseLsn, header.seq)
  spare.rename(pathIn(dir, name))
  folder.sync()
  return name
}

/** A folder that is open for syncs of its names. */
export type OpenFolder = { readonly dir: string; readonly folder: DiskFolder }
