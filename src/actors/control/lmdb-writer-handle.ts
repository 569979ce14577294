/**
 * `app.lmdbWriter(shard)`: the projection of one shard, for actors that derive rows of their own from
 * the log, and for watchdogs. Derived rows lie beside those of the store, under the name of their
 * producer, and no command reaches them. A rebuild of the projection removes them: the position of
 * the producer is 0 then, and it derives them again.
 */

import { invalidArgument, isKeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { isRef, type System } from '../../runtime/index.ts'
import {
  checkProducer,
  type DerivedOperation,
  decodeValue,
  derivedKeyOf,
  derivedRowKey,
  derivedRows,
  encodeValue,
  producerLsnOf,
  producerRowKey,
} from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import { checkedKey, ownOptions } from '../core/argument-check.ts'
import { askedAtOwner, checkHere } from '../core/at-owner.ts'
import { isCount, isText } from '../core/payload-check.ts'
import { emit } from '../core/storage-events.ts'
import type { AfterFlush, Derivation } from '../projection/derived-queue.ts'
import * as LmdbWriter from '../projection/lmdb-writer.ts'
import { act } from '../projection/projection-writing.ts'
import { timeoutOf } from './control-request.ts'
import type { ControlShard } from './control-shard.ts'

export type { AfterFlush } from '../projection/derived-queue.ts'

/**
 * A change of one row: a plain object with these names alone. Values are those of `store.put`; they are
 * stored as they are at the call.
 */
export type ProjectionOperation =
  | { readonly kind: 'put'; readonly key: string; readonly value: unknown }
  | { readonly kind: 'delete'; readonly key: string }

/** Where operations come from, and what is done when they are durable. */
export type EnqueueTerms = {
  readonly producer: string
  /** The frame that they are derived from, which is applied. LSNs of a producer ascend. */
  readonly lsn: number
  /**
   * Infos to send after the commit. They are not sent if the operations are lost, or if Node's
   * process ends first.
   */
  readonly afterFlush?: readonly AfterFlush[]
}

/** The projection of one shard. */
export class LmdbWriterHandle {
  readonly #system: System
  readonly #shard: ControlShard
  readonly #access: Access

  /** @internal */
  constructor(system: System, shard: ControlShard, access: Access) {
    this.#system = system
    this.#shard = shard
    this.#access = access
  }

  /**
   * The projection durably shows every frame up to this LSN. It goes back only when the projection
   * is damaged and rebuilt.
   * @throws KeelsonError `ELSEWHERE`
   */
  get durableIndex(): number {
    this.#checkHere('durableIndex')
    return this.#shard.projectedLsn
  }

  /** Whether the projection durably shows `lsn`. @throws KeelsonError `ELSEWHERE`, `INVALID_ARGUMENT` */
  isDurable(lsn: number): boolean {
    return checkedLsn(lsn) <= this.durableIndex
  }

  /**
   * Resolves with `durableIndex` when it has reached `lsn`.
   * @throws KeelsonError `DEGRADED`, `DISCARDED`, `TIMEOUT`, `CLOSED`, `INVALID_ARGUMENT`
   */
  async request(
    lsn: number,
    options: { readonly timeoutMs?: number } = noOptions,
  ): Promise<number> {
    checkedLsn(lsn)
    const withinMs = timeoutOf(options, this.#shard.parts.settings.deadlineMs)
    const here = () =>
      LmdbWriter.answerOf(this.#shard, LmdbWriter.request(this.#writer, lsn, withinMs))
    return this.#asked('request', [lsn, { timeoutMs: withinMs }], here, withinMs)
  }

  /**
   * Describes the projection and its writer. At another member, without the owners of suspensions.
   * @throws KeelsonError `DEGRADED`, `TIMEOUT`, `CLOSED`
   */
  async describe(): Promise<LmdbWriter.ProjectionWriterDescription> {
    return this.#asked('describe', [], () =>
      LmdbWriter.answerOf(this.#shard, LmdbWriter.describe(this.#writer)),
    )
  }

  /**
   * Begins a producer. Returns the LSN up to which its operations are accepted: it goes on with later
   * frames, and may repeat earlier ones, which has no effect. `onLost` is sent, perhaps more than
   * once, when its operations are lost: then it has to begin again. So it is after a discard, a
   * rebuild, or a full queue.
   * @throws KeelsonError `SHARD_DOWN` while the shard recovers or is down; `INVALID_ARGUMENT`,
   * `CORRUPT`, `CLOSED`
   */
  begin(producer: string, options: { readonly onLost?: AfterFlush } = noOptions): number {
    this.#checkHere('begin()')
    const name = checkProducer(producer)
    const { onLost: given } = ownOptions(options, ['onLost'])
    const onLost = given === undefined ? undefined : checkedAction(given, ['onLost'])
    const durableLsn = producerLsnOf(this.#rows.get(producerRowKey(name)))
    return this.#shard.derived.begin(name, durableLsn, onLost)
  }

  /**
   * Accepts operations: they are in memory, and in the projection soon after the frame that they come
   * from. All of them take effect in one transaction. `flush` waits for them too.
   * @throws KeelsonError `BUSY`: there is no room, try again later. `DISCARDED`: the producer has to
   * begin. `TOO_LARGE`, `INVALID_ARGUMENT`, `SHARD_DOWN`, `CLOSED`. Nothing was accepted.
   */
  enqueue(operations: readonly ProjectionOperation[], terms: EnqueueTerms): void {
    this.#add(this.#derivation(operations, terms))
  }

  /**
   * The same for producers that do not wait: it throws only for wrong arguments and `CLOSED`. If
   * the operations are not accepted, `lmdb.unavailable` reports it. If there was no room, the
   * projection is degraded until a reconcile, and the producer has to begin again.
   */
  enqueueAsync(operations: readonly ProjectionOperation[], terms: EnqueueTerms): void {
    const derivation = this.#derivation(operations, terms)
    try {
      this.#add(derivation)
    } catch (error) {
      if (!isKeelsonError(error)) throw error
      this.#refused(derivation, error.code)
    }
  }

  /** How many operations `enqueue` has room for. */
  get enqueueOpsCapacity(): number {
    this.#checkHere('enqueueOpsCapacity')
    return this.#shard.derived.room
  }

  /**
   * A derived value; `undefined` without one.
   * @throws KeelsonError `SHARD_DOWN`, `INVALID_ARGUMENT`, `CORRUPT`, `CLOSED`
   */
  get(producer: string, key: string): unknown {
    const row = this.#rows.get(derivedRowKey(checkProducer(producer), checkedKey(key)))
    return row && decodeValue(row.value)
  }

  /**
   * Derived keys and values in order, `limit` (100) of them after `after`.
   * @throws KeelsonError as `get` does
   */
  entries(
    producer: string,
    options: { readonly after?: string; readonly limit?: number } = noOptions,
  ): [key: string, value: unknown][] {
    const { after, limit = 100 } = ownOptions(options, ['after', 'limit'])
    if (!isCount(limit)) throw invalidArgument('limit', 'a whole number from 0', limit)
    const name = checkProducer(producer)
    const all = derivedRows(name)
    const from = after === undefined ? all : { ...all, gt: derivedRowKey(name, checkedKey(after)) }
    const entries: [string, unknown][] = []
    for (const [rowKey, { value }] of this.#rows.range(from)) {
      if (entries.length === limit) break
      entries.push([derivedKeyOf(rowKey), decodeValue(value)])
    }
    return entries
  }

  /** Asks for a reconcile: every row is read and verified, in small steps. Answers at once. */
  markProjectionDirty(): void {
    this.#checkHere('markProjectionDirty()')
    const writer = this.#writer
    this.#shard.projection.markProjectionDirty()
    LmdbWriter.reconcileNow(writer)
  }

  /**
   * Marks the projection as degraded, for a reason that only the caller knows. Only a clean reconcile
   * that begins later ends it; it is asked for at once. Returns the epoch of the mark.
   */
  markMirrorDegraded(reason: string): number {
    this.#checkHere('markMirrorDegraded()')
    if (!isText(reason)) throw invalidArgument('reason', 'a string', reason)
    return LmdbWriter.markDegraded(this.#writer, this.#shard, this.#system, reason)
  }

  #add(derivation: Derivation): void {
    this.#checkHere('enqueue()')
    if (this.#shard.isStill) throw this.#shard.unavailable()
    this.#shard.derived.add(derivation, this.#system.clock.monotonic())
    LmdbWriter.derivedEnqueued(this.#writer)
  }

  #asked<T>(
    method: string,
    given: readonly unknown[],
    here: () => Promise<T>,
    timeoutMs = this.#shard.parts.settings.deadlineMs,
  ): Promise<T> {
    this.#access.check()
    return askedAtOwner(this.#shard, `lmdbWriter.${method}`, given, timeoutMs, here)
  }

  /** @throws KeelsonError `ELSEWHERE` */
  #checkHere(act: string): void {
    const shard = this.#shard
    checkHere(shard, `lmdbWriter(${shard.index}).${act}`)
  }

  #refused({ producer, operations }: Derivation, reason: string): void {
    const facts = { request: 'enqueueAsync', operations: operations.length, reason }
    emit(this.#system, this.#shard, 'lmdb.unavailable', facts)
    if (reason !== 'BUSY' && reason !== 'TOO_LARGE') return
    act(this.#shard.derived.refused(producer))
    this.markMirrorDegraded(`operations of ${producer} were not accepted: ${reason}`)
  }

  #derivation(operations: readonly ProjectionOperation[], terms: EnqueueTerms): Derivation {
    this.#access.check()
    const names = ['producer', 'lsn', 'afterFlush']
    const { producer, lsn, afterFlush = [] } = ownOptions(terms, names)
    const { appliedLsn } = this.#shard
    if (!isCount(lsn) || lsn < 1 || lsn > appliedLsn)
      throw invalidArgument('lsn', `an applied frame, 1 to ${appliedLsn}`, lsn)
    return {
      producer: checkProducer(producer),
      lsn,
      operations: membersOf(operations, 'operations', checkedOperation),
      afterFlush: membersOf(afterFlush, 'afterFlush', checkedAction),
    }
  }

  /** The rows of the projection, which are durable. */
  get #rows() {
    this.#access.check()
    this.#checkHere('get()')
    return this.#shard.view().layers.projection
  }

  get #writer() {
    this.#access.check()
    const { instance, index } = this.#shard.parts
    return this.#system.to(LmdbWriter.name(instance, index))
  }
}

const checkedLsn = (lsn: unknown): number => {
  if (isCount(lsn)) return lsn as number
  throw invalidArgument('lsn', 'a whole number from 0', lsn)
}

type Path = readonly (string | number)[]

/** The members of a list, each as `take` makes it. A hole is `undefined`, and refused. */
const membersOf = <T, Taken>(
  list: readonly T[],
  name: string,
  take: (member: T, path: Path) => Taken,
): readonly Taken[] => {
  if (!Array.isArray(list)) throw invalidArgument(name, 'a list', list)
  return Array.from(list as readonly T[], (member, at) => take(member, [name, at]))
}

const checkedOperation = (operation: ProjectionOperation, path: Path): DerivedOperation => {
  const own = ownOptions(operation, ['kind', 'key', 'value'], path)
  const key = checkedKey(own.key, [...path, 'key'])
  if (own.kind === 'put') return { kind: 'put', key, value: encodeValue(own.value) }
  if (own.kind === 'delete') return { kind: 'delete', key }
  throw invalidArgument([...path, 'kind'], "'put' or 'delete'", (own as { kind: unknown }).kind)
}

const checkedAction = (action: AfterFlush, path: Path): AfterFlush => {
  const own = ownOptions(action, ['to', 'message', 'payload'], path)
  if (isRef(own.to) && isText(own.message)) return own
  throw invalidArgument(path, '{ to: a ref, message: a string }', action)
}
