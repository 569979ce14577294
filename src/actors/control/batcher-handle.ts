/** `app.batcher`: reads and changes the windows of an instance while it runs. */
import { invalidArgument } from '../../errors.ts'
import type { From, System } from '../../runtime/index.ts'
import type { Command, PutEntry } from '../../storage/index.ts'
import type { Access } from '../shard/access.ts'
import { checkOptionNames } from '../shard/argument-check.ts'
import type { Shard } from '../shard/shard.ts'
import { shardAt } from '../shard/shard-outcomes.ts'
import type { WindowChange, WriteWindows } from '../shard/write-windows.ts'
import * as Batcher from '../writing/batcher.ts'
import type { Submitted } from '../writing/write-path.ts'
import { flushWindows } from './write-pause.ts'

/** The windows of an instance, for all its shards. They begin as its options say. */
export class BatcherHandle {
  readonly #system: System
  readonly #shards: readonly Shard[]
  readonly #windows: WriteWindows
  readonly #deadlineMs: number
  readonly #access: Access

  constructor(
    system: System,
    shards: readonly Shard[],
    windows: WriteWindows,
    deadlineMs: number,
    access: Access,
  ) {
    this.#system = system
    this.#shards = shards
    this.#windows = windows
    this.#deadlineMs = deadlineMs
    this.#access = access
  }

  /** The window of each namespace that has one, in ms. @throws KeelsonError `CLOSED` */
  windows(): Readonly<Record<string, number>> {
    this.#access.check()
    return this.#windows.all()
  }

  /**
   * The last 100 changes of windows: namespace, ms, author, and time in ms since 1970.
   * @throws KeelsonError `CLOSED`
   */
  changes(): readonly WindowChange[] {
    this.#access.check()
    return this.#windows.changes
  }

  /**
   * Lets the writes of a namespace wait up to `ms` for each other, 1 to 10,000; 0 ends that. It
   * counts from the next write on. `by` names the author in `changes`, `'app'` by default.
   * @throws KeelsonError `INVALID_ARGUMENT`, `CLOSED`
   */
  setWindow(namespace: string, ms: number, options: { readonly by?: string } = {}): void {
    this.#access.check()
    checkOptionNames(options, ['by'])
    const { by = 'app' } = options
    if (typeof by !== 'string' || by === '' || by.length > byMax || !by.isWellFormed())
      throw invalidArgument('by', `well-formed text of 1 to ${byMax} characters`, by)
    this.#windows.set(namespace, ms, by, this.#system.clock.now())
  }

  /**
   * Sends the writes that wait for a window. Resolves when they and all writes under way have
   * settled; later writes do not delay it.
   * @throws KeelsonError `TIMEOUT` after `timeoutMs`, the instance's `deadlineMs` by default;
   * `CLOSED`
   */
  async flush(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#access.check()
    checkOptionNames(options, ['timeoutMs'])
    const { timeoutMs = this.#deadlineMs } = options
    if (typeof timeoutMs !== 'number' || !(timeoutMs > 0))
      throw invalidArgument('timeoutMs', 'a number above 0', timeoutMs)
    await Promise.all(this.#shards.map((shard) => flushWindows(this.#system, shard, timeoutMs)))
  }

  /**
   * Writes one command to the shard that its keys belong to. `app.store` does the same for values.
   * @throws KeelsonError `INVALID_ARGUMENT` with `details.path`, `CROSS_SHARD`: nothing is left
   * behind; as `app.store` does
   */
  async write(
    shard: number,
    command: Command,
    terms?: Batcher.BatchTerms,
  ): Promise<Batcher.CommandWritten> {
    return Batcher.write(this.#system, this.#shard(shard), command, terms)
  }

  /**
   * Writes commands in one frame. Each one takes effect or is refused by itself.
   * @throws as `write` does
   */
  async writeBatch(
    shard: number,
    commands: readonly Command[],
    terms?: Batcher.BatchTerms,
  ): Promise<Submitted> {
    return Batcher.writeBatch(this.#system, this.#shard(shard), commands, terms)
  }

  /** Puts all entries or none. @throws as `write` does */
  async writePutBatch(
    shard: number,
    entries: readonly PutEntry[],
    terms?: Batcher.BatchTerms,
  ): Promise<Batcher.CommandWritten> {
    return Batcher.writePutBatch(this.#system, this.#shard(shard), entries, terms)
  }

  /** Deletes all keys or none. @throws as `write` does */
  async writeDeleteBatch(
    shard: number,
    keys: readonly string[],
    terms?: Batcher.BatchTerms,
  ): Promise<Batcher.CommandWritten> {
    return Batcher.writeDeleteBatch(this.#system, this.#shard(shard), keys, terms)
  }

  /** `writePutBatch` for a kept `from`, which is answered or failed when the write has settled. */
  writePutBatchAsync(
    shard: number,
    entries: readonly PutEntry[],
    from: From<Batcher.CommandWritten>,
    terms?: Batcher.BatchTerms,
  ): Batcher.AsyncOutcome<Batcher.CommandWritten> {
    return Batcher.writePutBatchAsync(this.#system, this.#shard(shard), entries, from, terms)
  }

  /** `writeDeleteBatch` for a kept `from`. */
  writeDeleteBatchAsync(
    shard: number,
    keys: readonly string[],
    from: From<Batcher.CommandWritten>,
    terms?: Batcher.BatchTerms,
  ): Batcher.AsyncOutcome<Batcher.CommandWritten> {
    return Batcher.writeDeleteBatchAsync(this.#system, this.#shard(shard), keys, from, terms)
  }

  #shard(index: number): Shard {
    this.#access.check()
    return shardAt(this.#shards, index)
  }
}

/** The longest name of an author. */
const byMax = 256
