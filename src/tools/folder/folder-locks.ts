/** Locks of all folders that a command works in, taken together or not at all. */
import { join } from 'node:path'
import { isKeelsonError } from '../../errors.ts'
import { lockFileName, refusing, shareLock } from '../../storage/index.ts'

/**
 * Locks each of these folders, by default so that no process can open them, and returns the function
 * that releases all. @throws KeelsonError `LOCKED_DIR` when one is open; none is locked then
 */
export const lockAll = (
  folders: readonly string[],
  lock: (path: string) => { release(): void } = shareLock,
): (() => void) => {
  const locks: { release(): void }[] = []
  const release = () => {
    for (const each of locks.splice(0).reverse()) each.release()
  }
  try {
    for (const folder of new Set(folders))
      locks.push(refusing(() => lock(join(folder, lockFileName))))
    return release
  } catch (error) {
    release()
    throw error
  }
}

/** Locks, or the process that has one of the folders open, as it described itself. */
export type HeldFolders = { readonly heldBy?: string; readonly release: () => void }

/** Nothing opens these folders until `release`, unless one is open already. Writes nothing. */
export const shareAll = (folders: readonly string[]): HeldFolders => {
  try {
    return { release: lockAll(folders) }
  } catch (error) {
    if (!isKeelsonError(error, 'LOCKED_DIR')) throw error
    return { heldBy: error.message, release: () => undefined }
  }
}
