/**
 * An LMDB environment and a transaction in it: the only file that imports `lmdb`, and the wall around its traps (each was
 * tried): no asynchronous write is ever made (`process.exit` hangs during one), no transaction callback returns anything (a
 * promise deadlocks), nothing is cleared in place (aborts), no write map (SIGBUS on a full disk). A commit is one
 * `transactionSync` without overlapping syncs: plain LMDB, which syncs the pages, then writes the meta page through a
 * descriptor that syncs. So the position is never ahead of its rows, and whoever sees a commit sees a durable one.
 *
 * Threads of one process that open one folder get one environment: lmdb-js knows it by its lock file, which therefore is
 * not removed while anybody has the folder open. A thread that is ended within a transaction never ends: lmdb-js waits, in
 * its clean-up, for a lock that the transaction holds (`exit-gate.ts`).
 */
import { constants } from 'node:os'
import type { RootDatabase } from 'lmdb'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { type EncodedCommit, type EncodedEntry, entriesOf } from './encoded-commit.ts'

/** An environment that is open. */
export type LmdbDatabase = RootDatabase<Uint8Array, Uint8Array>

/**
 * Codes that leave the store as it was, and usable: there was no room. EFBIG is a limit of the process, ENOMEM one of its
 * address space. EIO is what LMDB makes of a short write, which is how a full disk mostly begins; a real one, from a sync,
 * leaves the store as it was too, and when it hit the meta page, LMDB says MDB_PANIC from then on.
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

/** LMDB's errors as ours: no room, or a store that cannot be relied on and is to be built anew. */
export const translated = (error: unknown, doing: string): KeelsonError => {
  if (isKeelsonError(error)) return error
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const evidence = `${doing}: ${error instanceof Error ? error.message : String(error)}`
  return new KeelsonError(
    noRoom.has(code) ? 'NO_SPACE' : 'CORRUPT',
    `the projection failed while ${evidence}`,
    { cause: error, details: { evidence, errno: code } },
  )
}

/** The lock file of the environment in `dir`. */
export const lockFileIn = (dir: string): string => `${dir}/lock.mdb`

/** Opens or creates the environment in `dir`. @throws KeelsonError `NO_SPACE`, `CORRUPT` */
export type OpenDatabase = (dir: string, mapBytes: number) => LmdbDatabase

/** Loads LMDB. Its native module is large, so it is loaded by the first projection, not by an import. */
export const loadLmdb = async (): Promise<OpenDatabase> => {
  const { open } = await import('lmdb')
  return (dir, mapBytes) => {
    try {
      return open<Uint8Array, Uint8Array>({
        path: dir,
        noSubdir: false,
        encoding: 'binary',
        keyEncoding: 'binary',
        overlappingSync: false,
        mapSize: mapBytes,
      })
    } catch (error) {
      throw translated(error, 'it was opened')
    }
  }
}

/** Makes a commit visible and durable, or throws with nothing changed. @throws KeelsonError `NO_SPACE`, `CORRUPT` */
export const writeCommit = (database: LmdbDatabase, commit: EncodedCommit): void => {
  // All that can be made is made before the transaction begins: in it runs nothing but LMDB.
  const entries = entriesOf(commit)
  try {
    database.transactionSync(() => write(database, entries))
  } catch (error) {
    throw translated(error, 'rows were committed')
  }
}

/** Returns nothing: a promise returned to `transactionSync` would hold its lock for ever. */
const write = (database: LmdbDatabase, entries: readonly EncodedEntry[]): void => {
  for (const { key, record } of entries)
    if (record) database.putSync(key, record)
    else database.removeSync(key)
}
