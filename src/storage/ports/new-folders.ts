/** Folders whose names are durable. */
import { dirname } from 'node:path'
import { type Disk, pathIn } from './disk.ts'

/** Makes a folder below one that is durable, also if it exists and its name was not synced. */
export const makeFolder = (disk: Disk, dir: string): void => {
  disk.makeFolder(dir)
  disk.syncFolder(dirname(dir))
}

/** The missing folders among `dir` and its parents, highest first. @throws DiskError */
export const missingFolders = (disk: Disk, dir: string): string[] => {
  const missing: string[] = []
  for (let path = dir; !disk.entry(path); path = dirname(path)) missing.unshift(path)
  return missing
}

/**
 * Makes a folder and its missing parents, each name durable in the one above. Returns the function
 * that removes what was made, and the content of `dir`. @throws DiskError; nothing is left then
 */
export const makeFolders = (disk: Disk, dir: string): (() => void) => {
  const missing = missingFolders(disk, dir)
  const [highest] = missing
  const undo = () => {
    if (highest) disk.remove(highest)
    else for (const name of disk.list(dir)) disk.remove(pathIn(dir, name))
  }
  try {
    for (const path of missing) makeFolder(disk, path)
  } catch (error) {
    undo()
    throw error
  }
  return undo
}
