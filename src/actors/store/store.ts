/**
 * The store: keys and values over all shards. A write checks its arguments and encodes its values once, picks the shard and
 * goes its way; it resolves when its frame is durable and visible. The reads are `StoreReader`'s.
 */
import type { System } from '../../runtime/index.ts'
import { invalidArgument } from '../shard/argument-check.ts'
import { KeyPlacement } from '../shard/key-placement.ts'
import type { Shard } from '../shard/shard.ts'
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
import { noOptions } from '../writing/write-options.ts'
import { Batch } from './batch.ts'
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
  Written,
  WrittenMany,
} from './store-answers.ts'
import * as commands from './store-commands.ts'
import { StoreReader } from './store-reader.ts'
import { promised, StoreWriting } from './store-writing.ts'
import type { ByteSource } from './stream-source.ts'
import type { StreamedIn } from './value-streams.ts'

/**
 * Keys and values, in one instance. Every write rejects with a `KeelsonError`:
 * `INVALID_ARGUMENT` (`details.path` says where), `TOO_LARGE`, `CROSS_SHARD`: refused, nothing happened.
 * `WRONG_TYPE`, `LOCKED`, `CONFLICT`: decided by the state, nothing changed. `BUSY`, `NO_SPACE`, `SHARD_DOWN`, `CLOSED`: nothing
 * was written. `NOT_SUBMITTED`: never reached the disk. `UNKNOWN_OUTCOME`: it may be there, read before repeating.
 * `TIMEOUT`, `DEGRADED` with `ack` `projected`: the write stands at `details.position`.
 */
export class Store extends StoreReader {
  readonly #keys: KeyPlacement
  readonly #writing: StoreWriting

  constructor(system: System, shards: readonly Shard[]) {
    const keys = new KeyPlacement(shards)
    super(system, keys)
    this.#keys = keys
    this.#writing = new StoreWriting(system, keys)
  }

  /** Replaces what the key holds: kind, value and expiry. Resolves once the change is synced and visible. @throws as every write */
  put(key: string, value: unknown, options: PutOptions = noOptions): Promise<Written> {
    return promised(() => {
      const checked = this.#writing.checked('put', options)
      return this.#writing.put(commands.put(key, value, options), checked)
    })
  }

  /**
   * Replaces what the key holds with the bytes of a stream, however many: in constant memory, and no faster than the disk takes
   * them. The key has what it had until the last byte is durable. Its place among other writes to the key is that of its end.
   * @throws what the stream throws, with nothing changed; `INVALID_ARGUMENT` for another length than `size`; as every write
   */
  async putStream(
    key: string,
    readable: ByteSource,
    options: StreamOptions = noOptions,
  ): Promise<Written & StreamedIn> {
    const checked = this.#writing.checked('stream', options)
    return this.#writing.stream(commands.streamTerms(key, readable, options), readable, checked)
  }

