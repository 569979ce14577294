/**
 * Projections in memory, for simulated systems. Commits outlive the store that made them, as files
 * outlive a process. A commit is as slow as LMDB's: its rows are taken over several turns, it is
 * visible at a random moment, and answered some turns later. A test can fill the disk, lose commits
 * as a restored backup does, and damage rows. The contract suite of LMDB's projections passes on
 * these too.
 */
import { noMore } from '../../check.ts'
import { type Clock, seededRandom, virtualClock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type {
  LoadPlace,
  ProjectedPosition,
  ProjectionExamination,
  ProjectionPin,
  ProjectionStore,
  Projections,
  Row,
  RowChange,
  RowRange,
  SnapshotProjections,
  SnapshotRecord,
  SnapshotSource,
  SnapshotTarget,
} from '../../storage/index.ts'
import {
  compareKeys,
  decodeRow,
  encodeRecord,
  isRowKey,
  isWithin,
  rowBytes,
} from '../../storage/index.ts'

/** Projections in memory, and their faults. A folder that was never opened has none. */
export interface MemoryProjections extends Projections, SnapshotProjections {
  /** Makes the next `count` commits in `dir` fail with `NO_SPACE`. `Infinity`: all; 0: none. */
  failCommits(dir: string, count: number): void
  /** Undoes the last `count` commits in `dir`, at most 1,024, while no store has it open. */
  loseCommits(dir: string, count: number): void
  /** Makes `examine` answer `damaged` and `open` throw `CORRUPT`, until `remove`. */
  damage(dir: string, evidence: string): void
  /** Makes reading this row throw `CORRUPT`, until it is written again. */
  damageRow(dir: string, key: string): void
}

/** How projections in memory behave. */
export type MemoryProjectionsOptions = {
  /** Decides how many turns of the event loop the parts of a commit take; 1 by default. */
  readonly seed?: number
  /** The most turns of a part of a commit; 12 by default. With 0 a commit is visible at once. */
  readonly turnsMax?: number
  /** Its turns of the event loop are those of this clock, by which a test waits. */
  readonly clock?: Pick<Clock, 'soon'>
  /**
   * Names the process that is alive, and is `undefined` while there is none. A commit of a process
   * that has ended is made or not, and never made later.
   */
  readonly process?: () => unknown
}

/** How commits pass. */
type Pace = {
  readonly random: () => number
  readonly turnsMax: number
  readonly clock: Pick<Clock, 'soon'>
}

/** How many commits can be undone. */
const undoMax = 1024

/** The rows and the position that one commit replaced. */
type Undo = {
  readonly rows: readonly RowChange[]
  readonly position: ProjectedPosition | undefined
}

/** The state of one folder. */
type Folder = {
  readonly rows: Map<string, Row>
  readonly damagedRows: Set<string>
  readonly undo: Undo[]
  position: ProjectedPosition | undefined
  /** The load of a snapshot that is not complete. */
  load: LoadPlace | undefined
  pins: number
  commitsToFail: number
  damage: string | undefined
}

const newFolder = (): Folder => ({
  rows: new Map(),
  damagedRows: new Set(),
  undo: [],
  position: undefined,
  load: undefined,
  pins: 0,
  commitsToFail: 0,
  damage: undefined,
})

/** Makes projections in memory, independent of all others. */
export const memoryProjections = (
  options: MemoryProjectionsOptions = noOptions,
  ...surplus: []
): MemoryProjections => {
  noMore(surplus, 'memoryProjections({ seed, … })')
  const { seed = 1, turnsMax = 12, clock = virtualClock() } = options
  const { process = () => 'the only one' } = options
  const pace = { random: seededRandom(seed), turnsMax, clock }
  const folders = new Map<string, Folder>()
  const folderAt = (dir: string): Folder => {
    const folder = folders.get(dir) ?? newFolder()
    folders.set(dir, folder)
    return folder
  }
  return {
    examine: (dir) => Promise.resolve(examineFolder(folders.get(dir))),
    open(dir) {
      const folder = folderAt(dir)
      const evidence = folder.damage
      if (evidence !== undefined)
        throw new KeelsonError('CORRUPT', `the projection is damaged: ${evidence}`, {
          details: { evidence },
        })
      return new MemoryProjectionStore(folder, pace, process)
    },
    remove: (dir) => void folders.delete(dir),
    source: (dir) => new MemorySnapshotSource(folderAt(dir)),
    target(dir, isOurs) {
      const { load } = folderAt(dir)
      if (!load || !isOurs(load)) folders.delete(dir)
      return new MemorySnapshotTarget(folderAt(dir))
    },
    failCommits(dir, count) {
      folderAt(dir).commitsToFail = count
    },
    loseCommits(dir, count) {
      const folder = folderAt(dir)
      for (let lost = 0; lost < count; lost++) takeBack(folder)
    },
    damage(dir, evidence) {
      folderAt(dir).damage = evidence
    },
    damageRow: (dir, key) => void folderAt(dir).damagedRows.add(key),
  }
}

const examineFolder = (folder: Folder | undefined): ProjectionExamination => {
  if (folder === undefined) return { state: 'absent' }
  const evidence = folder.damage ?? [...folder.damagedRows][0]
  if (evidence !== undefined) return { state: 'damaged', evidence }
  const { position, rows, load } = folder
  if (load) return { state: 'loading', place: load }
  return { state: 'sound', position, rows: rows.size, bytes: bytesOf(folder) }
}

const bytesOf = (folder: Folder): number => {
  let bytes = 0
  for (const [key, row] of folder.rows) bytes += Buffer.byteLength(key) + rowBytes(row.value)
  return bytes
}

const takeBack = (folder: Folder): void => {
  const last = folder.undo.pop()
  if (!last) return
  setRows(folder, last.rows)
  folder.position = last.position
}

const setRows = (folder: Folder, changes: readonly RowChange[]): void => {
  for (const [key, row] of changes) {
    folder.damagedRows.delete(key)
    if (row) folder.rows.set(key, row)
    else folder.rows.delete(key)
  }
}

const checkRowKey = (key: string): void => {
  const bytes = Buffer.from(key)
  if (!isRowKey(bytes))
    throw new KeelsonError('INVALID_ARGUMENT', 'the key of a row must have 1 to 1,537 bytes', {
      details: { bytes: bytes.length },
    })
}

/** Copies a row, so that neither side sees later writes of the other. */
const copyOf = (row: Row): Row => ({
  value: { tag: row.value.tag, bytes: new Uint8Array(row.value.bytes) },
  expiresAt: row.expiresAt,
})

class MemoryProjectionStore implements ProjectionStore {
  readonly #folder: Folder
  readonly #pace: Pace
  readonly #process: () => unknown
  readonly #pins = new Set<ProjectionPin>()
  #closed = false
  #pending: Promise<void> = Promise.resolve()
  /** The row that `peek` gave, until the next call spoils it. */
  #peeked: Row | undefined

  constructor(folder: Folder, pace: Pace, process: () => unknown) {
    this.#folder = folder
    this.#pace = pace
    this.#process = process
  }

  /** Each call spoils what `peek` gave, as LMDB's memory is written over. */
  #checkOpen(): void {
    this.#peeked?.value.bytes.fill(0xa5)
    this.#peeked = undefined
    if (this.#closed) throw new KeelsonError('CLOSED', 'the projection is closed')
  }

  position(): ProjectedPosition | undefined {
    this.#checkOpen()
    if (this.#folder.load)
      throw new KeelsonError('CORRUPT', 'a snapshot is not loaded to its end', { details: {} })
    return this.#folder.position
  }

  pin(): ProjectionPin {
    this.#checkOpen()
    const folder = this.#folder
    const pins = this.#pins
    folder.pins++
    const pin = {
      isHeld: true,
      release() {
        if (!pins.delete(pin)) return
        pin.isHeld = false
        folder.pins--
      },
    }
    pins.add(pin)
    return pin
  }

  get(key: string): Row | undefined {
    this.#checkOpen()
    const row = this.#folder.rows.get(key)
    return row && this.#checked(key, row)
  }

  peek(key: string): Row | undefined {
    this.#peeked = this.get(key)
    return this.#peeked
  }

  #checked(key: string, row: Row): Row {
    if (this.#folder.damagedRows.has(key))
      throw new KeelsonError('CORRUPT', 'a row of the projection is damaged', { details: { key } })
    return copyOf(row)
  }

  range(range: RowRange): IterableIterator<readonly [key: string, row: Row]> {
    this.#checkOpen()
    // A snapshot: later commits do not change the rows of this walk.
    const within: [string, Row][] = []
    for (const entry of this.#folder.rows) if (isWithin(entry[0], range)) within.push(entry)
    within.sort(([a], [b]) => (range.reverse ? compareKeys(b, a) : compareKeys(a, b)))
    return this.#entries(within)
  }

  *#entries(
    entries: readonly (readonly [string, Row])[],
  ): IterableIterator<readonly [key: string, row: Row]> {
    for (const [key, row] of entries) {
      this.#checkOpen()
      yield [key, this.#checked(key, row)]
    }
  }

  commit(changes: Iterable<RowChange>, position: ProjectedPosition): Promise<void> {
    const work = inTurns(this.#commit(changes, position), this.#pace)
    this.#pending = work.catch(() => undefined)
    return work
  }

  settled(): Promise<void> {
    return this.#pending
  }

  /** A commit, part by part. */
  *#commit(changes: Iterable<RowChange>, position: ProjectedPosition): Generator<void> {
    this.#checkOpen()
    const process = this.#process()
    const list: RowChange[] = []
    for (const [key, row] of changes) {
      checkRowKey(key)
      list.push([key, row && copyOf(row)])
      if (this.#pace.random() < 0.03) yield
    }
    yield
    if (this.#process() !== process) throw ended()
    const undo = this.#makeVisible(list, position)
    yield
    if (this.#process() === process) return
    const isLast = this.#folder.undo.at(-1) === undo
    if (isLast && this.#pace.random() < 0.5) takeBack(this.#folder)
    throw ended()
  }

  #makeVisible(list: readonly RowChange[], position: ProjectedPosition): Undo {
    const folder = this.#folder
    takeFailure(folder)
    const replaced = new Map(list.map(([key]) => [key, folder.rows.get(key)]))
    const undo = { rows: [...replaced], position: folder.position }
    folder.undo.push(undo)
    if (folder.undo.length > undoMax) folder.undo.shift()
    setRows(folder, list)
    folder.position = position
    return undo
  }

  describe(): { readonly rows: number; readonly bytes: number } {
    this.#checkOpen()
    return { rows: this.#folder.rows.size, bytes: bytesOf(this.#folder) }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#pending
    for (const pin of [...this.#pins]) pin.release()
  }
}

/** Carries out the parts with some turns of the event loop between them: mostly few, now and then many. */
const inTurns = async (
  parts: Generator<void>,
  { random, turnsMax, clock }: Pace,
): Promise<void> => {
  while (!parts.next().done) {
    const most = random() < 0.2 ? turnsMax : Math.ceil(turnsMax / 3)
    for (let turns = Math.floor(random() * (most + 1)); turns > 0; turns--)
      await new Promise<void>((resolve) => clock.soon(resolve))
  }
}

const ended = (): KeelsonError =>
  new KeelsonError('SHARD_DOWN', 'the process of this commit has ended', {
    details: { reason: 'process' },
  })

/** Fails a commit if a test asked for it. @throws KeelsonError `NO_SPACE` */
const takeFailure = (folder: Folder): void => {
  if (folder.commitsToFail === 0) return
  folder.commitsToFail--
  throw new KeelsonError('NO_SPACE', 'the projection has no room', {
    details: { evidence: 'failCommits' },
  })
}

/** The rows as they were when it was made. LMDB keeps them only under a pin, so this asks for one. */
class MemorySnapshotSource implements SnapshotSource {
  readonly position: ProjectedPosition
  readonly rows: number
  readonly #folder: Folder
  readonly #copy: (readonly [string, Row])[]
  readonly #damagedRows: ReadonlySet<string>

  constructor(folder: Folder) {
    if (!folder.position)
      throw new KeelsonError('INVALID_ARGUMENT', 'a projection without a position has no snapshot')
    this.position = folder.position
    this.rows = folder.rows.size
    this.#folder = folder
    this.#copy = [...folder.rows].sort(([a], [b]) => compareKeys(a, b))
    this.#damagedRows = new Set(folder.damagedRows)
  }

  *records(): Iterable<SnapshotRecord> {
    for (const [key, row] of this.#copy) {
      if (this.#folder.pins === 0) throw new Error('the rows of a snapshot are not pinned')
      if (this.#damagedRows.has(key))
        throw new KeelsonError('CORRUPT', 'a row of the projection is damaged', {
          details: { key },
        })
      yield encodeRecord(key, row)
    }
  }

  grownBytes(): number {
    return Math.max(0, this.#folder.rows.size - this.rows)
  }

  close(): void {
    this.#copy.length = 0
  }
}

class MemorySnapshotTarget implements SnapshotTarget {
  readonly place: LoadPlace | undefined
  readonly #folder: Folder

  constructor(folder: Folder) {
    this.#folder = folder
    this.place = folder.load
  }

  append(records: readonly SnapshotRecord[], place: LoadPlace): void {
    takeFailure(this.#folder)
    this.#add(records)
    this.#folder.load = place
  }

  complete(records: readonly SnapshotRecord[], position: ProjectedPosition): void {
    takeFailure(this.#folder)
    this.#add(records)
    this.#folder.load = undefined
    this.#folder.position = position
  }

  #add(records: readonly SnapshotRecord[]): void {
    for (const { key, record } of records)
      this.#folder.rows.set(Buffer.from(key).toString(), copyOf(decodeRow(key, record)))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
