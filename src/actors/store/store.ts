/**
 * The store: keys and values over all shards. A write checks its arguments, encodes its values once
 * and picks its shard. It resolves when its frame is durable and visible. `StoreReader` has the
 * reads.
 */

import { leftUntil } from '../../clock.ts'
import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { System } from '../../runtime/index.ts'
import type { StandardSchema } from '../../schema.ts'
import { decodeValue } from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import { answeredAtOnce, checkedKey } from '../core/argument-check.ts'
import { wayToRead } from '../core/at-owner.ts'
import type { ByteSource, StreamedIn } from '../core/shard-client.ts'
import { inTurn, KeyMarks } from '../writing/key-marks.ts'
import type {
  ClearOptions,
  LockedPutOptions,
  LockOptions,
  OwnedWriteOptions,
  PutOptions,
  SetOptions,
  StreamOptions,
  UnlockOptions,
} from '../writing/write-options.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import { Batch } from './batch.ts'
import { KeyPlacement } from './key-placement.ts'
import type {
  CompareAnswer,
  CreatedAnswer,
  CreatedManyAnswer,
  DeletedAnswer,
  ExistedAnswer,
  LengthAnswer,
  PreviousAnswer,
  ReleasedAnswer,
  RemovedAnswer,
  SetAnswer,
  UntilAnswer,
  ValueAnswer,
  Written,
  WrittenMany,
} from './store-answers.ts'
import * as commands from './store-commands.ts'
import { StoreReader } from './store-reader.ts'
import { StoreWatch, type WatchOptions } from './store-watch.ts'
import { promised, StoreWriting } from './store-writing.ts'
import { TypedStore } from './typed-store.ts'

/**
 * Keys and values, in one instance. Every write rejects with a `KeelsonError`: `INVALID_ARGUMENT`
 * (`details.path` says where), `TOO_LARGE`, `CROSS_SHARD`: refused, nothing happened. `WRONG_TYPE`,
 * `LOCKED`, `CONFLICT`: decided by the state, nothing changed. `BUSY`, `NO_SPACE`, `SHARD_DOWN`,
 * `CLOSED`: nothing was written. `NOT_SUBMITTED`: never reached the disk. `UNKNOWN_OUTCOME`: it may
 * be there, or still come: await `settled()`, then read before repeating. `TIMEOUT`, `DEGRADED`
 * with `ack` `projected`: the write is durable at `details.position`. So it is with `TOO_LARGE` or
 * `CORRUPT` that has one: only the value in its answer could not be read.
 */
export class Store extends StoreReader {
  readonly #system: System
  readonly #keys: KeyPlacement
  readonly #writing: StoreWriting
  /** Orders the updates of each key. */
  readonly #updates = new KeyMarks()

  /** @internal */
  constructor(system: System, shards: readonly WritingShard[], access: Access) {
    const keys = new KeyPlacement(shards)
    super(system, keys, access)
    this.#system = system
    this.#keys = keys
    this.#writing = new StoreWriting(system, keys, access)
  }

  /**
   * Replaces kind, value and expiry of the key. Resolves once the change is synced and visible.
   * @throws as every write
   */
  put(key: string, value: unknown, options: PutOptions = noOptions): Promise<Written> {
    return promised(() => {
      const { own, checked } = this.#writing.read('put', options)
      return this.#writing.put(commands.put(key, value, own), checked)
    })
  }

  /**
   * Replaces the value of the key by the bytes of a stream of any length, in constant memory and
   * with back-pressure. The key keeps its old value until the last byte is durable. Among other
   * writes to the key, it takes effect at its end.
   * @throws the stream's error, with nothing changed; `INVALID_ARGUMENT` for a length other than
   * `size`; as every write
   */
  async putStream(
    key: string,
    readable: ByteSource,
    options: StreamOptions = noOptions,
  ): Promise<Written & StreamedIn> {
    const { own, checked } = this.#writing.read('stream', options)
    return this.#writing.stream(commands.streamTerms(key, readable, own), readable, checked)
  }

