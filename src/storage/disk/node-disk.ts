/**
 * The machine's own file system behind the disk port, synchronous throughout. This is the one file of storage that
 * imports `node:fs`. It adds nothing to what the system does but checks of arguments: no retry, no cache, no cleverness.
 * Files and folders get the permissions that the process's umask leaves.
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statfsSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import {
  creates,
  type Disk,
  type DiskEntry,
  DiskError,
  type DiskFile,
  type DiskLock,
  type OpenMode,
} from '../ports/disk.ts'
import { type DirectFile, DirectWriter } from './direct-writer.ts'
import { lockFolder, type OpenLockFile, type SharedLockFiles, shareFolder } from './folder-lock.ts'
import { lockLeftovers } from './lock-holder.ts'

/** How the machine's disk is used. */
export type NodeDiskOptions = {
  /** False: locks are made without the `flock` tool, as where there is none. */
  readonly flock?: boolean
}

const openFlags: Record<Exclude<OpenMode, 'createLarge'>, number> = {
  // Without waiting: a named pipe would not be open before somebody writes into it.
  read: constants.O_RDONLY | constants.O_NONBLOCK,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
}

/** What Linux calls tmpfs and ramfs. */
const volatileTypes: readonly number[] = [0x01021994, 0x858458f6]

/** Level by level: Node's own recursion does not end where the system answers ENOENT for a parent that is there (`/proc`). */
const makeFolders = (path: string): void => {
  const stats = unlessMissing(() => statSync(path))
  if (stats?.isDirectory()) return
  const parent = dirname(path)
  if (parent !== path && !unlessMissing(() => statSync(parent))) makeFolders(parent)
  try {
    mkdirSync(path)
  } catch (error) {
    // Another process may have made it in between.
    if (!unlessMissing(() => statSync(path))?.isDirectory()) throw error
  }
}

/** The machine's file system. */
export const nodeDisk = ({ flock = true }: NodeDiskOptions = {}): Disk => ({
  open: (path, mode) => nodeFile(path, openFile(path, mode), mode === 'createLarge'),
  entry: (path) =>
    attempt('entry', path, () => {
      const stats = unlessMissing(() => statSync(path))
      return stats && entryOf(stats)
    }),
  identity: (path) => lockFiles.identity(path),
  list: (path) => attempt('list', path, () => readdirSync(path).sort()),
  makeFolder: (path) => attempt('makeFolder', path, () => makeFolders(path)),
  rename: (from, to) => attempt('rename', from, () => renameSync(from, to)),
  remove: (path) =>
    attempt('remove', path, () =>
      unlessMissing(() => rmSync(path, { recursive: true, force: true })),
    ),
  syncFolder: (path) => attempt('syncFolder', path, () => syncFolder(path)),
  isVolatile: (path) => attempt('entry', path, () => volatileTypes.includes(statfsSync(path).type)),
  lock: (path, holder) => {
    const lock = lockFolder(lockFiles, path, holder, { flock })
    removeLockLeftovers(path)
    return lock
  },
})

/**
 * Keeps whoever would take the lock file at `path` from doing so until `release`, and writes nothing.
 * @throws KeelsonError `LOCKED_DIR` when somebody has it; DiskError.
 */
export const shareLock = (path: string): Pick<DiskLock, 'release'> => shareFolder(lockFiles, path)

/** Runs `action` and turns what the system throws into a `DiskError`. */
const attempt = <T>(operation: string, path: string, action: () => T): T => {
  try {
    return action()
  } catch (cause) {
    if (cause instanceof DiskError) throw cause
    throw new DiskError(systemCode(cause) ?? 'EIO', operation, path, { cause })
  }
}

const systemCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined

const openFile = (path: string, mode: OpenMode): number =>
  attempt(creates(mode) ? 'create' : 'open', path, () => {
    const descriptor = openSync(path, openFlags[mode === 'createLarge' ? 'create' : mode])
    // A folder can be opened to read, but not read; better to say so here than at the first read. A pipe never ends.
    return mode === 'read' ? refuseNoFile(descriptor, 'open', path) : descriptor
  })

/** @throws DiskError `EISDIR`, `ENODEV` for what is no plain file; it is closed then. */
const refuseNoFile = (descriptor: number, operation: string, path: string): number => {
  const stats = fstatSync(descriptor)
  if (stats.isFile()) return descriptor
  closeSync(descriptor)
  throw new DiskError(stats.isDirectory() ? 'EISDIR' : 'ENODEV', operation, path)
}

