/**
 * `app.projection(name)`: reads of a projection by users, over all shards. It shows the rows in
 * LMDB: each page says how far these are behind the log.
 */
import { invalidArgument, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  decodeValue,
  type ProjectionMark,
  type ProjectionStore,
  projectedPrefix,
  projectionMarkKey,
  projectionMarkOf,
  type Row,
  type RowRange,
} from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import { askedAtOwner } from '../core/owners-way.ts'
import { mergedRows } from '../core/read-view.ts'
import type { Position } from '../core/shard-core.ts'
import type { StorageEvents } from '../core/storage-events.ts'
import * as LmdbWriter from '../projection/lmdb-writer.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import { type Watermark, watermarkOf } from './freshness.ts'
import { type Page, pageFrom } from './page-cursor.ts'
import { type RangeOptions, rangeQuery } from './range-query.ts'

/** A page of a projection. `positions`: how far the shown rows of each shard are. */
export type ProjectionPage<T> = Page<readonly [key: string, value: T]> & {
  readonly positions: readonly Watermark[]
}

/**
 * A projection in one shard.
 * - `live`: follows every frame. `building`: no rows are shown yet.
 * - `stopped`: the rows of another version are shown, as of `lsn`.
 * - `halted`: its function threw (`error`); the rows are those of `lsn`, and of `version`.
 */
export type ProjectionStatus = Watermark & {
  readonly state: 'live' | 'building' | 'stopped' | 'halted'
  readonly version: number
  /** The version that is built, and the rows walked so far. */
  readonly building: { readonly version: number; readonly rows: number } | undefined
  readonly error: string | undefined
  /** The changes that a projection that keeps its rows has not seen. */
  readonly missed: readonly [from: number, to: number] | undefined
}

/** The store, the mark, and the beginning of the shown rows; `undefined` if none are shown. */
const rowsOf = (
  shard: WritingShard,
  name: string,
): {
  readonly store: ProjectionStore
  readonly mark: ProjectionMark
  readonly prefix: string | undefined
} => {
  const store = shard.view().layers.projection
  const rowKey = projectionMarkKey(name)
  const row = store.get(rowKey)
  // Without a position there are no rows: the projection follows from the first frame on.
  const none = store.position() ? 'absent' : 'live'
  const mark: ProjectionMark = row
    ? projectionMarkOf(rowKey, row)
    : { state: none, version: 0, generation: 0, lsn: 0 }
  const prefix = mark.generation > 0 ? projectedPrefix(name, mark.generation) : undefined
  return { store, mark, prefix }
}

const shownBy = (shard: WritingShard, { state, lsn: shown }: ProjectionMark): Watermark => {
  const watermark = watermarkOf(shard, 'projected')
  if (state === 'live') return watermark
  return { ...watermark, lsn: shown, lag: watermark.tip - shown }
}

/** The state of a projection in each of these shards that is open. */
export const projectionStatus = (
  shards: readonly WritingShard[],
  name: string,
): readonly ProjectionStatus[] =>
  shards
    .filter(({ phase }) => phase.kind === 'open')
    .map((shard) => {
      const { mark } = rowsOf(shard, name)
      const { building } = mark
      return {
        ...shownBy(shard, mark),
        state: mark.state === 'absent' ? 'building' : mark.state,
        version: mark.version,
        building: building && { version: building.version, rows: building.rows },
        error: mark.error,
        missed: mark.missed,
      }
    })

/** Reads one projection. Its values have the type `T`, which is the caller's word. */
export class ProjectionView<T = unknown> {
  readonly name: string
  readonly #system: System
  readonly #shards: readonly WritingShard[]
  readonly #deadlineMs: number
  readonly #access: Access

  /** @throws KeelsonError `INVALID_ARGUMENT` for a name that the configuration does not have */
  constructor(
    system: System,
    shards: readonly WritingShard[],
    name: string,
    deadlineMs: number,
    access: Access,
  ) {
    const known = shards[0]?.parts.settings.projections.map((each) => each.name) ?? []
    if (!known.includes(name))
      throw invalidArgument('name', `a projection: ${known.join(', ') || 'there is none'}`, name)
    this.name = name
    this.#system = system
    this.#shards = shards
    this.#deadlineMs = deadlineMs
    this.#access = access
  }

