/**
 * `app.projection(name)`: reads of a projection by users, over all shards. It shows the rows in
 * LMDB: each page says how far these are behind the log.
 */

import { aboveZero, argument, object, optional } from '../../check.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { System } from '../../runtime/index.ts'
import { checkProjectedKey, type ProjectionMark, preparedMark } from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import { askedAtOwner } from '../core/at-owner.ts'
import type { Position } from '../core/shard-core.ts'
import type { StorageEvents } from '../core/storage-events.ts'
import * as LmdbWriter from '../projection/lmdb-writer.ts'
import { positionsIn, type Watermark } from '../store/freshness.ts'
import type { Page } from '../store/page-cursor.ts'
import { type RangeOptions, rangeQuery } from '../store/range-query.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import {
  checkProjection,
  pageOverAll,
  type ReadProjection,
  statusOverAll,
  valueOverAll,
} from './projection-parts.ts'
import {
  type KeyedPart,
  type ProjectionStatus,
  partIn,
  partsPageIn,
  projectionStatus,
  rowsOf,
  shownValue,
} from './projection-rows.ts'

const waitOptions = object({ timeoutMs: optional(aboveZero()) })

/** A page of a projection. `positions`: how far the shown rows of each shard are. */
export type ProjectionPage<T> = Page<readonly [key: string, value: T]> & {
  readonly positions: readonly Watermark[]
}

/** Reads one projection. Its values have the type `T`, which is the caller's word. */
export class ProjectionView<T = unknown> {
  readonly name: string
  readonly #system: System
  readonly #shards: readonly WritingShard[]
  readonly #deadlineMs: number
  readonly #access: Access

  /** @internal @throws KeelsonError `INVALID_ARGUMENT` for a name that the configuration does not have */
  constructor(
    system: System,
    shards: readonly WritingShard[],
    name: string,
    deadlineMs: number,
    access: Access,
  ) {
    this.name = checkProjection(shards, name)
    this.#system = system
    this.#shards = shards
    this.#deadlineMs = deadlineMs
    this.#access = access
  }

