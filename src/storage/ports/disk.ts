/**
 * The port to disks: the calls to a file system that storage needs. It is synchronous, because
 * their order matters. Callers that must not wait use a `LogHost` or a `BlobHost`. The real disk
 * (`node-disk.ts`) and the simulated one (`simulated-disk.ts`) pass one contract suite.
 *
 * Errors are `DiskError`s with the operating system's own code (`ENOSPC`, `EIO`, `ENOENT`, `EROFS`,
 * `EACCES` …).
 */
import { noOptions } from '../../own-names.ts'

/** An error of a disk: the operating system's code, the operation and the path. */
export class DiskError extends Error {
  override readonly name = 'DiskError'
  readonly code: string
  readonly operation: string
  readonly path: string

  constructor(
    code: string,
    operation: string,
    path: string,
    options: { cause?: unknown } = noOptions,
  ) {
    super(`${code}: ${operation} ${path}`, options)
    this.code = code
    this.operation = operation
    this.path = path
  }
}

/**
 * How a file is opened: to read; to read and write a file that exists; to create a file that must
 * not exist; to create such a file for large writes. Large writes of whole blocks may go past the
 * page cache, because pages that are never read cost more than their bytes.
 */
export type OpenMode = 'read' | 'write' | 'create' | 'createLarge'

/** Whether this mode makes a file. */
export const creates = (mode: OpenMode): boolean => mode === 'create' || mode === 'createLarge'

/** One open file. Offsets and counts are bytes. */
export interface DiskFile {
  /** Its path: the one that it was opened at, or renamed to. */
  readonly path: string
  size(): number
  /**
   * Fills `into` from `offset`. Returns the count read, which is smaller at the end of the file.
   */
  read(into: Uint8Array, offset: number): number
  /**
   * Writes `bytes` at `offset`. Returns the count that the system took. A short count is not an
   * error here: the caller compares it, and treats a short write as final.
   */
  write(bytes: Uint8Array, offset: number): number
  /**
   * fdatasync: data and size are durable when it returns. If it throws, every unsynced byte may be
   * lost.
   */
  sync(): void
  /** The number by which another thread of the process can sync the file; absent without one. */
  readonly descriptor?: number
  /** Cuts the file, or extends it with zeros (sparse). Not durable before `sync`. */
  truncate(size: number): void
  /**
   * Renames the file to `path` and replaces what is there. The file stays open. Not durable before
   * a sync of the folder.
   */
  rename(path: string): void
  close(): void
}

/** An open folder. Unlike `Disk.syncFolder` its sync needs no descriptor that may not be there. */
export interface DiskFolder {
  /** As `Disk.syncFolder`. */
  sync(): void
  close(): void
}

/** The kind and size of a path. */
export type DiskEntry = { readonly kind: 'file' | 'folder' | 'other'; readonly size: number }

/** A lock that is held until `release` or until the process ends in any way. */
export interface DiskLock {
  /**
   * The `Disk.identity` of the locked file. Another file at its path means that people removed the
   * lock.
   */
  readonly identity: string | undefined
  release(): void
}

/** A file system. */
export interface Disk {
  open(path: string, mode: OpenMode): DiskFile
  openFolder(path: string): DiskFolder
  /** Kind and size of `path`; `undefined` if it is missing. A link to nothing is `other`. */
  entry(path: string): DiskEntry | undefined
  /**
   * Identifies the file at `path`; `undefined` if there is none. Equal only for the same file,
   * while it exists.
   */
  identity(path: string): string | undefined
  /** Names in a folder, sorted. */
  list(path: string): string[]
  /**
   * Makes a folder and its parents. A no-op if it exists. Not durable before `syncFolder` of its
   * parent.
   */
  makeFolder(path: string): void
  /** Renames; replaces `to` if it exists. Not durable before `syncFolder`. */
  rename(from: string, to: string): void
  /**
   * Removes a file, or a folder with its content. A no-op if it is missing. Not durable before
   * `syncFolder`.
   */
  remove(path: string): void
  /** Makes the names in a folder durable: all creations, renames and removals in it. */
  syncFolder(path: string): void
  /** The bytes that are free for this process on the file system of `path`. */
  free(path: string): number
  /** Whether the folder is on a file system in memory, which a power cut empties. */
  isVolatile(path: string): boolean
  /**
   * Takes the lock file at `path` for this process without waiting, and makes it if it is missing.
   * `holder` becomes its first line, which `release` blanks. An existing lock file needs no disk
   * space for it.
   * @throws KeelsonError `LOCKED_DIR` with `details.holder`: the facts of the present holder
   */
  lock(path: string, holder: string): DiskLock
}

/** The path of `name` in `dir`. */
export const pathIn = (dir: string, name: string): string => `${dir}/${name}`

/** Uses what is open, and closes it whatever happens. */
export const closing = <F extends { close(): void }, T>(open: F, use: (open: F) => T): T => {
  try {
    return use(open)
  } finally {
    open.close()
  }
}

/** The bytes of a file that fits into memory. @throws DiskError */
export const readWhole = (disk: Pick<Disk, 'open'>, path: string): Uint8Array =>
  closing(disk.open(path, 'read'), (file) => {
    const bytes = new Uint8Array(file.size())
    return bytes.subarray(0, file.read(bytes, 0))
  })