const nodeFile = (path: string, descriptor: number, isLarge: boolean): DiskFile => {
  const direct = isLarge ? new DirectWriter(() => openDirect(descriptor)) : undefined
  // The system gives the number of a closed descriptor to the next file: using it again would harm a stranger.
  let isOpen = true
  const call = <T>(operation: string, action: () => T): T =>
    attempt(operation, path, () => {
      if (!isOpen) throw new DiskError('EBADF', operation, path)
      return action()
    })
  const refuseBadNumber = (operation: string, value: number): void => {
    // To Node a negative offset means the current position, which a file here does not have.
    if (!Number.isSafeInteger(value) || value < 0) throw new DiskError('EINVAL', operation, path)
  }
  return {
    path,
    size: () => call('size', () => fstatSync(descriptor).size),
    read: (into, offset) =>
      call('read', () => {
        refuseBadNumber('read', offset)
        return readFully(descriptor, into, offset)
      }),
    write: (bytes, offset) =>
      call('write', () => {
        refuseBadNumber('write', offset)
        return direct?.write(bytes, offset) ?? writeSync(descriptor, bytes, 0, bytes.length, offset)
      }),
    sync: () => call('sync', () => fdatasyncSync(descriptor)),
    truncate: (size) =>
      call('truncate', () => {
        refuseBadNumber('truncate', size)
        ftruncateSync(descriptor, size)
      }),
    close: () =>
      call('close', () => {
        isOpen = false
        direct?.close()
        closeSync(descriptor)
      }),
  }
}

/** The same file, past the cache; only Linux has such a flag, and this way to what is open whatever its path names by now. */
const openDirect = (opened: number): DirectFile | undefined => {
  if (!constants.O_DIRECT) return undefined
  const descriptor = openSync(`/proc/self/fd/${opened}`, constants.O_WRONLY | constants.O_DIRECT)
  const write = (bytes: Uint8Array, offset: number) =>
    writeSync(descriptor, bytes, 0, bytes.length, offset)
  return { write, close: () => closeSync(descriptor) }
}

const readFully = (descriptor: number, into: Uint8Array, offset: number): number => {
  let filled = 0
  while (filled < into.length) {
    const count = readSync(descriptor, into, filled, into.length - filled, offset + filled)
    if (count === 0) break
    filled += count
  }
  return filled
}

const entryOf = (stats: Stats): DiskEntry => ({
  kind: stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : 'other',
  size: stats.size,
})

const syncFolder = (path: string): void => {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

const lockFiles: SharedLockFiles = {
  open: (path) => attempt('lock', path, () => openLockFile(path)),
  openThere: (path) =>
    attempt('lock', path, () =>
      unlessMissing(() => {
        const descriptor = refuseNoFile(openSync(path, openFlags.read), 'lock', path)
        return { descriptor, close: () => attempt('lock', path, () => closeSync(descriptor)) }
      }),
    ),
  identity: (path) =>
    attempt('lock', path, () => unlessMissing(() => identityOf(statSync(path, { bigint: true })))),
  content: (path) => attempt('lock', path, () => unlessMissing(() => readText(path))),
  putNew: (path, content) =>
    attempt('lock', path, () => {
      const temporary = writeBeside(path, content)
      try {
        linkSync(temporary, path)
        return true
      } catch (error) {
        // Without the temporary file somebody has the lock, and has tidied up.
        if (systemCode(error) !== 'EEXIST' && existsSync(temporary)) throw error
        return false
      } finally {
        rmSync(temporary, { force: true })
      }
    }),
  replace: (path, content) =>
    attempt('lock', path, () => renameSync(writeBeside(path, content), path)),
  remove: (path) => attempt('lock', path, () => unlessMissing(() => unlinkSync(path))),
}

/** Only tidies up: what it cannot remove stays. */
const removeLockLeftovers = (path: string): void => {
  try {
    const folder = dirname(path)
    for (const name of lockLeftovers(readdirSync(folder), basename(path)))
      rmSync(join(folder, name), { force: true })
  } catch {
    // Nothing depends on it.
  }
}

const openLockFile = (path: string): OpenLockFile => {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK
  const descriptor = refuseNoFile(openSync(path, flags), 'lock', path)
  return {
    descriptor,
    identity: identityOf(fstatSync(descriptor, { bigint: true })),
    fill: (content) =>
      attempt('lock', path, () => {
        const bytes = Buffer.from(content)
        const count = writeSync(descriptor, bytes, 0, bytes.length, 0)
        if (count < bytes.length) throw new DiskError('ENOSPC', 'lock', path)
        ftruncateSync(descriptor, bytes.length)
      }),
    close: () => attempt('lock', path, () => closeSync(descriptor)),
  }
}

const readText = (path: string): string => {
  const descriptor = refuseNoFile(openSync(path, openFlags.read), 'lock', path)
  try {
    return readFileSync(descriptor, 'utf8')
  } finally {
    closeSync(descriptor)
  }
}

const identityOf = ({ dev, ino }: BigIntStats): string => `${dev}:${ino}`

/** Writes a file under a free name next to `path`, and answers that name. */
const writeBeside = (path: string, content: string): string => {
  for (let number = 0; ; number++) {
    const name = `${path}.${process.pid}-${number}.tmp`
    try {
      writeFileSync(name, content, { flag: 'wx' })
      return name
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error
    }
  }
}

/** `undefined` when nothing stands there: no such name, nothing behind a file, a process that has ended meanwhile. */
const unlessMissing = <T>(action: () => T): T | undefined => {
  try {
    return action()
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ESRCH'].includes(systemCode(error) ?? '')) return undefined
    throw error
  }
}
