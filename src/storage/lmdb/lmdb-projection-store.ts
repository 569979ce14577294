/**
 * Projections in LMDB. Reads are synchronous, on an environment that this thread has open. A commit
 * is encoded here and written by a `ProjectionWriter`: a thread with the same environment open, or
 * this one. Before a commit is answered a read may already see it; afterwards every read does. No
 * iterator outlives its store. Keys and values are copies.
 */

import { TurnShare } from '../../bytes/turn-share.ts'
import { readUtf8 } from '../../bytes/utf8.ts'
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { addressSpaceLeft } from '../disk/address-space.ts'
import { closing, type Disk } from '../ports/disk.ts'
import { refusing } from '../ports/disk-failure.ts'
import type {
  ExaminationDepth,
  ProjectedPosition,
  ProjectionExamination,
  ProjectionPin,
  ProjectionStore,
  Projections,
  Row,
  RowChange,
  RowRange,
} from '../ports/projection-store.ts'
import { decodeRow, RowBounds } from '../values/row-codec.ts'
import { CommitEncoder, type EncodedCommit } from './encoded-commit.ts'
import { LeafProof, type LeafWalk } from './leaf-proof.ts'
import {
  checkGrowth,
  type LmdbDatabase,
  type OpenDatabase,
  translated,
  writeCommit,
} from './lmdb-environment.ts'
import { dataFileName, examineProjection, readNewerMeta } from './lmdb-examination.ts'
import { firstMap, mapBytesDefault } from './lmdb-map.ts'
import { lockFileIn, tryFolder } from './lmdb-opening.ts'
import { damage } from './lmdb-pages.ts'
import { depthToExamine, ProjectionMarks } from './projection-marks.ts'
import { RowLookUp } from './row-look-up.ts'

/** The options of projections in LMDB. */
export type LmdbOptions = {
  /** The first map in bytes; a store that outgrows it is mapped again. By default `firstMap`. */
  readonly firstMapBytes?: number
  /** A file of up to so many bytes is examined whole before it is mapped; 16 MiB by default. */
  readonly wholeBytesMax?: number
  /** Makes the writer; without it commits are written by the reading thread. */
  readonly makeWriter?: ProjectionWriterFactory
  /**
   * With a clock a large commit is encoded in several turns of the event loop; without it in one.
   */
  readonly clock?: Clock
}

/** Writes the commits of one store, one after another. */
export type ProjectionWriter = {
  /**
   * Takes over the memory. Resolves with it for reuse once the commit is visible and durable. A
   * rejection means that nothing changed, except for `SHARD_DOWN`: then the outcome is unknown.
   */
  commit(commit: EncodedCommit): Promise<Uint8Array>
  /** Ends after the commit in progress. Its environment is closed when it resolves. */
  end(): Promise<void>
}

/** An open store, as its writer needs it. */
export type OpenProjection = {
  readonly dir: string
  readonly mapBytes: number
  /**
   * The identity of its lock file (`Disk.identity`). If it changes, the folder belongs to another
   * store.
   */
  readonly lock: string | undefined
  /**
   * Writes a commit on this thread and returns its memory. @throws KeelsonError `NO_SPACE`,
   * `CORRUPT`
   */
  write(commit: EncodedCommit): Uint8Array
}

/** Makes the writer of a store. */
export type ProjectionWriterFactory = (open: OpenProjection) => ProjectionWriter

/**
 * Projections in folders of a real file system, opened by `openDatabase` (`loadLmdb`). `disk` is
 * the same file system. `examine` runs where a long read blocks nothing. The caller of `open` holds
 * the lock of the data folder and has examined the folder: LMDB may end the process when it maps a
 * damaged file. If it did not examine all of a file, the rest is examined while the store is in
 * use, pages that are read before they are. Damage is `CORRUPT` for the reads that need the page,
 * and for the next commit.
 */
export const lmdbProjections = (
  openDatabase: OpenDatabase,
  disk: Disk,
  examine: ProjectionExaminer,
  options: LmdbOptions = noOptions,
): Projections => {
  /** The folders whose whole file was examined and is sound. */
  const sound = new Set<string>()
  return {
    async examine(dir) {
      sound.delete(dir)
      const depth = depthToExamine(disk, dir, options.wholeBytesMax ?? wholeBytesMax)
      const isShort = depth === 'position' || (depth === 'all' && isSmall(disk, dir))
      const found = await (isShort ? examineProjection(disk, dir, depth) : examine(dir, depth))
      if (depth === 'all' && found.state === 'sound') sound.add(dir)
      return found
    },
    open: (dir, mapBytesMax = mapBytesDefault) => {
      const marked = { isExamined: sound.delete(dir), mapBytesMax }
      return refusing(
        () => new LmdbProjectionStore(openDatabase, disk, dir, examine, { ...options, ...marked }),
      )
    },
    remove: (dir) => disk.remove(dir),
  }
}

/** How one store is opened. */
type Opening = LmdbOptions & {
  readonly mapBytesMax: number
  /** The whole file was examined and is sound. */
  readonly isExamined: boolean
}

