/**
 * An LMDB environment and a transaction in it. This is the only file that imports `lmdb`, and it
 * prevents these traps (each was tried):
 * - no asynchronous write: `process.exit` hangs during one;
 * - no result of a transaction callback: a promise deadlocks;
 * - no clearing in place: it aborts;
 * - no write map: SIGBUS on a full disk;
 * - no list of free pages that is kept between commits: it aborts beside a pinned reader;
 * - no commit that a full disk would refuse: a message that is too long overruns the heap;
 * - no opening that the process has no means for: SIGSEGV (`lmdb-opening.ts`, `lmdb-map.ts`).
 * A commit is one `transactionSync` without overlapping syncs. LMDB syncs the pages, then writes
 * the meta page through a descriptor that syncs. So the position is never ahead of its rows, and a
 * visible commit is durable.
 *
 * Threads of one process that open the same folder share one environment. lmdb-js identifies it by
 * its lock file, so that file is not removed while the folder is open. A thread that is terminated
 * within a transaction never ends: in its clean-up lmdb-js waits for a lock that the transaction
 * holds (`exit-gate.ts`).
 */
import { constants } from 'node:os'
import { isKeelsonError, KeelsonError, keptError } from '../../errors.ts'
import { isError, readError } from '../../thrown.ts'
import { addressSpaceLeft } from '../disk/address-space.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import type { Disk } from '../ports/disk.ts'
import { refusing } from '../ports/disk-failure.ts'
import type { SnapshotRecord } from '../ports/snapshot-rows.ts'
import { positionKey } from '../values/row-codec.ts'
import { type EncodedCommit, entriesOf } from './encoded-commit.ts'
import { type MapLoad, refuseFull, refuseGrowth } from './lmdb-map.ts'
import { tryProcess } from './lmdb-opening.ts'

/**
 * An open environment: what is used of lmdb-js. Declarations of the package lead here, and those of
 * lmdb-js do not pass in a program that checks the declarations of its libraries.
 */
export interface LmdbDatabase {
  getBinaryFast(key: Uint8Array): Uint8Array | undefined
  getRange(options: {
    readonly reverse: boolean
    readonly start?: Uint8Array
  }): Iterable<{ key: Uint8Array; value: Uint8Array }>
  useReadTransaction(): { done(): void }
  resetReadTxn(): void
  getStats(): object
  transactionSync(action: () => void): void
  /** False: with `append`, the key is not beyond the last one. */
  putSync(key: Uint8Array, record: Uint8Array, options?: { readonly append: boolean }): unknown
  removeSync(key: Uint8Array): unknown
  close(): Promise<void>
}

/**
 * Error codes for a lack of room, which leave the store unchanged and usable. EFBIG is a limit of
 * the process, ENOMEM one of its address space. LMDB reports a short write as EIO, which is how a
 * full disk usually begins. A real EIO of a sync also leaves the store unchanged; if it hit the
 * meta page, LMDB reports MDB_PANIC from then on.
 */
const noRoom: ReadonlySet<unknown> = new Set([
  constants.errno.ENOSPC,
  constants.errno.EDQUOT,
  constants.errno.EFBIG,
  constants.errno.ENOMEM,
  constants.errno.EIO,
  // MDB_MAP_FULL
  -30792,
])

/** Translates errors of LMDB: no room, or an unreliable store that must be rebuilt. */
export const translated = (error: unknown, doing: string): KeelsonError => {
  if (isKeelsonError(error)) return error
  const code = isError(error) ? readError(error).code : undefined
  const evidence = `${doing}: ${keptError(error).message}`
  return new KeelsonError(
    noRoom.has(code) ? 'NO_SPACE' : 'CORRUPT',
    `the projection failed while ${evidence}`,
    { cause: error, details: { evidence, errno: code } },
  )
}

/**
 * Opens or creates the environment in `dir` with a map of `mapBytes`. @throws KeelsonError
 * `NO_SPACE`, `CORRUPT`; `SHARD_DOWN` with the reason `disk` if there is no descriptor left
 */
export type OpenDatabase = (dir: string, mapBytes: number) => LmdbDatabase

/** How an environment is opened. */
type Opening = {
  readonly path: string
  readonly noSubdir: boolean
  readonly encoding: 'binary'
  readonly keyEncoding: 'binary'
  readonly overlappingSync: boolean
  readonly mapSize: number
  readonly permissionsMode: number
  readonly maxFreeSpaceToRetain: number
}

/** Loads the module. */
type Load = () => Promise<{ readonly open: (opening: Opening) => LmdbDatabase }>

/**
 * Loads LMDB. Its native module is large, so the first projection loads it and not an import.
 * `place`: the address of this file.
 * @throws KeelsonError `CONFIG` when Keelson is in a bundle, or LMDB cannot be loaded
 */
