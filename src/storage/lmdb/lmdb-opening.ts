/**
 * Checks for the conditions in which lmdb-js ends the process while it opens an environment, by
 * calls that only throw: descriptors, address space, room for the first pages and for the lock
 * file. lmdb-js frees an environment twice when LMDB fails to open it, which is a SIGSEGV and no
 * exception.
 */
import { addressSpaceLeft } from '../disk/address-space.ts'
import type { Disk } from '../ports/disk.ts'
import { attempt, writeAll } from '../ports/disk-failure.ts'
import { dataFileName } from './lmdb-examination.ts'
import { refuseMap } from './lmdb-map.ts'

/** The lock file of the environment in `dir`. */
export const lockFileIn = (dir: string): string => `${dir}/lock.mdb`

/** LMDB opens four. Other threads may open some between the trial and the opening. */
const descriptors = 16

/** LMDB's own size is less. A longer file has more places for readers. */
const lockFileBytes = 12 * 1024

/** LMDB writes two pages into a new file. */
const firstPagesBytes = 16 * 1024

/**
 * Tries what the opening of an environment with a map of `mapBytes` needs of the process. Call it
 * right before. @throws DiskError, `EMFILE` for example; KeelsonError `NO_SPACE`
 */
export const tryProcess = (disk: Disk, dir: string, mapBytes: number): void => {
  refuseMap(mapBytes, addressSpaceLeft(disk))
  const held: { close(): void }[] = []
  try {
    while (held.length < descriptors) held.push(disk.openFolder(dir))
  } finally {
    for (const folder of held) folder.close()
  }
}

/**
 * Makes the lock file of the first thread that opens the environment, and tries to write the first
 * pages of a new data file. The lock file has its whole size: LMDB writes it through a map, and on
 * a full disk a write into a hole would end the process (SIGBUS). @throws DiskError
 */
export const tryFolder = (disk: Disk, dir: string): void => {
  // Readers left by a dead process would pin pages for ever. No other process is here: the folder's
  // lock is held.
  disk.remove(lockFileIn(dir))
  writeNew(disk, lockFileIn(dir), lockFileBytes)
  if (disk.entry(`${dir}/${dataFileName}`) !== undefined) return
  const trial = `${dir}/trial.tmp`
  disk.remove(trial)
  writeNew(disk, trial, firstPagesBytes)
  disk.remove(trial)
}

const writeNew = (disk: Disk, path: string, bytes: number): void => {
  const file = disk.open(path, 'create')
  try {
    writeAll(file, new Uint8Array(bytes), 0, 'ENOSPC')
  } catch (error) {
    attempt(() => disk.remove(path))
    throw error
  } finally {
    file.close()
  }
}