/** The bytes that a thread examines in a tenth of a second. */
const wholeBytesMax = 16 * 1024 * 1024

/** Whether the whole file takes some ms: less than to start a thread. */
const isSmall = (disk: Disk, dir: string): boolean =>
  (disk.entry(`${dir}/${dataFileName}`)?.size ?? 0) <= 2 * 1024 * 1024

/**
 * Runs `examineProjection`, usually on a thread. Aborting `signal` ends it early with a rejection.
 */
export type ProjectionExaminer = (
  dir: string,
  depth: ExaminationDepth,
  signal?: AbortSignal,
) => Promise<ProjectionExamination>

/**
 * Checks the file right before LMDB maps it: a cut file causes SIGBUS, and the check costs two
 * reads. @throws `CORRUPT`
 */
const checkBeforeMapping = (disk: Disk, path: string): void => {
  if (disk.entry(path) === undefined) return
  // To write, as LMDB does, which would follow a symbolic link.
  closing(disk.open(path, 'write'), (file) => {
    readNewerMeta(file)
  })
}

/** The rows that are encoded between two looks at the clock: about 50 µs. */
const rowsPerLook = 100

type Entries = Iterator<{ key: Uint8Array; value: Uint8Array }>

class LmdbProjectionStore implements ProjectionStore {
  readonly #disk: Disk
  readonly #dir: string
  readonly #database: LmdbDatabase
  readonly #lookUp: RowLookUp
  readonly #marks: ProjectionMarks
  readonly #writer: ProjectionWriter
  readonly #encoder = new CommitEncoder()
  readonly #clock: Clock | undefined
  readonly #share: TurnShare | undefined
  readonly #at: Parameters<typeof checkGrowth>[2]
  /** Until the whole file is proven: proves what is read. */
  #leaves: LeafProof | undefined
  /** Resolves when no commit is pending. */
  #pending: Promise<void> = Promise.resolve()
  /**
   * The cursors of unfinished ranges. They are closed before the store: an open cursor would crash
   * LMDB.
   */
  readonly #cursors = new Set<Entries>()
  /** Read transactions. They are ended before the store is closed. */
  readonly #pins = new Set<ProjectionPin>()
  #closed = false
  /** The identity of the environment's lock file. If it changes, the folder was replaced. */
  readonly #lock: string | undefined
  readonly #closing = new AbortController()
  /** Resolves when no examination runs. */
  #proof: Promise<void> = Promise.resolve()
  /**
   * The failure after which commits are refused: LMDB itself refuses after every failure except a
   * lack of room.
   */
  #failure: KeelsonError | undefined

