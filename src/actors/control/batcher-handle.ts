/** `app.batcher`: reads and changes the windows of an instance while it runs. */

import { invalidArgument, isGone, reasonText } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { type From, isRef, type Ref, type System } from '../../runtime/index.ts'
import type { Command, PutEntry } from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import { ownOptions } from '../core/argument-check.ts'
import { askedAtOwner, checkHere } from '../core/at-owner.ts'
import { isCount } from '../core/payload-check.ts'
import { shardAt } from '../core/shard-core.ts'
import { bytesCounted } from '../core/write-weight.ts'
import type { WindowChange, WriteWindows } from '../core/write-windows.ts'
import * as Batcher from '../writing/batcher.ts'
import * as CommandWrites from '../writing/command-writes.ts'
import type { PreparedCommand } from '../writing/prepared-command.ts'
import { checkWrite } from '../writing/write-options.ts'
import type { Submitted } from '../writing/write-path.ts'
import { timeoutOf } from './control-request.ts'
import type { ControlShard } from './control-shard.ts'
import { flushWindows } from './write-pause.ts'

/** The terms of a token of the gate. */
export type SyncTokenOptions = {
  /** The keys that the write will have; 1 by default. */
  readonly commands?: number
  /** The bytes that its frame will have; 256 for each command by default, and at least. */
  readonly bytes?: number
  /** The process whose death gives the token back. */
  readonly owner?: Ref
  /** How long to wait at the gate; the instance's `deadlineMs` by default. */
  readonly deadlineMs?: number
  /** `wait` by default. */
  readonly whenFull?: 'wait' | 'refuse'
}

/** The windows of an instance, for all its shards. They begin as its options say. */
export class BatcherHandle {
  readonly #system: System
  readonly #shards: readonly ControlShard[]
  readonly #windows: WriteWindows
  readonly #deadlineMs: number
  readonly #access: Access

