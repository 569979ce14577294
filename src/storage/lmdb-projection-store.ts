/**
 * Projections in LMDB: the only file that imports `lmdb`, and the wall around its traps (each was tried): no asynchronous
 * write is ever made (`process.exit` hangs during one), no transaction callback returns anything (a promise deadlocks),
 * nothing is cleared in place (aborts), no write map (SIGBUS on a full disk), no iterator outlives its store, keys and
 * values are bytes of our own making. A commit is one `transactionSync` without overlapping syncs: plain LMDB, which
 * syncs the pages, then writes the meta page through a descriptor that syncs. So the position is never ahead of its rows,
 * and when `commit` returns both are durable.
 */
import { constants } from 'node:os'
import { open, type RootDatabase } from 'lmdb'
import { isKeelsonError, KeelsonError } from '../errors.ts'
import type { Disk } from './disk.ts'
import { frameBuffer } from './frame.ts'
import { dataFileName, readNewerMeta } from './lmdb-examination.ts'
import type {
  ProjectedPosition,
  ProjectionExamination,
  ProjectionStore,
  Projections,
  Row,
  RowChange,
  RowRange,
} from './projection-store.ts'
import { RowBounds } from './row-bounds.ts'
import {
  decodePosition,
  decodeRow,
  encodePosition,
  encodeRow,
  isRowKey,
  positionKey,
  rowBytes,
  rowKeyBytesMax,
} from './row-codec.ts'
import { readUtf8 } from './utf8.ts'

/** How projections are opened. */
export type LmdbOptions = {
  /**
   * Address space that is mapped for a store, in bytes; 64 GiB by default. It costs no memory and no disk. A store that
   * outgrows it is mapped anew, twice as large.
   */
  readonly mapBytes?: number
}

/**
 * Projections in folders of a real file system. `disk` is that file system too: it removes, and looks before LMDB maps.
 * `examine` reads a whole file (`examineProjection`) wherever that may take its time. Whoever opens a folder holds the
 * data folder's lock, and has examined it: a file that is damaged in a way that only the examination sees may end the
 * process when it is opened.
 */
export const lmdbProjections = (
  disk: Disk,
  examine: (dir: string) => Promise<ProjectionExamination>,
  options: LmdbOptions = {},
): Projections => ({
  examine,
  open: (dir) => new LmdbProjectionStore(disk, dir, options.mapBytes ?? 2 ** 36),
  remove: (dir) => disk.remove(dir),
})

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
const translated = (error: unknown, doing: string): KeelsonError => {
  if (isKeelsonError(error)) return error
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const evidence = `${doing}: ${error instanceof Error ? error.message : String(error)}`
  return new KeelsonError(
    noRoom.has(code) ? 'NO_SPACE' : 'CORRUPT',
    `the projection failed while ${evidence}`,
    { cause: error, details: { evidence, errno: code } },
  )
}

/** Looks at what LMDB is about to map: a cut file is SIGBUS, and this look costs two reads. @throws `CORRUPT`. */
const checkBeforeMapping = (disk: Disk, path: string): void => {
  if (disk.entry(path) === undefined) return
  const file = disk.open(path, 'read')
  try {
    readNewerMeta(file)
  } finally {
    file.close()
  }
}