  /**
   * Writes if the condition holds: `nx` only if the key is absent, `xx` only if it is present.
   * `get` also answers the previous value, written or not; `keepTtl` keeps the expiry. @throws as
   * every write
   */
  set(
    key: string,
    value: unknown,
    options: SetOptions & { readonly get: true },
  ): Promise<Written & SetAnswer & PreviousAnswer>
  set(key: string, value: unknown, options?: SetOptions): Promise<Written & SetAnswer>
  set(
    key: string,
    value: unknown,
    options: SetOptions = noOptions,
  ): Promise<Written & SetAnswer & Partial<PreviousAnswer>> {
    return this.#writing.one('set', options, (own) => commands.set(key, value, own))
  }

  /**
   * Replaces the value, clears the expiry, and answers the previous value. @throws as every write
   */
  getSet(
    key: string,
    value: unknown,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & PreviousAnswer> {
    return this.#writing.one('plain', options, (own) => commands.getSet(key, value, own))
  }

  /**
   * Appends text or bytes; an absent key counts as empty. Text appended to text stays text,
   * anything else becomes bytes. The expiry stays. @throws as every write; `WRONG_TYPE` on a
   * structured or compound value
   */
  append(
    key: string,
    suffix: string | Uint8Array,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & LengthAnswer> {
    return this.#writing.one('plain', options, (own) => commands.append(key, suffix, own))
  }

  /**
   * Overwrites bytes from `offset` on. The value grows as needed, and a gap is filled with zero
   * bytes. Kind and expiry as with `append`. @throws as every write; `WRONG_TYPE` on a structured
   * or compound value
   */
  setRange(
    key: string,
    offset: number,
    patch: string | Uint8Array,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & LengthAnswer> {
    return this.#writing.one('plain', options, (own) => commands.setRange(key, offset, patch, own))
  }

  /**
   * Writes `value` if the current value is deeply equal to `expected` (map order ignored, kinds
   * distinguished; `undefined`: absent). Otherwise answers the current value. Without a new expiry
   * the old one stays. @throws as every write
   */
  compareAndSet(
    key: string,
    expected: unknown,
    value: unknown,
    options: PutOptions = noOptions,
  ): Promise<Written & CompareAnswer> {
    return this.#writing.one('put', options, (own) =>
      commands.compareAndSet(key, expected, value, own),
    )
  }

  /**
   * Reads the value, and writes what `change` makes of it: `undefined` stands for no value. Updates
   * of one key run one after another. If another write changes the key in between, `change` is
   * called again with the new value, so no update is lost; it must have no other effects. Without a
   * new expiry the old one stays. Answers the written value. An update takes its place among the
   * writes of its key when it writes, not when it is called: await it before other writes to the key
   * that must come after it. `change` must not write the key itself.
   * @throws the error of `change`, with nothing written; as every write; `TOO_LARGE` for a value of
   * more than 1 MiB in blobs; `INVALID_ARGUMENT` if `change` returns no value (a promise is not a value)
   */
  async update<T = unknown>(
    key: string,
    change: (value: T | undefined) => T,
    options: PutOptions = noOptions,
  ): Promise<Written & ValueAnswer<T>> {
    const { own, checked } = this.#writing.read('put', options)
    const { deadlineMs } = checked
    if (typeof change !== 'function') throw invalidArgument('change', 'a function', change)
    const { clock } = this.#system
    const endsAt = clock.monotonic() + deadlineMs
    const terms = { marks: this.#updates, clock, keys: [checkedKey(key)], endsAt, deadlineMs }
    let updated: (Written & ValueAnswer<T>) | undefined
    await inTurn(terms, async () => {
      while (!updated) {
        const [expected, given] = await this.#twice<T>(key, endsAt)
        const value = answeredAtOnce(change(given), 'change')
        const leftMs = leftUntil(clock, endsAt)
        const compared = await this.compareAndSet(key, expected, value, {
          ...own,
          deadlineMs: leftMs,
        })
        const { swapped, current: _, ...written } = compared
        if (swapped) updated = { ...written, value }
      }
    })
    return updated as Written & ValueAnswer<T>
  }

  /**
   * The present value, and once more: `change` may keep or alter what it is given. A shard that
   * recovers here is waited for until `endsAt`, as every write waits.
   */
  async #twice<T>(
    key: string,
    endsAt: number,
  ): Promise<readonly [expected: unknown, given: T | undefined]> {
    const shard = this.#keys.of(key)
    if (shard.phase.kind === 'recovering' && !wayToRead(shard))
      await shard.reopened(shard.opened, leftUntil(this.#system.clock, endsAt))
    const way = wayToRead(shard)
    if (!way) return [this.get(key), this.get<T>(key)]
    const stored = await way.load(shard.index, key)
    return stored ? [decodeValue(stored), decodeValue(stored) as T] : [undefined, undefined]
  }

  /**
   * The values whose keys begin with `prefix`, each parsed by a schema of Standard Schema where it is written.
   * @throws KeelsonError `INVALID_ARGUMENT`
   */
  typed<In, Out>(prefix: string, schema: StandardSchema<In, Out>): TypedStore<In, Out> {
    return new TypedStore(this, prefix, schema)
  }

  /** Removes the key. Answers whether it had a value. @throws as every write */
  delete(key: string, options: OwnedWriteOptions = noOptions): Promise<Written & ExistedAnswer> {
    return this.#writing.one('plain', options, (own) => commands.remove(key, own))
  }

  /**
   * Puts several values, at most 10,000, atomically within each shard but not across shards.
   * `positions[i]` is the position of entry i. Of a repeated key the last value counts. @throws as
   * every write; with several shards `PARTIAL`, with the outcome of each in `details.outcomes`
   */
  async putMany(entries: commands.Pairs, options: PutOptions = noOptions): Promise<WrittenMany> {
    const { own, checked } = this.#writing.read('put', options)
    const command = commands.putMany(entries, own)
    const parts = this.#keys.grouped(command.entries, ({ key }) => key)
    const written = await this.#writing.spread(
      parts.map(([shard, own]) => [shard, { ...command, entries: own }] as const),
      checked,
    )
    const positions = new Map(parts.map(([shard], at) => [shard, written[at]?.position]))
    return this.#writing.leveled(
      command.entries.flatMap(({ key }) => positions.get(this.#keys.of(key)) ?? []),
    )
  }

  /**
   * Removes several keys, at most 10,000, atomically within each shard but not across. Answers how
   * many had a value. @throws as `putMany`
   */
  async deleteMany(
    keys: Iterable<string>,
    options: OwnedWriteOptions = noOptions,
  ): Promise<WrittenMany & DeletedAnswer> {
    const { own, checked } = this.#writing.read('plain', options)
    const command = commands.deleteMany(keys, own)
    const parts = this.#keys.grouped(command.keys, (key) => key)
    const written = await this.#writing.spread(
      parts.map(([shard, own]) => [shard, { ...command, keys: own }] as const),
      checked,
    )
    return {
      ...this.#writing.leveled(written.map(({ position }) => position)),
      deleted: written.reduce((sum, { deleted }) => sum + deleted, 0),
    }
  }

  /**
   * Removes all keys, or those of a namespace. Locks stay. Fewer than 500 keys of a shard
   * go atomically; more go in pieces, so that the event loop is free, while later writes of the shard
   * wait for the end. Answers how many had a value.
   * @throws as `putMany`; `details.removed`: so many keys of the shard are gone at
   * least
   */
  async clear(options: ClearOptions = noOptions): Promise<WrittenMany & RemovedAnswer> {
    const { own, checked } = this.#writing.read('clear', options)
    const command = commands.clear(own)
    const written = await this.#writing.cleared(command, checked)
    return {
      ...this.#writing.leveled(written.map(({ position }) => position)),
      removed: written.reduce((sum, { removed }) => sum + removed, 0),
    }
  }

  /**
   * Watches the durable changes of keys from now on, or from a position of the log that is still
   * there. Changes of one shard come in the order of the log; those of several shards have no order
   * among them. A slow reader holds up no writer: it reads the log instead, and then gets present
   * values. `ready` resolves when its positions are fixed, also of the shards of other members. Leave the
   * loop, or call `return`, to end it; close ends it with `CLOSED`.
   * @throws KeelsonError `INVALID_ARGUMENT`; `BAD_CURSOR` for a position that the log does not have,
   * at once or at a later `next`; `SHARD_DOWN`, `CLOSED`; the reason of a `signal` that has aborted
   */
  watch(options: WatchOptions = noOptions): StoreWatch {
    this.#writing.read('plain', noOptions)
    return new StoreWatch(this.#keys.shards, options, (key) => this.load(key))
  }

  /**
   * Resolves when every write that was called before is decided: applied, refused, or its shard
   * went down. Reads then show what became of a write that ended in `UNKNOWN_OUTCOME`. Writes that
   * wait for a window leave at once; a stream counts from its end. It has no deadline: a disk that
   * hangs, or a pause of writes, holds it up.
   * @throws KeelsonError `CLOSED`
   */
  settled(): Promise<void> {
    return this.#writing.settled()
  }

  /**
   * Begins a batch: commands that take effect as one unit, in one shard, at its `commit`. They have
   * at most 10,000 keys and fields.
   */
  batch(): Batch {
    return new Batch((take, options) => this.#writing.batch(take, options))
  }

  /**
   * Locks all keys or none for `leaseMs`, counted from the log's stamp. During that time only
   * writes with this `owner` change them. The owner's own locks are renewed. Reads never wait for
   * locks.
   * @throws as every write; `LOCKED` with `details.owner` and `details.until`
   */
  lock(keys: Iterable<string>, options: LockOptions): Promise<Written & UntilAnswer> {
    return this.#writing.one('lock', options, (own) => commands.lock('lock', keys, own))
  }

  /**
   * Renews the locks of all keys or none. @throws as `lock`; `CONFLICT` if one of them is not
   * locked
   */
  extend(keys: Iterable<string>, options: LockOptions): Promise<Written & UntilAnswer> {
    return this.#writing.one('lock', options, (own) => commands.lock('extend', keys, own))
  }

  /** Releases the owner's locks among the keys. Answers how many there were. @throws as `lock` */
  unlock(keys: Iterable<string>, options: UnlockOptions): Promise<Written & ReleasedAnswer> {
    return this.#writing.one('unlock', options, (own) => commands.unlock(keys, own))
  }

  /**
   * A put by the owner of the key's lock, or to an unlocked key. @throws as every write; `LOCKED`
   */
  async lockedPut(key: string, value: unknown, options: LockedPutOptions): Promise<Written> {
    const { own, checked } = this.#writing.read<PutOptions>('put', options ?? noOptions)
    if (own.owner === undefined) throw invalidArgument('owner', 'given', undefined)
    return this.#writing.put(commands.put(key, value, own), checked)
  }

  /**
   * Puts a field of a compound key; creates the key if absent. @throws as every write; `WRONG_TYPE`
   * on a plain value
   */
  putField(
    key: string,
    field: string,
    value: unknown,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & CreatedAnswer> {
    return this.#writing.one('plain', options, (own) => commands.putField(key, field, value, own))
  }

  /**
   * Puts several fields of a compound key atomically. `created[i]`: field i is new. @throws as
   * `putField`
   */
  putFields(
    key: string,
    fields: commands.Pairs,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & CreatedManyAnswer> {
    return this.#writing.one('plain', options, (own) => commands.putFields(key, fields, own))
  }

  /** Removes a field; the key is removed with its last field. @throws as `putField` */
  deleteField(
    key: string,
    field: string,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & ExistedAnswer> {
    return this.#writing.one('plain', options, (own) => commands.deleteField(key, field, own))
  }

  /** Sets the expiry to `ttlMs`, counted from the log's stamp. @throws as every write */
  expire(
    key: string,
    ttlMs: number,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & ExistedAnswer> {
    return this.#writing.one('plain', options, (own) => commands.expire(key, ttlMs, own))
  }

  /** Removes the expiry. @throws as every write */
  persist(key: string, options: OwnedWriteOptions = noOptions): Promise<Written & ExistedAnswer> {
    return this.#writing.one('plain', options, (own) => commands.persist(key, own))
  }
}
