/**
 * Makes segments. The space is taken first: a file of zeros under a name that recovery ignores, written and synced, so
 * that a full disk is found out before anything depends on it, and so that a sync later has no blocks to allocate. Its
 * rename, with the header and perhaps the first groups inside, synced, is the moment from which it exists.
 */

import { attempt, writeAll } from '../disk/disk-failure.ts'
import { encodeSegmentHeader, type SegmentHeader } from '../frames/segment-header.ts'
import { type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import { segmentName } from './log-folder.ts'

const chunkBytes = 1024 * 1024
/** Zeros are synced in parts: a commit's own sync waits for those that the disk was given before it. */
const syncedBytes = 2 * chunkBytes

/** A spare to be made: where, and how many bytes. */
export type SpareTask = { readonly path: string; readonly size: number }

/**
 * Makes a spare: `size` bytes of zeros, durable but for its name. When that fails it is removed and the disk's error is
 * thrown.
 */
export const prepareSpare = (disk: Disk, task: SpareTask): void => {
  for (const _ of sparePreparation(disk, task));
}

/** `prepareSpare` step by step, for whoever lets other work happen between the calls to the disk. */
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

/** What a spare becomes: the file `spare` with what `fill` writes behind the header as its first frames. */
export type Installation = {
  readonly spare: string
  readonly header: SegmentHeader
  readonly fill?: (file: DiskFile) => void
}

/**
 * Turns a spare into the segment that `header` describes and answers it, open. When it returns, all of that is durable.
 * Any failure is final for whoever asked.
 */
export const installSegment = (
  disk: Disk,
  dir: string,
  { spare: spareName, header, fill }: Installation,
): { readonly name: string; readonly file: DiskFile } => {
  const spare = pathIn(dir, spareName)
  const file = disk.open(spare, 'write')
  try {
    fill?.(file)
    writeAll(file, encodeSegmentHeader(header), 0)
    file.sync()
  } finally {
    file.close()
  }
  const name = segmentName(header.baseLsn, header.seq)
  disk.rename(spare, pathIn(dir, name))
  disk.syncFolder(dir)
  return { name, file: disk.open(pathIn(dir, name), 'write') }
}