const openDatabase = (dir: string, mapBytes: number): RootDatabase<Uint8Array, Uint8Array> => {
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

type Entries = Iterator<{ key: Uint8Array; value: Uint8Array }>

class LmdbProjectionStore implements ProjectionStore {
  readonly #disk: Disk
  readonly #dir: string
  readonly #database: RootDatabase<Uint8Array, Uint8Array>
  /** Cursors of ranges that have not come to their end: closed before the store is, because LMDB does not survive less. */
  readonly #cursors = new Set<Entries>()
  #closed = false
  /** Why nothing can be committed any more: LMDB itself refuses after a failure that is not for want of room. */
  #failure: KeelsonError | undefined

  constructor(disk: Disk, dir: string, mapBytes: number) {
    this.#disk = disk
    this.#dir = dir
    const path = `${dir}/${dataFileName}`
    checkBeforeMapping(disk, path)
    // Readers that a dead process left behind would pin pages for ever. Nobody else is here: the folder's lock is held.
    disk.remove(`${dir}/lock.mdb`)
    disk.makeFolder(dir)
    this.#database = openDatabase(dir, mapBytes)
    disk.syncFolder(dir)
  }

  #checkOpen(): void {
    if (this.#closed) throw new KeelsonError('CLOSED', 'the projection is closed')
  }

  position(): ProjectedPosition | undefined {
    const record = this.#read(positionKey)
    return record && decodePosition(record)
  }

  get(key: string): Row | undefined {
    const bytes = Buffer.from(key)
    const record = this.#read(bytes)
    return record && decodeRow(bytes, record)
  }

  /** A copy of the record under `key`. An empty key, which LMDB refuses, has none. */
  #read(key: Uint8Array): Uint8Array | undefined {
    this.#checkOpen()
    if (key.length === 0 || key.length > rowKeyBytesMax) return undefined
    try {
      return this.#database.getBinary(key)
    } catch (error) {
      throw translated(error, 'a row was read')
    }
  }

  range(range: RowRange): IterableIterator<readonly [key: string, row: Row]> {
    this.#checkOpen()
    const bounds = new RowBounds(range)
    const start = bounds.start()
    const options = { reverse: range.reverse === true, ...(start && { start }) }
    const cursor: Entries = this.#database.getRange(options)[Symbol.iterator]()
    this.#cursors.add(cursor)
    // The first step takes the moment that the range shows; without it a commit before `next` would be seen.
    const first = this.#step(cursor)
    return this.#entries(cursor, first, bounds)
  }

  #step(cursor: Entries): IteratorResult<{ key: Uint8Array; value: Uint8Array }> {
    try {
      return cursor.next()
    } catch (error) {
      this.#endCursor(cursor)
      throw translated(error, 'rows were read')
    }
  }

  #endCursor(cursor: Entries): void {
    if (this.#cursors.delete(cursor)) cursor.return?.()
  }

  *#entries(
    cursor: Entries,
    first: ReturnType<Entries['next']>,
    bounds: RowBounds,
  ): IterableIterator<readonly [key: string, row: Row]> {
    try {
      let step = first
      while (step.done !== true) {
        const { key, value } = step.value
        const place = bounds.place(key)
        if (place === 'beyond') return
        if (place === 'within') yield [readUtf8(key), decodeRow(key, value)]
        this.#checkOpen()
        step = this.#step(cursor)
      }
    } finally {
      this.#endCursor(cursor)
    }
  }

  commit(changes: Iterable<RowChange>, position: ProjectedPosition): void {
    this.#checkOpen()
    if (this.#failure) throw this.#failure
    // Everything is encoded before the transaction begins: in it runs nothing but LMDB.
    const writes = encodeChanges(changes)
    const record = encodePosition(position)
    try {
      this.#database.transactionSync(() => this.#write(writes, record))
    } catch (error) {
      const failure = translated(error, 'rows were committed')
      if (failure.code !== 'NO_SPACE') this.#failure = failure
      throw failure
    }
  }

  /** Returns nothing: a promise returned to `transactionSync` would hold its lock for ever. */
  #write(writes: readonly EncodedChange[], position: Uint8Array): void {
    for (const { key, record } of writes)
      if (record) this.#database.putSync(key, record)
      else this.#database.removeSync(key)
    this.#database.putSync(positionKey, position)
  }

  describe(): { readonly rows: number; readonly bytes: number } {
    this.#checkOpen()
    const stats: { entryCount?: unknown } = this.#database.getStats()
    const entries = typeof stats.entryCount === 'number' ? stats.entryCount : 0
    const bytes = this.#disk.entry(`${this.#dir}/${dataFileName}`)?.size ?? 0
    // The position is an entry and no row; it comes with the first commit.
    return { rows: Math.max(0, entries - 1), bytes }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const cursor of [...this.#cursors]) this.#endCursor(cursor)
    await this.#database.close()
  }
}

type EncodedChange = { readonly key: Buffer; readonly record: Buffer | undefined }

/**
 * Keys and records of `changes`, all in one piece of memory: LMDB asks the address of each piece anew.
 * @throws KeelsonError `INVALID_ARGUMENT` for a key that no row can have.
 */
const encodeChanges = (changes: Iterable<RowChange>): EncodedChange[] => {
  const list = [...changes]
  const bytes = Buffer.allocUnsafeSlow(roomFor(list))
  const memory = frameBuffer(bytes)
  let at = 0
  return list.map(([text, row]) => {
    const from = at
    at += bytes.write(text, from)
    if (!isRowKey(bytes, from, at))
      throw new KeelsonError('INVALID_ARGUMENT', 'a row has a key of 1 to 1,537 bytes', {
        details: { bytes: at - from },
      })
    const key = bytes.subarray(from, at)
    if (!row) return { key, record: undefined }
    const begin = at
    at = encodeRow(memory, from, begin, row)
    return { key, record: bytes.subarray(begin, at) }
  })
}

/** Bytes that suffice for keys and records: a unit of UTF-16 takes three at most. */
const roomFor = (changes: readonly RowChange[]): number => {
  let bytes = 0
  for (const [key, row] of changes) bytes += 3 * key.length + (row ? rowBytes(row.value) : 0)
  return bytes
}
