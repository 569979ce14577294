/** A folder that a command makes: refused where something is already, taken back as a whole when the command fails. */
import { realpathSync } from 'node:fs'
import { basename, dirname, join, sep } from 'node:path'
import { KeelsonError } from '../errors.ts'
import { type Disk, refusing } from '../storage/index.ts'

/**
 * Checks that `to` is missing or empty, and neither in `from` nor around it, whatever links lead there.
 * @throws KeelsonError `INVALID_ARGUMENT`, of the disk; nothing was made
 */
export const checkNewFolder = (disk: Disk, from: string, to: string): void => {
  const entry = refusing(() => disk.entry(to))
  if (entry && entry.kind !== 'folder') throw wrongTarget(to, 'it is no folder')
  if (entry && refusing(() => disk.list(to)).length > 0)
    throw wrongTarget(to, 'it is there, and not empty')
  const [source, target] = [realPath(from), realPath(to)]
  if (isWithin(target, source)) throw wrongTarget(to, `it lies in ${from}, which is only read`)
  if (isWithin(source, target)) throw wrongTarget(to, `${from} lies in it`)
}

/** Makes the folder, durably; what is answered removes all of it again. @throws of the disk */
export const makeNewFolder = (disk: Disk, to: string): (() => void) =>
  refusing(() => {
    const wasThere = disk.entry(to) !== undefined
    const missing: string[] = []
    for (let path = to; !disk.entry(path); path = dirname(path)) missing.unshift(path)
    const [highest] = missing
    const undo = () => {
      if (!wasThere && highest) disk.remove(highest)
      else for (const name of disk.list(to)) disk.remove(join(to, name))
    }
    try {
      for (const path of missing) {
        disk.makeFolder(path)
        disk.syncFolder(dirname(path))
      }
    } catch (error) {
      undo()
      throw error
    }
    return undo
  })

const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)

/** The path without links; of what is missing, that of the nearest folder above. */
const realPath = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    const parent = dirname(path)
    return parent === path ? path : join(realPath(parent), basename(path))
  }
}

const wrongTarget = (path: string, why: string): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${path} cannot be written to: ${why}`, {
    details: { path, found: why },
  })