  /** @internal */
  constructor(
    system: System,
    shards: readonly ControlShard[],
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
   * counts from the next write on. `by` names the author in `changes`, `'app'` by default. Every
   * member that runs now does the same soon; one that starts later begins as its options say.
   * @throws KeelsonError `INVALID_ARGUMENT`, `CLOSED`
   */
  setWindow(namespace: string, ms: number, options: { readonly by?: string } = noOptions): void {
    this.#access.check()
    const { by = 'app' } = ownOptions(options, ['by'])
    if (typeof by !== 'string' || by === '' || by.length > byMax || !by.isWellFormed())
      throw invalidArgument('by', `well-formed text of 1 to ${byMax} characters`, by)
    this.#windows.set(namespace, ms, by, this.#system.clock.now())
    this.#tellMembers([namespace, ms, by])
  }

  #tellMembers(change: readonly unknown[]): void {
    const way = this.#shards[0]?.way
    for (const member of way?.others ?? [])
      way?.askMember(member, 'batcher.setWindow', change, this.#deadlineMs).catch((reason) =>
        this.#system.logger.warn(`a window is not set at ${member}: ${reasonText(reason)}`, {
          reason,
        }),
      )
  }

  /**
   * Sends the writes that wait for a window, of one shard or of all. Resolves when they and all
   * pending writes have settled; later writes do not delay it.
   * @throws KeelsonError `TIMEOUT` after `timeoutMs`, the instance's `deadlineMs` by default;
   * `CLOSED`
   */
  async flush(
    options: { readonly shard?: number; readonly timeoutMs?: number } = noOptions,
  ): Promise<void> {
    const { shard: index, ...terms } = ownOptions(options, ['shard', 'timeoutMs'])
    const timeoutMs = this.#timeoutMs(terms)
    const shards = index === undefined ? this.#shards : [this.#shard(index)]
    const flushed = shards.map((shard) =>
      askedAtOwner(shard, 'batcher.flush', [{ timeoutMs }], timeoutMs, () =>
        flushWindows(this.#system, shard, timeoutMs),
      ),
    )
    await Promise.all(flushed)
  }

  /**
   * `flush` of one shard, and the end of its batcher. The supervisor starts another one, and with
   * it the actors after it: it counts as a restart. The windows stay. A shard without a batcher is
   * flushed.
   * @throws KeelsonError as `flush` does
   */
  async stop(shard: number, options: { readonly timeoutMs?: number } = noOptions): Promise<void> {
    const here = this.#shard(shard)
    const timeoutMs = this.#timeoutMs(options)
    await askedAtOwner(here, 'batcher.stop', [{ timeoutMs }], timeoutMs, () =>
      this.#stop(here, timeoutMs),
    )
  }

  async #stop(shard: ControlShard, timeoutMs: number): Promise<void> {
    const batcher = this.#system.to(Batcher.name(shard.parts.instance, shard.index))
    try {
      await Batcher.stop(batcher, timeoutMs)
    } catch (error) {
      if (!isGone(error)) throw error
      await flushWindows(this.#system, shard, timeoutMs)
    }
  }

  /**
   * Enters the gate of a shard for one write to come, which is then `token` of its options: of
   * `writePutBatchAsync` or `writeDeleteBatchAsync`. `commands` counts its keys, 1 by default, and
   * `bytes` its frame, 256 for each command by default and at least. Give back with `leave` what no
   * write was given: until then a pause of writes waits for it. The death of `owner` gives it back.
   * @throws KeelsonError as writes do at the gate: `BUSY`, `NOT_SUBMITTED`, `SHARD_DOWN`, `CLOSED`;
   * `INVALID_ARGUMENT`
   */
  async syncToken(
    shard: number,
    options: SyncTokenOptions = noOptions,
  ): Promise<CommandWrites.SyncToken> {
    const { gate } = this.#here(shard, 'syncToken')
    const own = ownOptions(options, ['commands', 'bytes', 'owner', 'deadlineMs', 'whenFull'])
    const { commands = 1, bytes = 0, owner, ...atGate } = own
    if (!isCount(commands) || commands < 1)
      throw invalidArgument('commands', 'a whole number from 1', commands)
    if (!isCount(bytes)) throw invalidArgument('bytes', 'a whole number from 0', bytes)
    if (owner !== undefined && !isRef(owner)) throw invalidArgument('owner', 'a ref', owner)
    const terms = checkWrite(atGate, this.#deadlineMs, false)
    const entry = { ...terms, commands, bytes: bytesCounted(commands, bytes) }
    return new Promise((resolve, reject) => {
      const admitted = (): void => {
        const token = gate.token(entry)
        if (owner) token.transfer(owner)
        resolve(token)
      }
      gate.enter(entry, admitted, reject)
    })
  }

  /**
   * Writes one command to the shard that its keys belong to. `app.store` does the same for values.
   * @throws KeelsonError `INVALID_ARGUMENT` with `details.path`, `CROSS_SHARD`: nothing is written;
   * `ELSEWHERE`; as `app.store` does
   */
  async write(
    shard: number,
    command: Command | PreparedCommand,
    terms?: CommandWrites.BatchTerms,
  ): Promise<CommandWrites.CommandWritten> {
    return CommandWrites.write(this.#system, this.#here(shard, 'write'), command, terms)
  }

  /**
   * Writes commands in one frame. Each one takes effect or is refused by itself.
   * @throws as `write` does
   */
  async writeBatch(
    shard: number,
    commands: readonly (Command | PreparedCommand)[],
    terms?: CommandWrites.BatchTerms,
  ): Promise<Submitted> {
    return CommandWrites.writeBatch(this.#system, this.#here(shard, 'writeBatch'), commands, terms)
  }

  /** Puts all entries or none. @throws as `write` does */
  async writePutBatch(
    shard: number,
    entries: readonly PutEntry[],
    terms?: CommandWrites.BatchTerms,
  ): Promise<CommandWrites.CommandWritten> {
    return this.write(shard, { kind: 'putMany', entries }, terms)
  }

  /** Deletes all keys or none. @throws as `write` does */
  async writeDeleteBatch(
    shard: number,
    keys: readonly string[],
    terms?: CommandWrites.BatchTerms,
  ): Promise<CommandWrites.CommandWritten> {
    return this.write(shard, { kind: 'deleteMany', keys }, terms)
  }

  /**
   * `writePutBatch` for a kept `from`, which is answered or failed when the write has settled.
   * @throws KeelsonError `INVALID_ARGUMENT` for a wrong `from`, token or set of options, `ELSEWHERE`,
   * `CLOSED`: `from` and the token are as they were. Any other refusal is the answer of `from`
   */
  writePutBatchAsync(
    shard: number,
    entries: readonly PutEntry[],
    from: From<CommandWrites.CommandWritten>,
    terms?: CommandWrites.AsyncTerms,
  ): CommandWrites.AsyncOutcome<CommandWrites.CommandWritten> {
    const command = { kind: 'putMany', entries } as const
    return CommandWrites.writeAsync(this.#system, this.#here(shard, 'write'), command, from, terms)
  }

  /** `writeDeleteBatch` for a kept `from`. @throws as `writePutBatchAsync` */
  writeDeleteBatchAsync(
    shard: number,
    keys: readonly string[],
    from: From<CommandWrites.CommandWritten>,
    terms?: CommandWrites.AsyncTerms,
  ): CommandWrites.AsyncOutcome<CommandWrites.CommandWritten> {
    const command = { kind: 'deleteMany', keys } as const
    return CommandWrites.writeAsync(this.#system, this.#here(shard, 'write'), command, from, terms)
  }

  #timeoutMs(options: { readonly timeoutMs?: number }): number {
    this.#access.check()
    return timeoutOf(options, this.#deadlineMs)
  }

  /** @throws KeelsonError `ELSEWHERE` */
  #here(index: number, act: string): ControlShard {
    const shard = this.#shard(index)
    checkHere(shard, `batcher.${act}`)
    return shard
  }

  #shard(index: number): ControlShard {
    this.#access.check()
    return shardAt(this.#shards, index)
  }
}

/** The longest name of an author. */
const byMax = 256
