/**
 * Whether a log is still ours. Its folder's LOCK tells: whoever removes it by hand, because it looks stale, lets another
 * process in, and then two write. So a group that was synced is acknowledged only when LOCK is still the file that was there
 * when the log was inspected: whoever takes the folder later finds the group.
 */
import { KeelsonError } from '../errors.ts'
import { lockFileName } from './data-folder.ts'
import type { Disk } from './disk.ts'
import { pathIn } from './log-folder.ts'

/** A log's folder, and which file its LOCK was; without one nobody locks it, and nobody is kept out. */
export type OwnedFolder = { readonly disk: Disk; readonly dir: string; readonly lock?: string }

/** Which file is LOCK in `dir`, as `OwnedFolder` has it. @throws DiskError */
export const lockIn = (disk: Disk, dir: string): Pick<OwnedFolder, 'lock'> => {
  const lock = disk.identity(pathIn(dir, lockFileName))
  return lock === undefined ? {} : { lock }
}

/** @throws KeelsonError `SHARD_DOWN` with the reason `poisoned` and the file, when LOCK is gone or another file; DiskError. */
export const refuseLostLock = ({ disk, dir, lock }: OwnedFolder): void => {
  if (lock === undefined) return
  const file = pathIn(dir, lockFileName)
  if (disk.identity(file) === lock) return
  throw new KeelsonError('SHARD_DOWN', `The log is not ours any more: ${file} was removed`, {
    details: { reason: 'poisoned', file },
  })
}

/**
 * Runs `action`, which is to be believed only if the log was ours all the while: before, so that nothing of another's is
 * touched; after, so that nothing is acknowledged that another did not see. @throws as `refuseLostLock`.
 */
export const whileOwned = <T>(folder: OwnedFolder, action: () => T): T => {
  refuseLostLock(folder)
  const result = action()
  refuseLostLock(folder)
  return result
}