  /**
   * The row of a key. Over several shards numbers are added; of other values that of the first
   * shard counts.
   * @throws KeelsonError `CORRUPT`, `SHARD_DOWN`, `CLOSED`
   */
  get(key: string): T | undefined {
    this.#access.check()
    const found = this.#shards.flatMap((shard) => {
      const { store, prefix } = rowsOf(shard, this.name)
      const row = prefix === undefined ? undefined : store.get(prefix + key)
      return row ? [decodeValue(row.value)] : []
    })
    return found.length === 0 ? undefined : (combined(found) as T)
  }

  /**
   * One page in the order of the keys' UTF-8 bytes. The options are those of `store.range`, but for
   * `freshness`: it is always `projected`.
   * @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR`, `CORRUPT`, `SHARD_DOWN`, `CLOSED`
   */
  range(options: RangeOptions = {}): ProjectionPage<T> {
    this.#access.check()
    const query = rangeQuery(options)
    const page = pageFrom(this.#rowsByKey(query.range), query, (key, rows) => {
      const values = query.values ? rows.map(({ value }) => decodeValue(value)) : []
      return [key, combined(values) as T] as const
    })
    const positions = this.#shards.map((shard) => shownBy(shard, rowsOf(shard, this.name).mark))
    return { ...page, positions }
  }

  /** The keys of a range in order, each with the rows that the shards have of it. */
  *#rowsByKey(range: RowRange): IterableIterator<readonly [key: string, rows: readonly Row[]]> {
    const walks = this.#shards.map((shard) => this.#walk(shard, range))
    let last: [key: string, rows: Row[]] | undefined
    for (const [key, row] of mergedRows(walks, range.reverse === true)) {
      if (last?.[0] === key) last[1].push(row)
      else {
        if (last) yield last
        last = [key, [row]]
      }
    }
    if (last) yield last
  }

  /** Its state in each shard that is open. @throws KeelsonError `CLOSED` */
  status(): readonly ProjectionStatus[] {
    this.#access.check()
    return projectionStatus(this.#shards, this.name)
  }

  /**
   * Resolves when the projection shows these positions, or everything that is applied now. It waits
   * for a rebuild.
   * @throws KeelsonError `DEGRADED` if it does not follow the log (`details.state`); `TIMEOUT`
   */
  async reached(
    positions?: Position | readonly Position[],
    { timeoutMs = this.#deadlineMs }: { readonly timeoutMs?: number } = {},
  ): Promise<void> {
    this.#access.check()
    const { clock } = this.#system
    const endsAt = clock.monotonic() + timeoutMs
    await Promise.all(
      this.#wanted(positions).map(async ({ shard: index, lsn }) => {
        const shard = this.#shards[index]
        if (!shard) throw invalidArgument('positions', 'positions of shards', index)
        // The owner knows what is applied.
        const given = [this.name, lsn ?? null, timeoutMs]
        await askedAtOwner(shard, 'projection.reached', given, timeoutMs, () =>
          this.#reached(shard, lsn ?? shard.appliedLsn, endsAt),
        )
      }),
    )
  }

  /**
   * Rebuilds its rows from the present values. The old rows are shown until it is done, and stay if
   * its function throws. Resolves when it has begun; `reached` waits for its end.
   * @throws KeelsonError `DEGRADED` with `details.reason` if its function threw at once; `TIMEOUT`,
   * `NO_PROCESS`, `EXITED`, `CLOSED`, `SHARD_DOWN`
   */
  async rebuild(): Promise<void> {
    this.#access.check()
    await Promise.all(
      this.#shards.map((shard) =>
        askedAtOwner(shard, 'projection.rebuild', [this.name], this.#deadlineMs, () =>
          this.#rebuild(shard),
        ),
      ),
    )
  }

  async #reached(shard: WritingShard, lsn: number, endsAt: number): Promise<void> {
    const { clock } = this.#system
    const writer = this.#system.to(LmdbWriter.name(shard.parts.instance, shard.index))
    await LmdbWriter.request(writer, lsn, endsAt - clock.monotonic())
    await this.#live(shard, endsAt)
  }

  async #rebuild(shard: WritingShard): Promise<void> {
    const writer = this.#system.to(LmdbWriter.name(shard.parts.instance, shard.index))
    // Writes that were applied before the call are part of the rebuilt rows.
    await LmdbWriter.flush(writer, this.#deadlineMs)
    await LmdbWriter.rebuildProjection(writer, this.name, this.#deadlineMs)
    const { mark } = rowsOf(shard, this.name)
    if (mark.state === 'halted' && !mark.building) throw notFollowing(this.name, shard, mark)
  }

  #wanted(
    positions: Position | readonly Position[] | undefined,
  ): readonly (Pick<Position, 'shard'> & Partial<Position>)[] {
    if (positions === undefined) return this.#shards.map(({ index }) => ({ shard: index }))
    return 'shard' in positions ? [positions] : positions
  }

  /** Resolves when the projection follows the log in this shard. */
  async #live(shard: WritingShard, endsAt: number): Promise<void> {
    for (;;) {
      const { mark } = rowsOf(shard, this.name)
      if (mark.state === 'live') return
      if (mark.state !== 'absent' && !mark.building) throw notFollowing(this.name, shard, mark)
      if (!(await nextFlush(this.#system, shard, endsAt)))
        throw new KeelsonError('TIMEOUT', `the projection ${this.name} is still being built`, {
          details: { projection: this.name, shard: shard.index },
        })
    }
  }

  *#walk(shard: WritingShard, range: RowRange): IterableIterator<readonly [string, Row]> {
    const { store, prefix } = rowsOf(shard, this.name)
    if (prefix === undefined) return
    for (const [rowKey, row] of store.range(below(prefix, range)))
      yield [rowKey.slice(prefix.length), row]
  }
}

