/**
 * Writes the older rows of a kind in the present version of its server. An entity at rest is not
 * woken: its migrated state is a turn that is written in its place, and a process of it that begins
 * before its end waits for that turn. One that lives writes its own row. So each row is migrated by
 * one turn that follows the row it was read from, and a run that is cut off leaves some rows for
 * the next one.
 */
import { abortSignal, listener, object, optional } from '../../check.ts'
import { isGone, isKeelsonError, type KeelsonError, keptError } from '../../errors.ts'
import { call, type Ref, TimeSlice } from '../../runtime/index.ts'
import {
  entityRowKey,
  entityRows,
  type Row,
  type RowRange,
  readEntityRow,
} from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import { behind } from '../store/range-query.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import type { DurableTable } from '../turns/durable-table.ts'
import { readBody } from '../turns/memory.ts'
import { TurnDraft } from '../turns/turn-draft.ts'
import { TurnLog } from '../turns/turn-log.ts'
import { ownRun } from '../turns/turn-run.ts'
import { decidedMark, writeTurn } from '../turns/turn-storage.ts'
import { recall } from '../turns/waking.ts'
import { type Entities, expectKind, type RunningKind } from './entities.ts'

/** The result of a migration of all rows of a kind. */
export type MigrationReport = {
  /** The rows that were written in the present version. */
  readonly migrated: number
  /** The rows that this program cannot use. They are as they were. */
  readonly blocked: number
}

/** How far a migration is: `examined` rows, up to and including those of `shard`. */
export type MigrationProgress = MigrationReport & {
  readonly shard: number
  readonly examined: number
}

/** The check of `MigrationOptions`. */
export const migrationOptions = object({
  onProgress: listener<MigrationProgress>(),
  signal: optional(abortSignal),
})

/** The options of a migration. */
export type MigrationOptions = {
  /** Called as it goes on. It may throw: that changes nothing. */
  readonly onProgress?: (progress: MigrationProgress) => void
  /** Ends it early: it resolves with what it has done. */
  readonly signal?: AbortSignal
}

/** The most rows that are written at a time. A call of a user waits for about so many turns. */
const writingMax = 64

/** The most blocked entities that one run lists. */
const listedMax = 1_000

type Checked = ReturnType<typeof migrationOptions>

type MigrateMessages = { calls: { $migrate: () => boolean } }

/** @throws KeelsonError as `EntityHandle.migrateAll` */
export const migrateAll = async (
  entities: Entities,
  kind: string,
  access: Access,
  options: Checked,
): Promise<MigrationReport> => {
  const migration = new Migration(entities, kind, access, options)
  for (const shard of entities.shardsHere) await migration.shard(shard)
  return migration.report
}

/** One run. */
class Migration {
  readonly #entities: Entities
  readonly #kind: string
  readonly #running: RunningKind
  readonly #access: Access
  readonly #options: Checked
  readonly #slice: TimeSlice
  readonly #writing = new Set<Promise<void>>()
  readonly #counts = { examined: 0, migrated: 0, blocked: 0 }
  #failure: { readonly error: unknown } | undefined

  constructor(entities: Entities, kind: string, access: Access, options: Checked) {
    this.#entities = entities
    this.#kind = kind
    this.#running = expectKind(entities, kind)
    this.#access = access
    this.#options = options
    this.#slice = new TimeSlice(entities.system.clock)
  }

  get report(): MigrationReport {
    const { migrated, blocked } = this.#counts
    return { migrated, blocked }
  }