  /**
   * Writes when the condition holds: `nx` only when the key is absent, `xx` only when it is present. `get` answers what was
   * there, written or not; `keepTtl` leaves the expiry. @throws as every write
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
    return this.#writing.one('set', options, () => commands.set(key, value, options))
  }

  /** Replaces what the key holds, without expiry, and answers what was there. @throws as every write */
  getSet(
    key: string,
    value: unknown,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & PreviousAnswer> {
    return this.#writing.one('plain', options, () => commands.getSet(key, value, options))
  }

  /**
   * Puts text or bytes behind those that are there; nothing there counts as empty. Text behind text stays text, anything else
   * makes bytes; the expiry stays. @throws as every write; `WRONG_TYPE` on a structured or compound value
   */
  append(
    key: string,
    suffix: string | Uint8Array,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & LengthAnswer> {
    return this.#writing.one('plain', options, () => commands.append(key, suffix, options))
  }

  /**
   * Overwrites bytes from `offset` on; the value grows as needed, and a gap is filled with zero bytes. Kind and expiry as with
   * `append`. @throws as every write; `WRONG_TYPE` on a structured or compound value
   */
  setRange(
    key: string,
    offset: number,
    patch: string | Uint8Array,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & LengthAnswer> {
    return this.#writing.one('plain', options, () => commands.setRange(key, offset, patch, options))
  }

  /**
   * Writes `value` when what is there is deeply equal to `expected`: map order ignored, kinds told apart; `undefined` means
   * absent. Answers what was there when it is not. Without an expiry of its own the one that is there stays. @throws as every write
   */
  compareAndSet(
    key: string,
    expected: unknown,
    value: unknown,
    options: PutOptions = noOptions,
  ): Promise<Written & CompareAnswer> {
    return this.#writing.one('put', options, () =>
      commands.compareAndSet(key, expected, value, options),
    )
  }

  /** Removes the key, and says whether there was a value. @throws as every write */
  delete(key: string, options: OwnedWriteOptions = noOptions): Promise<Written & ExistedAnswer> {
    return this.#writing.one('plain', options, () => commands.remove(key, options))
  }

  /**
   * Puts several values, atomically within each shard and not across. `positions[i]` is where entry i stands. A key that comes
   * twice has its last value. @throws as every write; with several shards `PARTIAL`, `details.outcomes` says what became of each
   */
  async putMany(entries: commands.Pairs, options: PutOptions = noOptions): Promise<WrittenMany> {
    const checked = this.#writing.checked('put', options)
    const command = commands.putMany(entries, options)
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

  /** Removes several keys, atomically within each shard and not across; says how many had a value. @throws as `putMany` */
  async deleteMany(
    keys: Iterable<string>,
    options: OwnedWriteOptions = noOptions,
  ): Promise<WrittenMany & DeletedAnswer> {
    const checked = this.#writing.checked('plain', options)
    const command = commands.deleteMany(keys, options)
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

  /** Removes every key, or those of a namespace, atomically within each shard and not across. Locks stay. @throws as `putMany` */
  async clear(options: ClearOptions = noOptions): Promise<WrittenMany & RemovedAnswer> {
    const checked = this.#writing.checked('clear', options)
    const command = commands.clear(options)
    const written = await this.#writing.spread(
      this.#keys.shards.map((shard) => [shard, command] as const),
      checked,
    )
    return {
      ...this.#writing.leveled(written.map(({ position }) => position)),
      removed: written.reduce((sum, { removed }) => sum + removed, 0),
    }
  }

  /** Begins a batch: commands that take effect as one unit, in one shard. Nothing moves until its `commit`. */
  batch(): Batch {
    return new Batch((built, options) => this.#writing.batch(built, options))
  }

  /**
   * Locks all keys or none, for `leaseMs` from the log's stamp on: until then only writes that name `owner` change them. A
   * lock of one's own is renewed. Reads are never held up. @throws as every write; `LOCKED` with `details.owner` and `details.until`
   */
  lock(keys: Iterable<string>, options: LockOptions): Promise<Written & UntilAnswer> {
    return this.#writing.one('lock', options, () => commands.lock('lock', keys, options))
  }

  /** Renews the locks of all keys, or of none. @throws as `lock`; `CONFLICT` when one of them is not locked any more */
  extend(keys: Iterable<string>, options: LockOptions): Promise<Written & UntilAnswer> {
    return this.#writing.one('lock', options, () => commands.lock('extend', keys, options))
  }

  /** Gives up the owner's locks among the keys, and says how many it had. @throws as `lock` */
  unlock(keys: Iterable<string>, options: UnlockOptions): Promise<Written & ReleasedAnswer> {
    return this.#writing.one('unlock', options, () => commands.unlock(keys, options))
  }

  /** A put by the owner of the key's lock, or of a key that nobody has locked. @throws as every write; `LOCKED` */
  async lockedPut(key: string, value: unknown, options: LockedPutOptions): Promise<Written> {
    if (options?.owner === undefined) throw invalidArgument('owner', 'given', undefined)
    return this.put(key, value, options)
  }

  /** Puts a field of a compound key, which it makes where there is none. @throws as every write; `WRONG_TYPE` on a plain value */
  putField(
    key: string,
    field: string,
    value: unknown,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & CreatedAnswer> {
    return this.#writing.one('plain', options, () => commands.putField(key, field, value, options))
  }

  /** Puts several fields of a compound key as one; `created[i]` says whether field i is new. @throws as `putField` */
  putFields(
    key: string,
    fields: commands.Pairs,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & CreatedManyAnswer> {
    return this.#writing.one('plain', options, () => commands.putFields(key, fields, options))
  }

  /** Removes a field; with the last one the key goes. @throws as `putField` */
  deleteField(
    key: string,
    field: string,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & ExistedAnswer> {
    return this.#writing.one('plain', options, () => commands.deleteField(key, field, options))
  }

  /** Lets the value end after `ttlMs`, counted from the log's stamp. @throws as every write */
  expire(
    key: string,
    ttlMs: number,
    options: OwnedWriteOptions = noOptions,
  ): Promise<Written & ExistedAnswer> {
    return this.#writing.one('plain', options, () => commands.expire(key, ttlMs, options))
  }

  /** Takes the expiry away. @throws as every write */
  persist(key: string, options: OwnedWriteOptions = noOptions): Promise<Written & ExistedAnswer> {
    return this.#writing.one('plain', options, () => commands.persist(key, options))
  }
}