export const loadLmdb = async (
  load: Load = () => import('lmdb'),
  place: string | undefined = import.meta.url,
): Promise<OpenDatabase> => {
  if (isBundled(place)) throw bundled(place)
  const { open } = await load().catch((error: unknown) => {
    throw notLoaded(error)
  })
  const disk = nodeDisk()
  return (dir, mapBytes) => {
    refusing(() => tryProcess(disk, dir, mapBytes))
    try {
      return open({
        path: dir,
        noSubdir: false,
        encoding: 'binary',
        keyEncoding: 'binary',
        overlappingSync: false,
        mapSize: mapBytes,
        // As of all files: only their user's. Its declarations lack this option, and the next.
        permissionsMode: 0o600,
        // It would keep its list of free pages for the next commit. While a reader is pinned it may
        // take a record of the list for one that is in the file, and then it ends the process.
        maxFreeSpaceToRetain: 0,
      })
    } catch (error) {
      throw translated(error, 'it was opened')
    }
  }
}

/**
 * Whether a bundler has moved this code. Its threads would then begin with the user's program, and
 * LMDB would not find its native module. In CommonJS a bundle has no address.
 */
const isBundled = (place: string | undefined): boolean =>
  !/\/(dist\/(chunks|storage)|src\/storage\/lmdb)\/[^/]+$/.test(place ?? '')

const bundled = (place: string | undefined): KeelsonError =>
  new KeelsonError(
    'CONFIG',
    'keelson is in a bundle, where it has no threads and no LMDB: leave packages out of the bundle, as esbuild does with --packages=external',
    { details: { path: 'package', expected: 'keelson outside of the bundle', found: place } },
  )

/** The remedy depends on the cause. If none is known to help, only the cause is given. */
const notLoaded = (error: unknown): KeelsonError => {
  const machine = `${process.platform} ${process.arch}`
  const { message: found, code } = keptError(error)
  const remedy = remedyFor(code, found)
  const advice = remedy === undefined ? '' : `: ${remedy}`
  return new KeelsonError('CONFIG', `lmdb cannot be loaded on ${machine}${advice} (${found})`, {
    details: { path: 'lmdb', expected: `the native module of lmdb for ${machine}`, found },
    cause: error,
  })
}

const remedyFor = (code: unknown, found: string): string | undefined => {
  if (code === 'ERR_MODULE_NOT_FOUND' && found.includes("'lmdb'"))
    return 'the package is missing: install the dependencies of keelson with npm ci'
  // Dependencies that were copied from another platform, or installed without optional ones.
  if (code === 'ERR_DLOPEN_FAILED' || found.startsWith('No native build'))
    return 'install the dependencies on this machine: npm ci, then npm rebuild lmdb'
  return undefined
}

/** The facts of lmdb-js about an environment and the tree of its rows. */
type Stats = {
  readonly pageSize: number
  readonly lastPageNumber: number
  readonly mapSize: number
  readonly root: { readonly treeDepth: number }
}

/** Where the file lies, and how large its map may be. */
type Place = { readonly disk: Disk; readonly dir: string; readonly mapBytesMax: number }

/**
 * Call it before a transaction that writes `load`. @throws KeelsonError `NO_SPACE` if the map may
 * have to grow and must not, or has no room for it, and if the disk may have none for the pages
 */
export const checkGrowth = (
  database: LmdbDatabase,
  load: MapLoad,
  { disk, dir, mapBytesMax }: Place,
): void => {
  const stats = database.getStats() as Stats
  // The snapshot that the look began would keep pages from the transaction.
  database.resetReadTxn()
  const { pageSize: pageBytes, lastPageNumber: lastPage, mapSize: mapBytes, root } = stats
  const use = { pageBytes, lastPage, depth: root.treeDepth, mapBytes }
  refuseGrowth(use, load, mapBytesMax, () => addressSpaceLeft(disk))
  refuseFull(use, load, freeIn(disk, dir))
}

/** Of a folder that was removed nothing is known: LMDB writes to the files that it has open. */
const freeIn = (disk: Disk, dir: string): number => {
  try {
    return disk.free(dir)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/**
 * Makes a commit visible and durable, or throws with nothing changed. @throws KeelsonError
 * `NO_SPACE`, `CORRUPT`
 */
export const writeCommit = (database: LmdbDatabase, commit: EncodedCommit): void => {
  // Everything that can be prepared is prepared before the transaction: only LMDB runs in it.
  const entries = entriesOf(commit)
  transact(database, 'rows were committed', () => {
    for (const { key, record } of entries)
      if (record) database.putSync(key, record)
      else database.removeSync(key)
  })
}

/** `work` returns nothing: `transactionSync` would hold its lock for ever for a promise. */
const transact = (database: LmdbDatabase, doing: string, work: () => void): void => {
  try {
    database.transactionSync(work)
  } catch (error) {
    throw translated(error, doing)
  }
}

/** LMDB appends without a search, and refuses a key that is not beyond the last one. */
const appended = { append: true }

/**
 * Adds rows after all others, sorted by key, and sets the record under the position's key, in one
 * durable transaction. @throws KeelsonError `NO_SPACE`, `CORRUPT` with nothing changed
 */
export const writeRows = (
  database: LmdbDatabase,
  records: readonly SnapshotRecord[],
  place: Uint8Array,
): void =>
  transact(database, 'a snapshot was loaded', () => {
    database.putSync(positionKey, place)
    for (const { key, record } of records)
      if (database.putSync(key, record, appended) === false) throw new Error('the keys do not rise')
  })