  /** Migrates the rows of a shard. When it settles, no write of it is pending. */
  async shard(shard: ActorShard): Promise<void> {
    try {
      for (let rest: RowRange | undefined = entityRows(this.#kind); rest; ) {
        this.#access.check()
        if (this.#failure || this.#options.signal?.aborted) break
        const found = this.#nextIn(shard, rest)
        rest = found.rest
        for (const id of found.ids) {
          await this.#begin(shard, id)
          await this.#slice.spent()
        }
        this.#report(shard)
        await this.#slice.spent()
      }
    } finally {
      await Promise.all(this.#writing)
    }
    if (this.#failure) throw this.#failure.error
    this.#report(shard)
  }

  #report({ index }: ActorShard): void {
    this.#options.onProgress({ shard: index, ...this.#counts })
  }

  /** The next rows of `range` that must be written, some at a time; `rest`: those after them. */
  #nextIn(
    shard: ActorShard,
    range: RowRange,
  ): { readonly ids: readonly string[]; readonly rest?: RowRange } {
    const ids: string[] = []
    for (const [rowKey, row] of shard.view().rows(range)) {
      this.#counts.examined++
      if (!isPresent(row, this.#running.table))
        ids.push(rowKey.slice(entityRowKey(this.#kind).length + 1))
      if (ids.length === writingMax || this.#slice.isSpent)
        return { ids, rest: behind(range, false, rowKey) }
    }
    return { ids }
  }

  /** Begins to migrate an entity, when there is a place. */
  async #begin(shard: ActorShard, id: string): Promise<void> {
    while (this.#writing.size >= writingMax) await Promise.race(this.#writing)
    const done = this.#migrate(shard, id)
      .then(
        (isMigrated) => {
          if (isMigrated) this.#counts.migrated++
        },
        (error: unknown) => this.#failed(id, error),
      )
      .finally(() => this.#writing.delete(done))
    this.#writing.add(done)
  }

  /** A row that cannot be used ends nothing. */
  #failed(id: string, error: unknown): void {
    const isOwn = ['BLOCKED', 'TOO_LARGE', 'INVALID_ARGUMENT'].some((code) =>
      isKeelsonError(error, code as KeelsonError['code']),
    )
    if (!isOwn) this.#failure ??= { error }
    else if (++this.#counts.blocked <= listedMax) {
      if (isKeelsonError(error, 'BLOCKED')) this.#running.block(id, error)
      else
        this.#entities.system.logger.warn(
          `${this.#kind}/${id} cannot be migrated: ${keptError(error).message}`,
          { reason: error },
        )
    }
  }

  /** True: the row was written. */
  async #migrate(shard: ActorShard, id: string): Promise<boolean> {
    const entities = this.#entities
    const { entity } = entities.identity(this.#kind, id)
    for (;;) {
      if (entities.holder(entity)) {
        const isWritten = await this.#ask(id)
        if (isWritten !== undefined) return isWritten
      } else {
        const undecided = entities.decided(entity)
        if (undecided === undefined) return this.#write(shard, id)
        await shard.unlessStill(undecided)
        if (shard.isStill) throw shard.unavailable()
      }
    }
  }

  /** Asks the process of an entity; `undefined`: it has ended. */
  async #ask(id: string): Promise<boolean | undefined> {
    const ref: Ref<MigrateMessages> = this.#entities.ref(this.#kind, id)
    const { signal } = this.#options
    const timeoutMs = Number.POSITIVE_INFINITY
    try {
      return await call(ref, '$migrate', undefined, { timeoutMs, ...(signal && { signal }) })
    } catch (error) {
      // It may be busy for long. The next run finds its row.
      if (signal?.aborted && error === signal.reason) return false
      if (isGone(error)) return undefined
      throw error
    }
  }

  /** Writes the row of an entity at rest. From here on until it is decided nobody wakes it. */
  async #write(shard: ActorShard, id: string): Promise<boolean> {
    const { system } = this.#entities
    const identity = this.#entities.identity(this.#kind, id)
    const { entity } = identity
    const { table } = this.#running
    const row = shard.view().row(entityRowKey(entity))
    if (row && isPresent(row, table)) return false
    const known = recall(shard, identity, table)
    if (known === undefined) return false
    const incarnation = Buffer.from(system.clock.randomBytes(8)).toString('hex')
    const draft = new TurnDraft(ownRun('record', 'migrate'), known, incarnation)
    const { state, fields } = known.memory
    draft.end(
      draft.memoryOf(state, fields),
      { identity, table, shard, common: { keys: false } },
      [],
    )
    let outcome: unknown
    const log = new TurnLog<TurnDraft>(
      {
        write: (unit, decided) => writeTurn(system, shard, unit, decided),
        look: (tries, found, failed) =>
          void decidedMark(system, shard, entity, tries).then(found, failed),
        durable: () => undefined,
        short: () => undefined,
        refused: (_, __, { error }) => {
          outcome = error
          return undefined
        },
        redo: () => undefined,
        ended: () => undefined,
        cut: (undecided, error) => {
          for (const turn of undecided) turn.drop()
          outcome = error
        },
      },
      1,
    )
    // No process of it lives, and nothing waits for space.
    log.end(() => undefined)
    log.commit(draft)
    this.#entities.ended(entity, log)
    await shard.unlessStill(log.drained())
    if (outcome !== undefined) throw outcome
    if (!log.isEmpty) throw shard.unavailable()
    return true
  }
}

/** Whether a row is in the version of the server. One that cannot be read is not. */
const isPresent = (row: Row, { version, shape }: DurableTable): boolean => {
  try {
    const body = readBody(readEntityRow(row).body)
    return body.version === version && body.shape === shape
  } catch {
    return false
  }
}