  /**
   * The row of a key. Over several shards numbers are added; of other values that of the first
   * shard counts.
   * @throws KeelsonError `INVALID_ARGUMENT`, `CORRUPT`, `SHARD_DOWN`, `ELSEWHERE`, `CLOSED`
   */
  get(key: string): T | undefined {
    this.#access.check()
    const part = partIn(this.#shards, this.name, key)
    return part && (shownValue(part) as T)
  }

  /**
   * `get` as a promise, also of shards that other members have.
   * @throws KeelsonError as `get`; `SHARD_DOWN` while no member has a shard
   */
  async load(key: string): Promise<T | undefined> {
    this.#access.check()
    return (await valueOverAll(this.#read, key)) as T | undefined
  }

  /**
   * One page in the order of the keys' UTF-8 bytes. The options are those of `store.range`, but for
   * `freshness`: it is always `projected`.
   * @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR`, `CORRUPT`, `SHARD_DOWN`, `ELSEWHERE`,
   * `CLOSED`
   */
  range(options: RangeOptions = noOptions): ProjectionPage<T> {
    this.#access.check()
    return shownPage(partsPageIn(this.#shards, this.name, rangeQuery(options, checkProjectedKey)))
  }

  /**
   * `range` as a promise, also of shards that other members have. A page may have fewer entries than
   * `limit`.
   * @throws KeelsonError as `range`; `SHARD_DOWN` while no member has a shard
   */
  async page(options: RangeOptions = noOptions): Promise<ProjectionPage<T>> {
    this.#access.check()
    return shownPage(await pageOverAll(this.#read, options))
  }

  /** Its state in each shard that is open at this member. @throws KeelsonError `CLOSED` */
  status(): readonly ProjectionStatus[] {
    this.#access.check()
    return projectionStatus(this.#shards, this.name)
  }

  /**
   * `read('status')` is `status()` of all members.
   * @throws KeelsonError `INVALID_ARGUMENT` for another word; `CLOSED`; `SHARD_DOWN` while no member
   * has a shard
   */
  async read(what: 'status'): Promise<readonly ProjectionStatus[]> {
    this.#access.check()
    if (what !== 'status') throw invalidArgument('what', 'status', what)
    return statusOverAll(this.#read)
  }

  /**
   * Resolves when the projection shows these positions, or everything that is applied now. It waits
   * for a rebuild.
   * @throws KeelsonError `DEGRADED` if it does not follow the log (`details.state`); `TIMEOUT`,
   * `INVALID_ARGUMENT`
   */
  async reached(
    positions?: Position | readonly Position[],
    options: { readonly timeoutMs?: number } = noOptions,
  ): Promise<void> {
    this.#access.check()
    const { timeoutMs = this.#deadlineMs } = waitOptions(options, argument('', 'a wait'))
    const { clock } = this.#system
    const endsAt = clock.monotonic() + timeoutMs
    await Promise.all(
      this.#wanted(positions).map(async ({ shard, lsn }) => {
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
    const shown = LmdbWriter.request(writer, lsn, endsAt - clock.monotonic())
    await LmdbWriter.answerOf(shard, shown)
    await this.#live(shard, endsAt)
  }

  async #rebuild(shard: WritingShard): Promise<void> {
    const writer = this.#system.to(LmdbWriter.name(shard.parts.instance, shard.index))
    // Writes that were applied before the call are part of the rebuilt rows.
    await LmdbWriter.answerOf(shard, LmdbWriter.flush(writer, this.#deadlineMs))
    const begun = LmdbWriter.rebuildProjection(writer, this.name, this.#deadlineMs)
    await LmdbWriter.answerOf(shard, begun)
    const { mark } = rowsOf(shard, this.name)
    if (mark.state === 'halted' && !mark.building) throw notFollowing(this.name, shard, mark)
  }

  #wanted(
    positions: Position | readonly Position[] | undefined,
  ): readonly { readonly shard: WritingShard; readonly lsn?: number }[] {
    if (positions === undefined) return this.#shards.map((shard) => ({ shard }))
    const refused = () => invalidArgument('positions', 'positions of shards', positions)
    const wanted = positionsIn(positions)
    if (!wanted) throw refused()
    return wanted.map(({ shard: index, lsn }) => {
      const shard = this.#shards[index]
      if (!shard) throw refused()
      return { shard, lsn }
    })
  }

  /** Resolves when the projection follows the log in this shard. */
  async #live(shard: WritingShard, endsAt: number): Promise<void> {
    for (;;) {
      const { mark } = rowsOf(shard, this.name)
      const isTaken = isTakenUp(shard, this.name, mark)
      if (isTaken && mark.state === 'live') return
      if (isTaken && mark.state !== 'absent' && !mark.building)
        throw notFollowing(this.name, shard, mark)
      if (!(await nextFlush(this.#system, shard, endsAt)))
        throw new KeelsonError('TIMEOUT', `the projection ${this.name} is still being built`, {
          details: { projection: this.name, shard: shard.index },
        })
    }
  }

  /** Its reads over all shards begin with this. */
  get #read(): ReadProjection {
    return { name: this.name, shards: this.#shards }
  }
}

/**
 * Whether the writer goes on with a mark as it is. A mark of an earlier life, for example of another
 * version, it changes with its first commit.
 */
const isTakenUp = (
  { parts, projection }: WritingShard,
  name: string,
  mark: ProjectionMark,
): boolean => {
  const configured = parts.settings.projections.find((each) => each.name === name)
  if (!configured || mark.generation === 0) return true
  return preparedMark(mark, configured, mark.lsn, !projection.givenUp.has(name)) === mark
}

const shownPage = <T>(page: ProjectionPage<KeyedPart[1]>): ProjectionPage<T> => ({
  ...page,
  entries: page.entries.map(([key, part]) => [key, shownValue(part) as T]),
})

const notFollowing = (
  name: string,
  shard: WritingShard,
  { state, error }: ProjectionMark,
): KeelsonError =>
  new KeelsonError('DEGRADED', `the projection ${name} does not follow shard ${shard.index}`, {
    details: {
      projection: name,
      shard: shard.index,
      state,
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
