/** The user's handle of a kind of entities: their refs, looks at their rows, and their end. */

import { argument } from '../../check.ts'
import { invalidArgument, type KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { call, type Ref } from '../../runtime/index.ts'
import { checkEntityId } from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import { ownOptions } from '../core/argument-check.ts'
import type { ByHand } from '../durable/recorded-work.ts'
import type { InstanceStreams } from '../streams/instance-streams.ts'
import { type StreamSource, streamOf } from '../streams/streams.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import { madeOf } from '../turns/durable-table.ts'
import type { Fields } from '../turns/memory.ts'
import { type Entities, expectKind, expectKnown } from './entities.ts'
import {
  checkDifference,
  differenceOf,
  historyOf,
  type PastOptions,
  type PastPage,
} from './entity-history.ts'
import { type EntityPage, endOf, isBorn, pageOf, stateOf } from './entity-listing.ts'
import { pageOverAll } from './entity-pages.ts'
import { entityQuery, type ListOptions } from './entity-query.ts'
import { type RoutedRows, rowsAnywhere, rowsHere } from './entity-rows.ts'
import { alarmsBefore, countOf, countsOf, type EntityAlarm } from './entity-totals.ts'
import { EntityWatch, type EntityWatchOptions } from './entity-watch.ts'
import {
  type MigrationOptions,
  type MigrationReport,
  migrateAll,
  migrationOptions,
} from './migration.ts'
import { blockedIn, blockedOverAll, hasParked } from './parked-actors.ts'
import type { StateChange } from './state-changes.ts'

/** How long the answer is waited for, in ms. */
type EndOptions = { readonly timeoutMs?: number }

type EndMessages = {
  calls: {
    $stop: () => boolean
    $delete: (keys: boolean) => boolean
    $unblock: () => boolean
    $byHand: (asked: ByHand) => boolean
  }
}

declare const fields: unique symbol

const alarmNames = ['before', 'limit']

/** The looks that `read` makes. */
export type EntityLook = 'endsAt' | 'blocked'

/**
 * One kind of entities. Looks show durable states and wake no entity. Every call throws
 * KeelsonError `CLOSED` once the instance is closing. A call that reads rows throws `SHARD_DOWN`
 * while a shard cannot be read, and `CORRUPT` for damaged rows.
 */
export class EntityHandle<M = unknown, S = unknown, F = Fields> {
  declare readonly [fields]?: F
  readonly kind: string
  readonly #entities: Entities
  readonly #access: Access
  readonly #streams: () => InstanceStreams
  readonly #shards: readonly ActorShard[]

  /** @internal `streams`: those of the instance. Lists are of `shards`, all by default. */
  constructor(
    entities: Entities,
    kind: string,
    access: Access,
    streams: () => InstanceStreams,
    shards: readonly ActorShard[] = entities.shards,
  ) {
    expectKnown(entities, kind)
    this.kind = kind
    this.#streams = streams
    this.#entities = entities
    this.#access = access
    this.#shards = shards
  }

  /** @internal The value of which a layer above has made the kind, once that has run. */
  get [madeOf](): unknown {
    return this.#entities.known.get(this.kind)?.part
  }

  /**
   * The ref of an entity. A message to one at rest wakes it.
   * @throws KeelsonError `INVALID_ARGUMENT` for an id that is not 1 to 256 bytes of well-formed
   * text without `{`, `}` and NUL
   */
  ref(id: string): Ref<M, S | undefined> {
    return this.#entities.ref<M>(this.kind, id) as Ref<M, S | undefined>
  }

  /**
   * The durable state of an entity; `undefined` if it is unborn. A state of an older version is
   * shown as `migrate` makes it. @throws KeelsonError `BLOCKED` if its row cannot be used
   */
  state(id: string): S | undefined {
    this.#access.check()
    return stateOf(this.#entities, this.kind, checkEntityId(id)) as S | undefined
  }

  /**
   * The same as `state`, also where another member has the shard of the entity. A look there takes part
   * in no order with messages to the entity.
   * @throws KeelsonError as `state`; as a call to the entity
   */
  async load(id: string): Promise<S | undefined> {
    this.#access.check()
    return this.#isElsewhere(id) ? this.#ask<S | undefined>(id, 'state') : this.state(id)
  }

  /**
   * The turns of an entity that took effect, the newest first, as far as the log goes back: at least
   * to the last snapshot, and as far as `retention.log` says. It wakes no entity. Another thread reads
   * the log, for two seconds at most; then `cursor` goes on. States are shown as the prompt shows
   * them, unless `reveal` is true.
   * @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR`; `UNSUPPORTED_VERSION` for a turn of a newer
   * version; `SHARD_DOWN`, also if the thread of the log dies: ask again
   */
  async history(id: string, options: PastOptions = noOptions): Promise<PastPage<S>> {
    this.#access.check()
    if (this.#isElsewhere(id)) return this.#ask<PastPage<S>>(id, 'history', {}, options)
    const page = await historyOf(this.#entities, this.kind, checkEntityId(id), options)
    return page as PastPage<S>
  }

  /**
   * The differences between the states of an entity as of two LSNs, at most 100. It reads as
   * `history`, until both are found.
   * @throws KeelsonError as `history`; `BAD_CURSOR` for a state from before the log begins
   */
  async diff(
    id: string,
    lsn: number,
    lsn2: number,
    options: Pick<PastOptions, 'reveal'> = noOptions,
  ): Promise<readonly StateChange[]> {
    this.#access.check()
    const own = checkDifference([lsn, lsn2], options)
    if (this.#isElsewhere(id)) return this.#ask(id, 'diff', {}, lsn, lsn2, own)
    return differenceOf(this.#entities, this.kind, checkEntityId(id), [lsn, lsn2], own)
  }

  /**
   * The durable rows that an entity keeps itself (`context.rows`). It has none if it is unborn. Where
   * another member has its shard, `load` and `page` go there.
   */
  rows(id: string): RoutedRows {
    const { entity } = this.#entities.identity(this.kind, checkEntityId(id))
    const here = rowsHere(this.#entities, entity, () => this.#access.check())
    return rowsAnywhere(here, (method, ...rest) => {
      this.#access.check()
      return this.#isElsewhere(id) ? this.#ask<unknown>(id, method, {}, ...rest) : undefined
    })
  }

  /**
   * A stream that turns of the entity write with `context.stream`, for its readers. It may begin later.
   * When the entity is removed its readers end with `BAD_CURSOR`.
   * @throws KeelsonError `INVALID_ARGUMENT`
   */
  stream<T = unknown>(id: string, name: string): StreamSource<T> {
    const { entity } = this.#entities.identity(this.kind, checkEntityId(id))
    return streamOf<T>(this.#streams(), this.#access, entity, name)
  }

  /**
   * A look as a promise, at the members that have the shards: `read('endsAt', id)` is `endsAt(id)`
   * where the entity is, and `read('blocked')` names those of all members.
   * @throws KeelsonError as that look; `SHARD_DOWN` while no member has a shard
   */
  async read<L extends EntityLook>(
    what: L,
    ...given: Parameters<EntityHandle[L]>
  ): Promise<ReturnType<EntityHandle[L]>> {
    this.#access.check()
    if (what === 'blocked')
      return (await blockedOverAll(this.#entities, this.kind)) as ReturnType<EntityHandle[L]>
    if (what !== 'endsAt') throw invalidArgument('what', 'endsAt or blocked', what)
    const id = checkEntityId(given[0])
    return this.#isElsewhere(id)
      ? this.#ask(id, what)
      : (this.endsAt(id) as ReturnType<EntityHandle[L]>)
  }

  /**
   * Reads a page of the stored entities, `{ entries, exhausted, cursor, positions }`. It wakes no
   * entity. Without `where` the entries are in the order of their ids.
   *
   * - `where` finds entities by fields of the server's `index`. The index of the first field is read: the
   *   entries are in the order of its values (null, false, true, numbers, texts), then of their ids. Each
   *   of these entities is compared with the other fields. A page ends after `limit` or 1,000 compared
   *   entities, whichever is more, so it may have fewer entries than `limit`, and a `cursor`.
   * - A state that is older than the index is found after the next turn of its entity, or after
   *   `migrateAll`.
   * - States of older versions are shown as `migrate` makes them. An entry whose row cannot be used has
   *   the reason in `blocked`.
   * @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR`; `ELSEWHERE` if another member has a shard:
   * use `page`; `SHARD_DOWN`, `CORRUPT`, `CLOSED`
   */
  list(options: ListOptions<F> = noOptions): EntityPage<S> {
    this.#access.check()
    const query = entityQuery(this.kind, options as ListOptions<never>)
    return pageOf(this.#entities, this.kind, query, this.#shards) as EntityPage<S>
  }

  /**
   * `list` as a promise, for the shards of all members. Each member reads its own shards, so a page
   * shows no common moment. With large states it may have fewer entries than `limit`.
   * @throws KeelsonError as `list`; `SHARD_DOWN` while no member has a shard
   */
  async page(options: ListOptions<F> = noOptions): Promise<EntityPage<S>> {
    this.#access.check()
    const looked = { entities: this.#entities, kind: this.kind, shards: this.#shards }
    return (await pageOverAll(looked, options as ListOptions<never>)) as EntityPage<S>
  }

  /**
   * Watches the durable turns of the entities of this kind, from now on or from a position on. With a
   * `list` in the same turn of the event loop nothing is left out, and nothing comes twice. With `where`
   * it has the turns of the entities that a list with it shows, and says when one of them leaves; the
   * member that has a shard reads the index fields of each turn of the kind for that. The rest is as of
   * `store.watch`: a slow reader holds up nobody, and `close` ends it with `CLOSED`.
   * @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR`, `SHARD_DOWN`; the reason of a `signal`
   * that has aborted
   */
  watch(options: EntityWatchOptions<F> = noOptions): EntityWatch<S> {
    this.#access.check()
    return new EntityWatch<S>(this.#entities, this.kind, options as EntityWatchOptions<never>)
  }

  /**
   * How many entities have each value of an index field, in the order of the values. It reads
   * counters. While they are built, or very much waits for the projection, it walks the index and
   * yields to the event loop; a change during the walk is counted or not.
   * @throws KeelsonError `INVALID_ARGUMENT`
   */
  async counts<K extends keyof F & string>(
    field: K,
  ): Promise<Map<Exclude<F[K], undefined>, number>> {
    this.#access.check()
    if (typeof field !== 'string' || field === '' || field.includes('\0'))
      throw invalidArgument('field', 'a field of the index', field)
    const counts = await countsOf(this.#entities, this.kind, field)
    return counts as Map<Exclude<F[K], undefined>, number>
  }

  /** How many entities have a row, from counters as `counts`. */
  async count(): Promise<number> {
    this.#access.check()
    return countOf(this.#entities, this.kind)
  }

  /**
   * The alarms that are set, the soonest first. `before`: only alarms that fire before it, in ms
   * since 1970; `limit`: 100 by default. It passes the alarms of other kinds that fire sooner, and
   * yields to the event loop. @throws KeelsonError `INVALID_ARGUMENT`
   */
  async alarms(
    options: { readonly before?: number; readonly limit?: number } = noOptions,
  ): Promise<readonly EntityAlarm[]> {
    this.#access.check()
    const { before = Number.POSITIVE_INFINITY, limit = 100 } = ownOptions(options, alarmNames)
    if (typeof before !== 'number' || Number.isNaN(before))
      throw invalidArgument('before', 'a time in ms since 1970', before)
    if (!Number.isSafeInteger(limit) || limit < 1)
      throw invalidArgument('limit', 'a whole number from 1', limit)
    return alarmsBefore(this.#entities, this.kind, before, limit)
  }

  /**
   * The entities that cannot go on, with the errors. Some could not use their rows, as far as they
   * were tried. Others have parked steps or alarms, and still answer calls; `details.parked` lists
   * what is parked. At most 10,000 of these in each shard. Those of other members are in
   * `read('blocked')`.
   */
  blocked(): ReadonlyMap<string, KeelsonError> {
    return new Map(blockedIn(this.#entities, this.kind, this.#entities.shards))
  }

  /**
   * Lets a blocked entity try to wake again; or lets its parked steps and alarms run again, with
   * all their tries. Answers when that is durable. Returns false if it does not exist.
   * @throws KeelsonError `INVALID_ARGUMENT`, `TIMEOUT`, `NO_SPACE`
   */
  async unblock(id: string, options: EndOptions = noOptions): Promise<boolean> {
    if (this.#isElsewhere(id)) return this.#ask(id, 'unblock', options)
    if (expectKind(this.#entities, this.kind).unblock(checkEntityId(id))) return true
    if (!hasParked(this.#entities, this.kind, id)) return false
    const ref = this.#entities.ref<EndMessages>(this.kind, id)
    return call(ref, '$unblock', undefined, options)
  }

  /**
   * Runs the pending steps of this name now, whether they wait for their next try or are parked. A
   * parked one has all its tries again. Answers when that is durable. Returns false if there is none. An
   * unborn entity is not woken.
   * @throws KeelsonError `INVALID_ARGUMENT`, `BLOCKED`, `TIMEOUT`, `NO_SPACE`
   */
  retryStep(id: string, name: string, options: EndOptions = noOptions): Promise<boolean> {
    return this.#byHand(id, 'retryStep', name, options)
  }

  /** Lets an alarm fire now; the rest is as of `retryStep`. False: it is not set. */
  fireAlarm(id: string, name: string, options: EndOptions = noOptions): Promise<boolean> {
    return this.#byHand(id, 'fireAlarm', name, options)
  }

  /** Cancels an alarm; the rest is as of `retryStep`. False: it is not set. */
  cancelAlarm(id: string, name: string, options: EndOptions = noOptions): Promise<boolean> {
    return this.#byHand(id, 'cancelAlarm', name, options)
  }

  /**
   * Removes an entity: its row, alarms, remembered calls and index rows, together, as a turn after
   * those of earlier messages. Then its process ends, and the next message finds it unborn; so do
   * the messages that waited. Answers when that is durable. False: it had no row. A blocked one is
   * removed too, unless its rows cannot be read at all: then it is `BLOCKED`. `timeoutMs` as for
   * any call. `keys`: the keys that the entity wrote with `context.writes` are removed before, some
   * with each turn, so that a call that fails may have removed some of them; `INVALID_ARGUMENT` for
   * a kind without the option `keys`, which has not noted them. An entity cannot delete itself: it would wait for its own turn. It can
   * end: `context.end`.
   * @throws KeelsonError `INVALID_ARGUMENT`, `BLOCKED`, `LOCKED` for a key that another owner has
   * locked, `TIMEOUT`, `UNKNOWN_OUTCOME`
   */
  async delete(
    id: string,
    options: EndOptions & { readonly keys?: boolean } = noOptions,
  ): Promise<boolean> {
    this.#access.check()
    const { keys = false, ...limits } = ownOptions(options, ['timeoutMs', 'keys'])
    if (typeof keys !== 'boolean') throw invalidArgument('keys', 'a boolean', keys)
    if (keys && !expectKind(this.#entities, this.kind).notesKeys)
      throw invalidArgument('keys', 'a kind with the option keys', this.kind)
    return call(this.#entities.ref<EndMessages>(this.kind, id), '$delete', keys, limits)
  }

  /**
   * When an entity that has ended is removed, in ms since 1970; `undefined` for one that has not
   * ended, or has no row.
   */
  endsAt(id: string): number | undefined {
    this.#access.check()
    return endOf(this.#entities, `${this.kind}/${checkEntityId(id)}`)
  }

  /**
   * Lets an entity rest now: its unfinished turns become durable, its process ends, and messages
   * that waited wake it again. Calls whose `from` it kept are `EXITED`. False: it is at rest.
   * @throws KeelsonError `INVALID_ARGUMENT`, `TIMEOUT`
   */
  async stop(id: string, options: EndOptions = noOptions): Promise<boolean> {
    this.#access.check()
    if (this.#isElsewhere(id)) return this.#ask(id, 'stop', options)
    if (!this.#entities.holder(`${this.kind}/${checkEntityId(id)}`)) return false
    const ref = this.#entities.ref<EndMessages>(this.kind, id)
    return call(ref, '$stop', undefined, options)
  }

  /**
   * Writes the state of every entity whose row has an older version, as `migrate` makes it, with
   * its index. It wakes no entity; one that lives writes its own. It yields to the event loop, and
   * calls to the entities go on. The next run skips rows that are done, so a run may be ended at
   * any time. Rows that cannot be used are counted as blocked, and the first 1,000 listed by
   * `blocked`. With members each one migrates what it has.
   * @throws KeelsonError `SHARD_DOWN`, `ELSEWHERE` for a shard that leaves during it, `NO_SPACE`,
   * `READ_ONLY`, `CLOSED`, `NO_PROCESS` while the kind restarts: the rows done until then stay
   */
  async migrateAll(options: MigrationOptions = noOptions): Promise<MigrationReport> {
    this.#access.check()
    const checked = migrationOptions(options, argument('', 'a migration'))
    return migrateAll(this.#entities, this.kind, this.#access, checked)
  }

  async #byHand(
    id: string,
    act: ByHand['act'],
    name: string,
    options: EndOptions,
  ): Promise<boolean> {
    this.#access.check()
    if (typeof name !== 'string' || name === '') throw invalidArgument('name', 'a text', name)
    if (this.#isElsewhere(id)) return this.#ask(id, act, options, name)
    if (!isBorn(this.#entities, `${this.kind}/${checkEntityId(id)}`)) return false
    const ref = this.#entities.ref<EndMessages>(this.kind, id)
    return call(ref, '$byHand', { act, name }, options)
  }
  #isElsewhere(id: string): boolean {
    return this.#entities.isElsewhere(`${this.kind}/${checkEntityId(id)}`)
  }

  /** Asks the member that has the shard of an entity. */
  #ask<T = boolean>(
    id: string,
    method: string,
    options: EndOptions = noOptions,
    ...rest: readonly unknown[]
  ): Promise<T> {
    return this.#entities.askOwner({ kind: this.kind, id, method, rest }, options) as Promise<T>
  }
}
