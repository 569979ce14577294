/**
 * The rows of the projections by users in one transaction. It feeds them the changes of frames, and
 * walks the present rows where a projection is rebuilt. It reads its state from the marks, and it
 * writes rows and marks beside the values: all of it becomes durable together, or nothing. Pure,
 * but for the functions of the projections.
 */

import { utf8Length } from '../../bytes/utf8.ts'
import { invalidArgument, KeelsonError, reasonText } from '../../errors.ts'
import { failureRecord } from '../../failure-record.ts'
import type { Row, RowRange } from '../ports/projection-store.ts'
import { ChangedRows, isWithin, type ReadBlob, type Rows } from '../rows/rows.ts'
import { entityOf, entityRowKey } from '../values/entity-key.ts'
import { entityRow, isFirstRow } from '../values/entity-row.ts'
import { compareKeys, projectedKeyBytesMax } from '../values/key.ts'
import {
  firstUserKey,
  prefixOf,
  rowClassOf,
  rowsAre,
  rowsBeginning,
  rowsOf,
} from '../values/row-key.ts'
import { decodeValue, encodeValue } from '../values/value.ts'
import { entityCounts } from './entity-counts.ts'
import type { OwnRows, ProjectedOperation, Projecting, Projection } from './projection.ts'
import { changesOf, entityChangesOf, type RowChanged } from './projection-change.ts'
import {
  type Building,
  haltedMark,
  type ProjectionMark,
  preparedMark,
  projectionMarkKey,
  projectionMarkOf,
  projectionMarkRow,
  projectionNameOf,
  rebuilding,
  rebuilt,
  stoppedMark,
} from './projection-mark.ts'

/** A projection, as it is fed: the rows that it is derived from, and their changes as it gets them. */
type Fed = Pick<Projection, 'name' | 'version' | 'keeps'> & {
  /** The rows, in the order of their keys. */
  readonly walks: readonly RowRange[]
  readonly changes: (changed: RowChanged, blob: ReadBlob) => readonly object[]
  project(change: object, own: OwnRows): Iterable<ProjectedOperation>
}

const userRows: RowRange = { gte: firstUserKey }

const fedBy = (projection: Projection): Fed => ({
  ...projection,
  walks: projection.entities ? [rowsOf('entity'), userRows] : [userRows],
  changes: (changed, blob) =>
    rowClassOf(changed.rowKey) === 'entity' ? entityChangesOf(changed) : changesOf(changed, blob),
})

/** A projection that was halted: its name and why. */
export type HaltedProjection = { readonly name: string; readonly error: unknown }

/** The rows that one walk of a rebuild takes, and that one removal of a generation takes. */
const walkMax = 500

/** The generation in a row key. Fixed digits: no generation is the beginning of another. */
const inDigits = (generation: number): string => generation.toString(36).padStart(6, '0')

/** The beginning of the row keys of a generation of a projection. */
export const projectedPrefix = (name: string, generation: number): string =>
  `${prefixOf('projected')}${name}\0${inDigits(generation)}`

/** The projections of a shard, in one transaction. */
export class ProjectedRows {
  readonly #projections: readonly Fed[]
  readonly #rows: ChangedRows
  readonly #blob: ReadBlob
  readonly #now: () => number
  /** Whether a projection by users is fed with keys, and one with entities. */
  readonly #seesKeys: boolean
  readonly #seesEntities: boolean
  /** The rows that the present frame changed, as they were before. */
  #before = new Map<string, Row | undefined>()
  readonly #marks = new Map<string, ProjectionMark>()
  /** The position of the rows before the next frame. */
  #lsn: number
  /** Whether a frame was taken: projections that are not configured are stopped before the first. */
  #hasFrames = false
  /** Projections whose function threw in this transaction. */
  readonly halted: HaltedProjection[] = []

