/**
 * A spare: a file of zeros under a name that recovery ignores, written and synced, which becomes a
 * segment. So a full disk is detected before anything depends on the segment, and later syncs have
 * no blocks to allocate.
 */
import type { Disk, DiskFile } from './disk.ts'
import { attempt, writeAll } from './disk-failure.ts'

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
