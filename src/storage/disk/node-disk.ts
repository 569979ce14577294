/**
 * The machine's file system as a disk port, synchronous throughout. This is the one file of storage
 * that imports `node:fs`. It adds only checks of arguments to the system's calls: no retry, no
 * cache. New files and folders are for their own user only, whatever the umask, and no write follows
 * a symbolic link in place of a file.
 */

import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
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
import { keptError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import {
  closing,
  creates,
  type Disk,
  type DiskEntry,
  DiskError,
  type DiskFile,
  type DiskFolder,
  type DiskLock,
  type OpenMode,
} from '../ports/disk.ts'
import { type DirectFile, DirectWriter } from './direct-writer.ts'
import { lockFolder, type OpenLockFile, type SharedLockFiles, shareFolder } from './folder-lock.ts'
import { lockLeftovers } from './lock-holder.ts'
import { giveSign, hasSign } from './lock-sign.ts'
import { type MemberLocks, memberLocksOn } from './member-locks.ts'

/** How the machine's disk is used. */
export type NodeDiskOptions = {
  /** False: locks are taken without the `flock` tool, as on a machine without it. */
  readonly flock?: boolean
}

/** The permissions of what is made. Others would read every value that was ever written. */
const ownFile = 0o600
const ownFolder = 0o700

const openFlags: Record<Exclude<OpenMode, 'createLarge'>, number> = {
  // Without O_NONBLOCK, opening a named pipe would wait for a writer.
  read: constants.O_RDONLY | constants.O_NONBLOCK,
  // A planted link would lead the write to another file. `O_EXCL` follows none either.
  write: constants.O_RDWR | constants.O_NOFOLLOW,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
}

/** Linux's types of tmpfs and ramfs. */
const volatileTypes: readonly number[] = [0x01021994, 0x858458f6]

/**
 * Linux's types of file systems of other machines: NFS, SMB (three), AFS, Coda, Ceph, 9P, GFS2,
 * OCFS2. Their locks reach only this machine, or only if they are told to.
 */
const remoteTypes: readonly number[] = [
  0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x5346414f, 0x73757245, 0x00c36400, 0x01021997,
  0x01161970, 0x7461636f,
]

/**
 * Level by level: Node's recursion never ends if the system answers ENOENT for a parent that exists
 * (`/proc`).
 */
const makeFolders = (path: string): void => {
  const stats = unlessMissing(() => statSync(path))
  if (stats?.isDirectory()) return
  const parent = dirname(path)
  if (parent !== path && !unlessMissing(() => statSync(parent))) makeFolders(parent)
  try {
    mkdirSync(path, ownFolder)
  } catch (error) {
    // Another process may have made the folder since.
    if (!unlessMissing(() => statSync(path))?.isDirectory()) throw error
  }
}

/** The machine's file system. */
export const nodeDisk = ({ flock = true }: NodeDiskOptions = noOptions): Disk => ({
  open: (path, mode) => nodeFile(path, openFile(path, mode), mode === 'createLarge'),
  openFolder: (path) => attempt('open', path, () => nodeFolder(path)),
  entry: (path) =>
    attempt('entry', path, () => {
      // A link to nothing is there: nothing can be made at its path.
      const stats = unlessMissing(() => statSync(path)) ?? unlessMissing(() => lstatSync(path))
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
  free: (path) =>
    attempt('entry', path, () => {
      const { bavail, bsize } = statfsSync(path)
      return bavail * bsize
    }),
  isVolatile: (path) => attempt('entry', path, () => volatileTypes.includes(statfsSync(path).type)),
  lock: (path, holder) => {
    const lock = lockFolder(lockFiles, path, holder, { flock })
    removeLockLeftovers(path)
    return lock
  },
})

/** Syncs the file of a descriptor that another thread of this process has open. @throws DiskError */
export const syncDescriptor = (descriptor: number): void =>
  attempt('sync', `descriptor ${descriptor}`, () => fdatasyncSync(descriptor))

/**
 * Takes the lock file at `path` for reading until `release`: no process can take it for writing.
 * Writes nothing.
 * @throws KeelsonError `LOCKED_DIR` if another process holds it for writing; DiskError
 */
export const shareLock = (path: string): Pick<DiskLock, 'release'> => shareFolder(lockFiles, path)

/** The locks of members on the machine's file system. */
export const memberLocks = (): MemberLocks =>
  memberLocksOn({
    ...lockFiles,
    isRemote: (path) => attempt('lock', path, () => remoteTypes.includes(statfsSync(path).type)),
  })

/** Runs `action` and converts the system's errors into `DiskError`. */
const attempt = <T>(operation: string, path: string, action: () => T): T => {
  try {
    return action()
  } catch (cause) {
    if (cause instanceof DiskError) throw cause
    throw new DiskError(keptError(cause).code ?? 'EIO', operation, path, { cause })
  }
}

const openFile = (path: string, mode: OpenMode): number =>
  attempt(creates(mode) ? 'create' : 'open', path, () => {
    const descriptor = openSync(path, openFlags[mode === 'createLarge' ? 'create' : mode], ownFile)
    // A folder can be opened but not read, and a pipe never ends. Both are refused here, before the
    // first read.
    return mode === 'read' ? onlyFile(descriptor, 'open', path) : descriptor
  })

/** Closes anything but a plain file. @throws DiskError `EISDIR`, `ENODEV` */
const onlyFile = (descriptor: number, operation: string, path: string): number => {
  const stats = fstatSync(descriptor)
  if (stats.isFile()) return descriptor
  closeSync(descriptor)
  throw new DiskError(stats.isDirectory() ? 'EISDIR' : 'ENODEV', operation, path)
}

const nodeFile = (opened: string, descriptor: number, isLarge: boolean): DiskFile => {
  let path = opened
  const direct = isLarge ? new DirectWriter(() => openDirect(descriptor)) : undefined
  // The system reuses the number of a closed descriptor, so a late write would damage another file.
  let isOpen = true
  const call = <T>(operation: string, action: () => T): T =>
    attempt(operation, path, () => {
      if (!isOpen) throw new DiskError('EBADF', operation, path)
      return action()
    })
  const refuseBadNumber = (operation: string, value: number): void => {
    // Node takes a negative offset for the current position, which files here do not have.
    if (!Number.isSafeInteger(value) || value < 0) throw new DiskError('EINVAL', operation, path)
  }
  return {
    get path() {
      return path
    },
    descriptor,
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
    rename: (to) =>
      call('rename', () => {
        renameSync(path, to)
        path = to
      }),
    close: () =>
      call('close', () => {
        isOpen = false
        direct?.close()
        closeSync(descriptor)
      }),
  }
}

/**
 * Opens the same file past the cache. Only Linux has the flag, and `/proc/self/fd`, which is right
 * even if the path has changed.
 */
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

const nodeFolder = (path: string): DiskFolder => {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  let isOpen = true
  const call = (operation: string, action: () => void): void =>
    attempt(operation, path, () => {
      if (!isOpen) throw new DiskError('EBADF', operation, path)
      action()
    })
  return {
    sync: () => call('syncFolder', () => fsyncSync(descriptor)),
    close: () =>
      call('close', () => {
        isOpen = false
        closeSync(descriptor)
      }),
  }
}

const syncFolder = (path: string): void => {
  closing(nodeFolder(path), (folder) => {
    folder.sync()
  })
}

const lockFiles: SharedLockFiles = {
  open: (path) => attempt('lock', path, () => openLockFile(path)),
  openThere: (path) =>
    attempt('lock', path, () =>
      unlessMissing(() => {
        const descriptor = onlyFile(openSync(path, openFlags.read), 'lock', path)
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
        // If the temporary file is gone, another process has the lock and has removed leftovers.
        if (keptError(error).code !== 'EEXIST' && existsSync(temporary)) throw error
        return false
      } finally {
        rmSync(temporary, { force: true })
      }
    }),
  replace: (path, content) =>
    attempt('lock', path, () => renameSync(writeBeside(path, content), path)),
  remove: (path) => attempt('lock', path, () => unlessMissing(() => unlinkSync(path))),
  giveSign: (path) => {
    const sign = giveSign(path)
    if (sign) attempt('lock', path, () => chmodSync(path, ownFile))
    return sign
  },
  hasSign,
}

/** Removes leftovers of dead processes, as far as it can. */
const removeLockLeftovers = (path: string): void => {
  try {
    const folder = dirname(path)
    for (const name of lockLeftovers(readdirSync(folder), basename(path)))
      rmSync(join(folder, name), { force: true })
  } catch {
    // Leftovers are harmless.
  }
}

const openLockFile = (path: string): OpenLockFile => {
  const flags = openFlags.write | constants.O_CREAT | constants.O_NONBLOCK
  const descriptor = onlyFile(openSync(path, flags, ownFile), 'lock', path)
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
  const descriptor = onlyFile(openSync(path, openFlags.read), 'lock', path)
  try {
    return readFileSync(descriptor, 'utf8')
  } finally {
    closeSync(descriptor)
  }
}

const identityOf = ({ dev, ino }: BigIntStats): string => `${dev}:${ino}`

/** Writes a file under a free name next to `path`. Returns that name. */
const writeBeside = (path: string, content: string): string => {
  for (let number = 0; ; number++) {
    const name = `${path}.${process.pid}-${number}.tmp`
    try {
      writeFileSync(name, content, { flag: 'wx', mode: ownFile })
      return name
    } catch (error) {
      if (keptError(error).code !== 'EEXIST') throw error
    }
  }
}

/**
 * `undefined` if there is no such file, if a parent is a file, or if the process of a `/proc` path
 * has ended.
 */
const unlessMissing = <T>(action: () => T): T | undefined => {
  try {
    return action()
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ESRCH'].includes(keptError(error).code ?? '')) return undefined
    throw error
  }
}