  /**
   * `rows` has the transaction so far and takes the changes. `lsn`: its position. A projection that
   * was halted by this incarnation of the writer is not tried again by itself.
   */
  constructor({ projections, givenUp, now }: Projecting, rows: ChangedRows, lsn: number) {
    this.#projections = [entityCounts, ...projections.map(fedBy)]
    this.#seesKeys = projections.length > 0
    this.#seesEntities = projections.some(({ entities }) => entities === true)
    this.#rows = rows
    this.#blob = (ref, from, to) => rows.blob(ref, from, to)
    this.#lsn = lsn
    this.#now = now
    for (const [rowKey, row] of rows.range(rowsOf('projectionMark')))
      this.#marks.set(projectionNameOf(rowKey), projectionMarkOf(rowKey, row))
    for (const projection of this.#projections) {
      const { name } = projection
      const mark = this.#marks.get(name)
      this.#mark(name, preparedMark(mark, projection, lsn, !givenUp.has(name)))
    }
  }

  /** Notes a row that the next frame sets. It has not changed yet. */
  note(rowKey: string, row: Row | undefined): void {
    if (rowKey.charCodeAt(0) !== 0) {
      if (this.#seesKeys && !this.#before.has(rowKey))
        this.#before.set(rowKey, this.#rows.get(rowKey))
    } else if (isOfEntity(rowKey) && !this.#before.has(rowKey)) this.#noteEntity(rowKey, row)
  }

  /**
   * A turn applies only right after the one that it follows. So the row that it sets says whether
   * there was one before, and reads of the projection are saved.
   */
  #noteEntity(rowKey: string, row: Row | undefined): void {
    const isMain = isMainRow(rowKey)
    const wasThere = isMain ? !row || !isFirstRow(row) : !row
    if (!isMain) this.#before.set(rowKey, wasThere ? unread : undefined)
    else if (!wasThere) this.#before.set(rowKey, undefined)
    else if (this.#seesEntities) this.#before.set(rowKey, this.#rows.get(rowKey))
    else if (!row) this.#before.set(rowKey, unread)
  }

  /** Feeds the changes of a frame, whose rows were noted and are applied now. */
  frame(lsn: number, time: number): void {
    if (!this.#hasFrames) this.#stopOthers()
    if (this.#before.size > 0) this.#feed(this.#changes(lsn, time))
    this.#lsn = lsn
  }

  #feed(changes: readonly RowChanged[]): void {
    for (const projection of this.#projections) {
      const mark = this.#marks.get(projection.name) as ProjectionMark
      const target = targetOf(mark, projection.version)
      if (!target) continue
      const { generation, cursor } = target
      // Rows after the cursor of a rebuild are walked later, as they are then.
      const due = changes.filter(
        ({ rowKey }) =>
          projection.walks.some((walk) => isWithin(rowKey, walk)) &&
          (cursor === undefined || compareKeys(rowKey, cursor) <= 0),
      )
      if (due.length > 0) this.#project(projection, generation, due)
    }
  }

  /** The noted changes. That of a main row is one only if the entity is new, gone or reindexed. */
  #changes(lsn: number, time: number): readonly RowChanged[] {
    const noted = this.#before
    this.#before = new Map()
    const changes: RowChanged[] = []
    const reindexed = new Set<string>()
    for (const [rowKey, before] of noted) {
      const changed = { rowKey, before, after: this.#rows.get(rowKey), lsn, time }
      changes.push(changed)
      if (this.#seesEntities && !isSame(changed) && rowClassOf(rowKey) === 'index')
        reindexed.add(entityRowKey(entityOf(rowKey) ?? ''))
    }
    return changes.filter(
      (changed) => !isOfEntity(changed.rowKey) || !isSame(changed) || reindexed.has(changed.rowKey),
    )
  }

  /**
   * Walks on where a projection is rebuilt, or removes rows that are not needed. Returns false if
   * there is nothing to do.
   */
  walk(): boolean {
    for (const projection of this.#projections) {
      const building = this.#marks.get(projection.name)?.building
      if (!building) continue
      this.#build(projection, building)
      return true
    }
    for (const [name, mark] of this.#marks)
      if (mark.garbage && mark.garbage.length > 0) {
        this.#remove(name, mark, mark.garbage)
        return true
      }
    return false
  }

  /** Begins the rebuild of a projection. */
  rebuild(name: string): void {
    const projection = this.#projections.find((each) => each.name === name)
    const mark = this.#marks.get(name)
    if (projection && mark) this.#mark(name, rebuilding(mark, projection.version, this.#lsn))
  }

  #mark(name: string, mark: ProjectionMark): void {
    if (this.#marks.get(name) === mark) return
    this.#marks.set(name, mark)
    this.#rows.set(projectionMarkKey(name), projectionMarkRow(mark))
  }

  /** A frame passes projections that are not configured: they show the state before it. */
  #stopOthers(): void {
    this.#hasFrames = true
    const names = new Set(this.#projections.map(({ name }) => name))
    for (const [name, mark] of this.#marks)
      if (!names.has(name) && (mark.state === 'live' || mark.building))
        this.#mark(name, stoppedMark(mark, this.#lsn))
  }

  #build(projection: Fed, building: Building): void {
    const walked: (readonly [string, Row])[] = []
    for (const walk of projection.walks)
      for (const entry of this.#rows.range(behind(walk, building.cursor))) {
        if (walked.length >= walkMax) break
        walked.push(entry)
      }
    const changes = walked.map(([rowKey, after]) => {
      return { rowKey, before: undefined, after, lsn: this.#lsn, time: 0 }
    })
    if (!this.#project(projection, building.generation, changes)) return
    const cursor = walked.at(-1)?.[0] ?? building.cursor
    const rows = building.rows + walked.length
    const mark = this.#marks.get(projection.name) as ProjectionMark
    const isWhole = walked.length < walkMax
    this.#mark(
      projection.name,
      isWhole ? rebuilt(mark, building) : { ...mark, building: { ...building, cursor, rows } },
    )
  }

  #remove(name: string, mark: ProjectionMark, [generation, ...others]: readonly number[]): void {
    const prefix = projectedPrefix(name, generation as number)
    let removed = 0
    const keys: string[] = []
    for (const [rowKey] of this.#rows.range(rowsBeginning(prefix))) {
      keys.push(rowKey)
      if (++removed >= walkMax) break
    }
    for (const rowKey of keys) this.#rows.set(rowKey, undefined)
    if (removed >= walkMax) return
    const { garbage: _, ...rest } = mark
    this.#mark(name, others.length > 0 ? { ...rest, garbage: others } : rest)
  }

  /**
   * Runs the function of a projection on changes. Returns false if it threw: nothing of these
   * changes is in its rows then, and it is halted.
   */
  #project(projection: Fed, generation: number, changes: readonly RowChanged[]): boolean {
    const { name, version, changes: changesFor, project } = projection
    const own = new GenerationRows(this.#rows, projectedPrefix(name, generation))
    try {
      for (const changed of changes)
        for (const change of changesFor(changed, this.#blob))
          for (const operation of listed(project(change, own))) own.apply(checked(operation))
      own.keep(this.#rows)
      return true
    } catch (error) {
      this.halted.push({ name, error })
      const mark = this.#marks.get(name) as ProjectionMark
      const record = failureRecord(error)
      const failure = { error: reasonText(error), record, haltedAt: this.#now() }
      this.#mark(name, haltedMark(mark, version, this.#lsn, failure))
      return false
    }
  }
}

const isMainRow = rowsAre('entity')
const isIndexRow = rowsAre('index')

const isOfEntity = (rowKey: string): boolean => isMainRow(rowKey) || isIndexRow(rowKey)

/** Stands for a row that was there, and that nobody reads. */
const unread = entityRow(new Uint8Array(0))

/** Whether a row is there as before. */
const isSame = ({ before, after }: RowChanged): boolean =>
  (before === undefined) === (after === undefined)

/** The rows of `walk` after `cursor`. */
const behind = (walk: RowRange, cursor: string): RowRange =>
  compareKeys(cursor, walk.gt ?? walk.gte ?? '') < 0
    ? walk
    : { gt: cursor, ...(walk.lt !== undefined && { lt: walk.lt }) }

/**
 * The changes of one walk in the rows at `lsn`: rows that are rebuilt or removed, after the
 * rebuilds of `names` have begun. Empty if there is nothing to do.
 */
export const walkedOnce = (
  projecting: Projecting,
  rows: Rows,
  lsn: number,
  names: readonly string[],
): Pick<ChangedRows, 'changes'> & Pick<ProjectedRows, 'halted'> => {
  const changed = new ChangedRows(rows)
  const projected = new ProjectedRows(projecting, changed, lsn)
  for (const name of names) projected.rebuild(name)
  projected.walk()
  return { changes: changed.changes, halted: projected.halted }
}

/** The generation that changes go to, and how far it is built; `undefined` if none needs them. */
const targetOf = (
  { state, version, generation, building }: ProjectionMark,
  wanted: number,
): { readonly generation: number; readonly cursor?: string } | undefined =>
  state === 'live' && version === wanted ? { generation } : building

/** The rows of one generation of one projection, with changes that may still be dropped. */
class GenerationRows implements OwnRows {
  readonly #rows: ChangedRows
  readonly #prefix: string

  constructor(rows: ChangedRows, prefix: string) {
    this.#rows = new ChangedRows(rows)
    this.#prefix = prefix
  }

  get(key: string): unknown {
    const row = this.#rows.get(this.#prefix + key)
    return row && decodeValue(row.value)
  }

  *range(prefix: string): IterableIterator<readonly [string, unknown]> {
    const { length } = this.#prefix
    for (const [rowKey, { value }] of this.#rows.range(rowsBeginning(this.#prefix + prefix)))
      yield [rowKey.slice(length), decodeValue(value)]
  }

  apply(operation: ProjectedOperation): void {
    const { kind, key } = operation
    if (kind === 'delete') this.#set(key, undefined)
    else if (kind === 'put') this.#set(key, operation.value)
    else {
      const before = this.get(key) ?? 0
      if (typeof before !== 'number') throw invalidArgument('add', 'a row with a number', before)
      const sum = before + operation.by
      this.#set(key, sum === 0 ? undefined : sum)
    }
  }

  /** Passes the changes on. */
  keep(into: ChangedRows): void {
    for (const [rowKey, row] of this.#rows.changes) into.set(rowKey, row)
  }

  #set(key: string, value: unknown): void {
    const row = value === undefined ? undefined : { value: encodeValue(value), expiresAt: 0 }
    this.#rows.set(this.#prefix + key, row)
  }
}

/** @throws KeelsonError `INVALID_ARGUMENT` */
const listed = (operations: Iterable<ProjectedOperation>): readonly ProjectedOperation[] => {
  const found: unknown = operations
  if (Array.isArray(found)) return operations as readonly ProjectedOperation[]
  if (typeof found === 'object' && found !== null && Symbol.iterator in found)
    return [...operations]
  throw invalidArgument('project', 'a list of operations as the answer', found)
}

/** @throws KeelsonError `INVALID_ARGUMENT`, `TOO_LARGE` */
const checked = (operation: ProjectedOperation): ProjectedOperation => {
  const { kind, key, by } = Object(operation) as Record<string, unknown>
  if (kind !== 'put' && kind !== 'delete' && kind !== 'add')
    throw invalidArgument('kind', 'put, delete or add', kind)
  if (typeof key !== 'string' || key === '' || key.includes('\0') || !key.isWellFormed())
    throw invalidArgument('key', 'well-formed text without NUL', key)
  if (utf8Length(key) > projectedKeyBytesMax)
    throw new KeelsonError(
      'TOO_LARGE',
      `a key of a projection has at most ${projectedKeyBytesMax} bytes`,
    )
  if (kind === 'add' && !Number.isFinite(by)) throw invalidArgument('by', 'a finite number', by)
  if (kind === 'put' && (operation as { value?: unknown }).value === undefined)
    throw invalidArgument('value', 'a value', undefined)
  return operation
}
