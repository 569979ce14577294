/** A folder that a command makes. An existing one is refused, and a failed command removes it. */
import { realpathSync } from 'node:fs'
import { basename, dirname, join, sep } from 'node:path'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { type Disk, makeFolders, refusing } from '../../storage/index.ts'

/**
 * Checks that `to` is missing or empty, and neither inside nor around `from`, symbolic links
 * resolved.
 * @throws KeelsonError `INVALID_ARGUMENT`, or an error of the disk; nothing was made
 */
export const checkNewFolder = (disk: Disk, from: string, to: string): void => {
  const entry = asked(to, () => disk.entry(to))
  if (entry && entry.kind !== 'folder') throw refusedFolder(to, 'it is not a folder')
  if (entry && asked(to, () => disk.list(to)).length > 0)
    throw refusedFolder(to, 'it exists and is not empty')
  const [source, target] = [realPath(from), realPath(to)]
  if (isWithin(target, source)) throw refusedFolder(to, `it is inside ${from}, which is only read`)
  if (isWithin(source, target)) throw refusedFolder(to, `it contains ${from}`)
}

/** Makes the folder durably and fills it. If that fails, nothing is left of it. */
export const fillNewFolder = async <T>(
  disk: Disk,
  to: string,
  fill: () => Promise<T>,
): Promise<T> => {
  const undo = newFolder(disk, to)
  try {
    return await fill()
  } catch (error) {
    undo()
    throw error
  }
}

/** Makes the folder durably. Returns the function that removes what was made, with its content. */
export const newFolder = (disk: Disk, to: string): (() => void) =>
  asked(to, () => makeFolders(disk, to))

/** The answer of the disk about the folder. There is no shard that could be down. */
const asked = <T>(to: string, question: () => T): T => {
  try {
    return refusing(question)
  } catch (error) {
    if (!isKeelsonError(error, 'SHARD_DOWN')) throw error
    const { operation, file, errno } = error.details
    throw refusedFolder(to, `${operation} ${file} failed with ${errno}`)
  }
}

const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)

/** The path without symbolic links; for a missing folder, based on the nearest one above. */
const realPath = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    const parent = dirname(path)
    return parent === path ? path : join(realPath(parent), basename(path))
  }
}

/** The refusal of a folder that a command was to write. */
export const refusedFolder = (path: string, why: string, cause?: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${path} cannot be written to: ${why}`, {
    details: { path, found: why },
    ...(cause !== undefined && { cause }),
  })
