/**
 * `app.control`: requests of the holder of an instance to its shards. The `All` forms run on every
 * shard side by side, and resolve to the outcome of each shard. They reject only if no shard could
 * be asked. Once the instance is closing, every request is `CLOSED`.
 */

import { invalidArgument, isGone, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { Ref, System } from '../../runtime/index.ts'
import type { NamedSnapshot } from '../../storage/index.ts'
import type { SweepReport as BlobSweep } from '../blobs/blob-sweep.ts'
import type { Access } from '../core/access.ts'
import type { ShardCore } from '../core/shard-core.ts'
import * as Control from './control.ts'
import {
  type ControlOptions,
  type PlainRequest,
  plainRequest,
  type ResumeOptions,
  resumeRequest,
  type Scope,
  type SuspendOptions,
  suspendRequest,
} from './control-request.ts'

export type { ControlOptions, ResumeOptions, SuspendOptions } from './control-request.ts'

/** The parts from which a handle is made. */
type ControlParts = {
  readonly system: System
  readonly instance: string
  readonly shards: readonly ShardCore[]
  readonly deadlineMs: number
  readonly access: Access
  /** Has the suspensions that name no owner; `undefined`: the holder of the instance has them. */
  readonly owner?: Ref | undefined
}

/** Control of one instance's shards. */
export class ControlHandle {
  readonly #parts: ControlParts
  readonly #control: Ref<Control.Messages>
  readonly #indexes: readonly number[]

  /** @internal */
  constructor(parts: ControlParts) {
    this.#parts = { owner: undefined, ...parts }
    this.#control = parts.system.to(Control.name(parts.instance))
    this.#indexes = parts.shards.map(({ index }) => index)
  }

  /** @internal The same handle, but suspensions that name no owner belong to `owner`. */
  static ownedBy(handle: ControlHandle, owner: Ref): ControlHandle {
    return new ControlHandle({ ...handle.#parts, owner })
  }

  /**
   * Suspends one shard's projection.
   * @throws KeelsonError with the reason; then the projection is not suspended
   */
  async suspend(shard: number, options: SuspendOptions = noOptions): Promise<{ token: string }> {
    const { token, outcomes } = await this.#suspend([shard], options)
    only(outcomes)
    return { token }
  }

  /** Suspends every shard's projection. */
  suspendAll(options: SuspendOptions = noOptions): Promise<Control.Outcomes & { token: string }> {
    return this.#suspend(this.#indexes, options)
  }

  /**
   * Ends suspensions of one shard: that of `token`; with `force` all of them; with neither, those
   * without an owner, and at an attached prompt its own.
   */
  async resume(shard: number, options: ResumeOptions = noOptions): Promise<void> {
    only((await this.#resume([shard], options)).outcomes)
  }

  /** Ends suspensions on every shard. */
  resumeAll(options: ResumeOptions = noOptions): Promise<Control.Outcomes> {
    return this.#resume(this.#indexes, options)
  }

  /**
   * Resolves when the shard's projection shows every frame applied before the call.
   * @throws KeelsonError `DEGRADED`, `TIMEOUT`, `DISCARDED`, `SHARD_DOWN`
   */
  async flush(shard: number, options: ControlOptions = noOptions): Promise<void> {
    only((await this.#request('flush', [shard], options)).outcomes)
  }

  /** Flushes every shard's projection. */
  async flushAll(options: ControlOptions = noOptions): Promise<Control.Outcomes> {
    return this.#request('flush', this.#indexes, options)
  }

  /**
   * Drops the frames that wait for the shard's projection; it reads them from the log again.
   * Waiting flushes fail with `DISCARDED`.
   */
  async discard(shard: number, options: ControlOptions = noOptions): Promise<void> {
    only((await this.#request('discard', [shard], options)).outcomes)
  }

  /** Discards on every shard. */
  async discardAll(options: ControlOptions = noOptions): Promise<Control.Outcomes> {
    return this.#request('discard', this.#indexes, options)
  }

  /**
   * Frees the blobs of a shard that have no reference and whose grace has passed, without waiting
   * for `blobs.sweepMs`. A sweep continues after its caller's `TIMEOUT`.
   * @throws KeelsonError if the sweep failed; no blob in use was touched
   */
  async sweep(shard: number, options: ControlOptions = noOptions): Promise<BlobSweep> {
    const { outcomes } = await this.#request('sweep', [shard], options)
    only(outcomes)
    const report = outcomes[0]?.report
    if (!report) throw new Error('the sweep has no report')
    return report
  }

  /** Sweeps the blobs of every shard. */
  async sweepAll(
    options: ControlOptions = noOptions,
  ): Promise<Control.Outcomes<Control.SweepOutcome>> {
    return this.#request('sweep', this.#indexes, options)
  }

  /**
   * Makes a snapshot of a shard now, which has everything applied before the call, and gives the log
   * before it back. It continues after its caller's `TIMEOUT`.
   * @throws KeelsonError `DEGRADED` if the projection takes no changes; `NO_SPACE`, `BUSY`,
   * `CORRUPT`, `SHARD_DOWN`: the snapshots from before stay
   */
  async snapshot(shard: number, options: ControlOptions = noOptions): Promise<NamedSnapshot> {
    const { outcomes } = await this.#request('snapshot', [shard], options)
    only(outcomes)
    const made = outcomes[0]?.snapshot
    if (!made) throw new Error('the snapshot has no facts')
    return made
  }

  /** Makes a snapshot of every shard, one after another. `timeoutMs` is for each of them. */
  async snapshotAll(
    options: ControlOptions = noOptions,
  ): Promise<Control.Outcomes<Control.SnapshotOutcome>> {
    return this.#request('snapshot', this.#indexes, options)
  }

  /**
   * Brings back whatever of a shard is down, or the one part that is named: the shard itself, its
   * followers after they gave up, its replication. Each replica that is waited for, fenced or halted
   * is tried again at once; `health()` says what came of it. A part that runs is left alone.
   * @throws KeelsonError `SHARD_DOWN` with the reason as its cause if it is down again;
   * `INVALID_ARGUMENT` for `replication` where nothing replicates
   */
  async reopen(
    shard: number,
    part?: Control.ReopenPart,
    options: ControlOptions = noOptions,
  ): Promise<Control.Reopened> {
    if (part !== undefined && !Control.reopenParts.includes(part))
      throw invalidArgument('part', "'shard', 'followers' or 'replication'", part)
    const { timeoutMs } = this.#plain([shard], options)
    return this.#ask(Control.reopen(this.#control, { shard, part }, timeoutMs))
  }

  /**
   * Takes the machine's clock as right after it was set: the time of every shard follows it again.
   * `leaptMs` of an outcome is by how many ms it leapt forward; everything that ends within that
   * time has ended. Time never goes back: it goes at half speed until a clock that is behind has
   * caught up.
   */
  async acceptClock(
    options: ControlOptions = noOptions,
  ): Promise<Control.Outcomes<Control.ClockOutcome>> {
    return this.#request('acceptClock', this.#indexes, options)
  }

  async #suspend(shards: readonly number[], options: SuspendOptions) {
    return this.#ask(Control.suspend(this.#control, suspendRequest(this.#scope(shards), options)))
  }

  async #resume(shards: readonly number[], options: ResumeOptions): Promise<Control.Outcomes> {
    return this.#ask(Control.resume(this.#control, resumeRequest(this.#scope(shards), options)))
  }

  async #request<K extends Control.PlainKind>(
    kind: K,
    shards: readonly number[],
    options: ControlOptions,
  ) {
    return this.#ask(Control.request(this.#control, kind, this.#plain(shards, options)))
  }

  /** A closed instance has no control process: the error is `CLOSED` then. */
  async #ask<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (error) {
      const isClosed = this.#parts.shards.some(({ phase }) => phase.kind === 'closed')
      if (isClosed && isGone(error))
        throw new KeelsonError('CLOSED', 'the instance is closed', { cause: error })
      throw error
    }
  }

  #plain(shards: readonly number[], options: ControlOptions): PlainRequest {
    return plainRequest(this.#scope(shards), options)
  }

  #scope(shards: readonly number[]): Scope {
    const { access, deadlineMs, owner } = this.#parts
    access.check()
    for (const shard of shards)
      if (!this.#indexes.includes(shard))
        throw invalidArgument('shard', `0 to ${this.#indexes.length - 1}`, shard)
    return { shards, deadlineMs, owner }
  }
}

const only = ([outcome]: readonly Control.Outcome[]): void => {
  if (outcome?.error) throw outcome.error
}