/** A range of the keys after `prefix`. */
const below = (prefix: string, { gt, gte, lt, lte, reverse }: RowRange): RowRange => ({
  ...(gt !== undefined ? { gt: prefix + gt } : { gte: prefix + (gte ?? '') }),
  ...(lte !== undefined ? { lte: prefix + lte } : { lt: prefix + (lt ?? '\u{10ffff}') }),
  ...(reverse === undefined ? {} : { reverse }),
})

/** The values of one key from several shards as one value; `undefined` of none. */
const combined = (values: readonly unknown[]): unknown =>
  values.length > 1 && values.every((value) => typeof value === 'number')
    ? values.reduce((sum, value) => sum + value, 0)
    : values[0]

const notFollowing = (
  name: string,
  shard: WritingShard,
  { state, error }: ProjectionMark,
): KeelsonError =>
  new KeelsonError('DEGRADED', `the projection ${name} does not follow shard ${shard.index}`, {
    details: {
      ...{ projection: name, shard: shard.index, state },
      ...(error === undefined ? {} : { reason: error }),
    },
  })

/** Resolves with true after the next commit of the shard's projection; with false at `endsAt`. */
const nextFlush = (system: System, { parts }: WritingShard, endsAt: number): Promise<boolean> => {
  const { clock } = system
  const { events } = system
  return new Promise((resolve) => {
    const end = (isFlushed: boolean): void => {
      cancel()
      events.off('lmdb.flushed', flushed)
      resolve(isFlushed)
    }
    const flushed: StorageEvents['lmdb.flushed'] = ({ instance, shard }) => {
      if (instance === parts.instance && shard === parts.index) end(true)
    }
    const cancel = clock.after(Math.max(0, endsAt - clock.monotonic()), () => end(false))
    events.on('lmdb.flushed', flushed)
  })
}