  constructor(
    openDatabase: OpenDatabase,
    disk: Disk,
    dir: string,
    examine: ProjectionExaminer,
    { firstMapBytes, makeWriter = writerHere, clock, mapBytesMax, isExamined }: Opening,
  ) {
    this.#disk = disk
    this.#dir = dir
    this.#at = { disk, dir, mapBytesMax }
    this.#clock = clock
    this.#share = clock && new TurnShare(clock)
    const path = `${dir}/${dataFileName}`
    checkBeforeMapping(disk, path)
    disk.makeFolder(dir)
    tryFolder(disk, dir)
    const fileBytes = disk.entry(path)?.size ?? 0
    const mapBytes = firstMapBytes ?? firstMap(fileBytes, mapBytesMax, addressSpaceLeft(disk))
    this.#marks = new ProjectionMarks(disk, dir, isExamined)
    if (!this.#marks.isProven)
      this.#leaves = new LeafProof(disk, dir, (error) => this.#foundDamage(error))
    try {
      this.#database = openDatabase(dir, mapBytes)
    } catch (error) {
      this.#leaves?.end()
      throw error
    }
    this.#lookUp = new RowLookUp(this.#database)
    disk.syncFolder(dir)
    this.#lock = disk.identity(lockFileIn(dir))
    if (this.#leaves) this.#proof = this.#prove(examine, this.#leaves)
    const write = (commit: EncodedCommit): Uint8Array => {
      writeCommit(this.#database, commit)
      return commit.bytes
    }
    this.#writer = makeWriter({ dir, mapBytes, lock: this.#lock, write })
  }

  /**
   * Examines the whole file in its current state. A read transaction prevents its pages from being
   * overwritten until it has ended. After damage each read is proven until the store is closed.
   */
  async #prove(examine: ProjectionExaminer, leaves: LeafProof): Promise<void> {
    const pin = this.pin()
    const { signal } = this.#closing
    try {
      let found = await examine(this.#dir, 'all', signal)
      // A commit in progress may make the meta pages disagree for a moment, so damage must be found
      // twice.
      if (found.state === 'damaged') found = await examine(this.#dir, 'all', signal)
      if (found.state === 'sound') this.#marks.proven()
      if (found.state === 'damaged') {
        this.#foundDamage(damage(found.evidence))
        return
      }
    } catch {
      // It was aborted, or there was no thread. The next opening examines the unproven part.
    }
    this.#leaves = undefined
    leaves.end()
    pin.release()
  }

  #foundDamage(error: KeelsonError): void {
    this.#marks.damaged()
    this.#failure ??= error
  }

  pin(): ProjectionPin {
    this.#checkOpen()
    const transaction = this.#database.useReadTransaction()
    const pin = {
      isHeld: true,
      release: () => {
        if (!this.#pins.delete(pin)) return
        pin.isHeld = false
        transaction.done()
      },
    }
    this.#pins.add(pin)
    return pin
  }

  #checkOpen(): void {
    if (this.#closed) throw new KeelsonError('CLOSED', 'the projection is closed')
  }

  position(): ProjectedPosition | undefined {
    this.#checkOpen()
    return this.#lookUp.position()
  }

  get(key: string): Row | undefined {
    const row = this.peek(key)
    if (!row) return undefined
    const { value, expiresAt } = row
    return { value: { tag: value.tag, bytes: Buffer.from(value.bytes) }, expiresAt }
  }

  peek(key: string): Row | undefined {
    this.#checkOpen()
    this.#leaves?.prove(Buffer.from(key))
    return this.#lookUp.find(key)
  }

  range(range: RowRange): IterableIterator<readonly [key: string, row: Row]> {
    this.#checkOpen()
    const bounds = new RowBounds(range)
    const start = bounds.start()
    const options = { reverse: range.reverse === true, ...(start && { start }) }
    const leaves = this.#leaves?.walk(start, options.reverse)
    const cursor: Entries = this.#database.getRange(options)[Symbol.iterator]()
    this.#cursors.add(cursor)
    // The first step fixes the snapshot of the range; otherwise a commit before `next` would be
    // visible.
    const first = this.#step(cursor, leaves)
    return this.#entries(cursor, first, bounds, leaves)
  }

  #step(cursor: Entries, leaves: LeafWalk | undefined): ReturnType<Entries['next']> {
    try {
      const step = cursor.next()
      leaves?.reached(step.done === true ? undefined : step.value.key)
      return step
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
    leaves: LeafWalk | undefined,
  ): IterableIterator<readonly [key: string, row: Row]> {
    try {
      let step = first
      while (step.done !== true) {
        const { key, value } = step.value
        const place = bounds.place(key)
        if (place === 'beyond') return
        if (place === 'within') yield [readUtf8(key), decodeRow(key, value)]
        this.#checkOpen()
        step = this.#step(cursor, leaves)
      }
    } finally {
      this.#endCursor(cursor)
    }
  }

  async commit(changes: Iterable<RowChange>, position: ProjectedPosition): Promise<void> {
    this.#checkOpen()
    if (this.#failure) throw this.#failure
    const writing = this.#written(changes, position)
    this.#pending = this.#ended(writing)
    await this.#pending
    await writing
  }

  async #written(changes: Iterable<RowChange>, position: ProjectedPosition): Promise<Uint8Array> {
    const draft = this.#encoder.begin()
    this.#share?.begin()
    let rows = 0
    for (const [key, row] of changes) {
      this.#leaves?.prove(Buffer.from(key))
      draft.add(key, row)
      if (++rows % rowsPerLook === 0 && this.#share?.isOver()) await this.#nextTurn()
    }
    const commit = draft.end(position)
    checkGrowth(this.#database, { entries: rows + 1, bytes: commit.used }, this.#at)
    return this.#writer.commit(commit)
  }

  async #nextTurn(): Promise<void> {
    await new Promise<void>((resolve) => this.#clock?.soon(resolve))
    this.#share?.begin()
  }

  /** Resolves when `writing` has settled either way, and refreshes the snapshot of reads. */
  async #ended(writing: Promise<Uint8Array>): Promise<void> {
    try {
      this.#encoder.reuse(await writing)
    } catch (error) {
      const failure = translated(error, 'rows were committed')
      this.#marks.distrust()
      if (failure.code === 'CORRUPT') this.#failure = failure
    }
    this.#database.resetReadTxn()
  }

  settled(): Promise<void> {
    return this.#pending
  }

  describe(): { readonly rows: number; readonly bytes: number } {
    this.#checkOpen()
    const stats: { entryCount?: unknown } = this.#database.getStats()
    const entries = typeof stats.entryCount === 'number' ? stats.entryCount : 0
    const bytes = this.#disk.entry(`${this.#dir}/${dataFileName}`)?.size ?? 0
    // The position is an entry but not a row; it comes with the first commit.
    return { rows: Math.max(0, entries - 1), bytes }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const cursor of [...this.#cursors]) this.#endCursor(cursor)
    this.#closing.abort()
    await Promise.all([this.#pending, this.#proof])
    for (const pin of [...this.#pins]) pin.release()
    this.#leaves?.end()
    // The last thread that closes the environment unmaps it, and only this thread knows its
    // references into the map.
    await this.#writer.end()
    await this.#database.close()
    if (this.#disk.identity(lockFileIn(this.#dir)) === this.#lock) this.#marks.close()
  }
}

/** Writes on the reading thread, synchronously. */
const writerHere: ProjectionWriterFactory = ({ write }) => ({
  commit: async (commit) => write(commit),
  end: () => Promise.resolve(),
})
