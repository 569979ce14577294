/**
 * The port to disks: everything that the log and the data folder ask of a file system, and nothing more. It is
 * synchronous, because order is the whole point: whoever must not wait runs it behind a `LogHost`. Two implementations,
 * the real one (`node-disk.ts`) and the simulated one (`simulated-disk.ts`), pass one contract suite.
 *
 * Errors are `DiskError`s with the operating system's own code (`ENOSPC`, `EIO`, `ENOENT`, `EROFS`, `EACCES` …).
 */

/** A disk's refusal: the operating system's code, the operation and the path. */
export class DiskError extends Error {
  override readonly name = 'DiskError'
  readonly code: string
  readonly operation: string
  readonly path: string

  constructor(code: string, operation: string, path: string, options: { cause?: unknown } = {}) {
    super(`${code}: ${operation} ${path}`, options)
    this.code = code
    this.operation = operation
    this.path = path
  }
}

/**
 * How a file is opened: to read; to read and write what exists; to create what must not exist yet; to create what will be
 * written once, in large pieces. What comes to that one in whole blocks may go past the system's cache: pages that nobody reads cost
 * more than the bytes in them.
 */
export type OpenMode = 'read' | 'write' | 'create' | 'createLarge'

/** Whether this makes a file. */
export const creates = (mode: OpenMode): boolean => mode === 'create' || mode === 'createLarge'

/** One open file. Offsets and counts are bytes. */
export interface DiskFile {
  readonly path: string
  size(): number
  /** Fills `into` from `offset`; answers how many bytes there were, fewer than asked at the end of the file. */
  read(into: Uint8Array, offset: number): number
  /**
   * Writes `bytes` at `offset`; answers the count that the system took. A short count is not an error of the
   * port: the caller compares it and treats a short write as final.
   */
  write(bytes: Uint8Array, offset: number): number
  /** fdatasync: data and size are on stable storage when it returns. After it threw nothing is known of any unsynced byte. */
  sync(): void
  /** Cuts or extends with zeros (sparse). Not durable before `sync`. */
  truncate(size: number): void
  close(): void
}

/** What a path is. */
export type DiskEntry = { readonly kind: 'file' | 'folder' | 'other'; readonly size: number }

/** A lock held until `release`, or until the process ends, however it ends. */
export interface DiskLock {
  /** Which file was locked, as `Disk.identity` has it: another one at its path means that the lock was removed by hand. */
  readonly identity: string | undefined
  release(): void
}

/** A file system. */
export interface Disk {
  open(path: string, mode: OpenMode): DiskFile
  /** What stands at `path`; `undefined` when nothing does. */
  entry(path: string): DiskEntry | undefined
  /** Which file stands at `path`, equal for the same file only, as long as it is there; `undefined` when nothing does. */
  identity(path: string): string | undefined
  /** Names in a folder, sorted. */
  list(path: string): string[]
  /** Makes a folder and those above it; a no-op when it exists. Not durable before `syncFolder` of its parent. */
  makeFolder(path: string): void
  /** Replaces `to` when it exists. Not durable before `syncFolder`. */
  rename(from: string, to: string): void
  /** Removes a file, or a folder with all that is in it; a no-op when nothing is there. Not durable before `syncFolder`. */
  remove(path: string): void
  /** Makes the names in a folder durable: what was created, renamed and removed in it. */
  syncFolder(path: string): void
  /** Whether the folder lies on a file system that is in memory: syncing is nothing there, and a power cut takes all of it. */
  isVolatile(path: string): boolean
  /**
   * Takes the lock file at `path` (made when missing) for this process, at once or not at all. `holder` becomes its
   * first line, and is blank again after `release`; a lock file that was there before needs no space for it.
   * @throws KeelsonError `LOCKED_DIR` with `details.holder`, what the present holder left, as an object.
   */
  lock(path: string, holder: string): DiskLock
}
