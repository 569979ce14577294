/**
 * The facts about a shard's projection across the incarnations of its writer: the mode of the writer, the
 * failures of commits, and why it has no writer. `health()` and callers read it at once.
 */
import { backoffMs, type Clock } from '../../clock.ts'
import { KeelsonError, reasonText } from '../../errors.ts'
import type { ModeChange, ProjectionMode } from '../core/storage-events.ts'
import { modeAfter, type ProjectionEvent, projectionModes } from './projection-mode.ts'

/** The delay before the first retry, and the longest one, in ms. */
const retryPauses = { baseMs: 50, maxMs: 5_000, jitter: 0.5 }

/** The health of a projection and its writer. `failures`: the commits that failed so far. */
export type ProjectionHealth = {
  readonly mode: ProjectionMode
  /** Since when it has this mode, in ms since 1970. */
  readonly since: number
  /** Why it is or was degraded or halted; `undefined` when nothing is left of it. */
  readonly reason: string | undefined
  readonly failures: number
  /** The time of the last commit, in ms since 1970; `undefined` before the first. */
  readonly flushedAt: number | undefined
  /** How long the oldest applied frame has not been projected, at most, in ms; 0 without such a frame. */
  readonly behindMs: number
  /** The highest LSN that a caller waits or has waited for. */
  readonly requestedLsn: number
}

/** The projection of one shard. */
export class ShardProjection {
  /** Called for each row with a wrong checksum. The applier, which has it rebuilt, sets it. */
  onDamage: (evidence: unknown) => void = () => undefined
  /** Projections by users that were halted by this incarnation of the writer. */
  readonly givenUp = new Set<string>()
  readonly #shard: number
  readonly #clock: Clock
  #mode: ProjectionMode = 'starting'
  #since: number
  /** The failed commits since the last success, and since the shard was made. */
  #failuresInRow = 0
  #failures = 0
  /** Why commits fail, or why there are none. */
  #failure: KeelsonError | undefined
  /** The claim of a caller about the projection, until a reconcile has refuted it. */
  #mark: { readonly epoch: number; readonly error: KeelsonError } | undefined
  /** The requests for a reconcile, and those of them that a reconcile has answered. */
  #epoch = 0
  #reconciledEpoch = 0
  #flushedAt: number | undefined
  /** The time since when the projection is behind, and the applied LSN of a later moment. */
  #behind: { since: number; until: number; lsn: number } | undefined
  #requestedLsn = 0

  constructor(shard: number, clock: Clock) {
    this.#shard = shard
    this.#clock = clock
    this.#since = clock.now()
  }

  /** The mode of the writer. */
  get mode(): ProjectionMode {
    return this.#mode
  }

  /** Its present failures, as the log has them. */
  readonly spell = new Spell()

  /** Whether the projection takes changes now. */
  get takes(): boolean {
    return projectionModes[this.#mode].takes
  }

  /** The error for callers that would wait for the projection; `undefined` while they may. */
  get refusal(): KeelsonError | undefined {
    return projectionModes[this.#mode].answers ? undefined : this.trouble
  }

  /** Why the projection was or is degraded or halted; `undefined` when nothing is left of it. */
  get trouble(): KeelsonError | undefined {
    return this.#failure ?? this.#mark?.error
  }

  /** Whether it is marked, and no reconcile has refuted that. */
  get isMarked(): boolean {
    return this.#mark !== undefined
  }

  /** The failed commits since the last success. */
  get failuresInRow(): number {
    return this.#failuresInRow
  }

  /** How long the oldest applied frame has not been projected, at most, in ms. */
  get behindMs(): number {
    return this.#behind ? Math.ceil(this.#clock.monotonic() - this.#behind.since) : 0
  }

  /** For people and watchdogs. */
  get health(): ProjectionHealth {
    const reason = this.trouble && reasonText(this.trouble.cause)
    return {
      mode: this.#mode,
      since: this.#since,
      reason,
      failures: this.#failures,
      flushedAt: this.#flushedAt,
      behindMs: this.behindMs,
      requestedLsn: this.#requestedLsn,
    }
  }

  /** Records what happened. Returns the change of the mode, if there is one. */
  report(event: ProjectionEvent): ModeChange | undefined {
    const from = this.#mode
    // A writer that begins tries at once: callers wait for that.
    if (event === 'restarted') {
      this.#failure = undefined
      this.givenUp.clear()
    }
    this.#mode = modeAfter(from, event)
    if (this.#mode === 'halted') this.spell.over()
    if (this.#mode === from) return undefined
    this.#since = this.#clock.now()
    return { from, to: this.#mode }
  }

  /** Records a failed commit. Returns the error for callers: `DEGRADED` with the cause. */
  recordFlushFailure(cause: unknown): KeelsonError {
    this.#failures += 1
    this.#failuresInRow += 1
    this.#failure = this.#degraded('the projection takes no changes at the moment', cause)
    return this.#failure
  }

  /**
   * Whole ms until the next attempt: they double with each failure in a row, from 50 ms to 5 s. Up
   * to half of them is jitter, so that shards on one full disk do not try in step.
   */
  retryInMs(random: () => number): number {
    return Math.ceil(backoffMs(retryPauses, this.#failuresInRow, random()))
  }

  /** Records a successful commit. Returns whether it ended a failure. */
  flushed(): boolean {
    this.#flushedAt = this.#clock.now()
    return this.recovered()
  }

  /** Records that nothing is left that could fail. Returns whether that ended a failure. */
  recovered(): boolean {
    const wasFailing = this.#failure !== undefined
    this.#failuresInRow = 0
    this.#failure = undefined
    return wasFailing
  }

  /**
   * Records how far the projection is. The age is exact while the projection keeps up. While it never
   * does, frames count as old as the oldest one of the same round.
   */
  reached(appliedLsn: number, projectedLsn: number): void {
    const now = this.#clock.monotonic()
    if (projectedLsn >= appliedLsn) this.#behind = undefined
    else if (!this.#behind) this.#behind = { since: now, until: now, lsn: appliedLsn }
    else if (projectedLsn >= this.#behind.lsn)
      this.#behind = { since: this.#behind.until, until: now, lsn: appliedLsn }
  }

  /** Records that a caller wants the projection to show `lsn`. */
  requested(lsn: number): void {
    this.#requestedLsn = Math.max(this.#requestedLsn, lsn)
  }

  /**
   * Marks the projection as degraded: the caller knows that it may be wrong. Only a clean reconcile
   * that begins later ends it. Returns the epoch of the mark.
   */
  markMirrorDegraded(reason: unknown): number {
    this.#epoch++
    const error = this.#degraded('the projection is marked as degraded', reason)
    this.#mark = { epoch: this.#epoch, error }
    return this.#epoch
  }

  /** Asks for a reconcile. Many requests before it begins are one. */
  markProjectionDirty(): void {
    this.#epoch++
  }

  /** Whether a reconcile was asked for, and none that began since has ended well. */
  get isDirty(): boolean {
    return this.#epoch > this.#reconciledEpoch
  }

  /** The last request for a reconcile: one that begins now answers all up to it. */
  get epoch(): number {
    return this.#epoch
  }

  /** A reconcile of `epoch` found nothing wrong. It ends no mark that was made since. */
  reconciled(epoch: number): void {
    this.#reconciledEpoch = epoch
    if (this.#mark && this.#mark.epoch <= epoch) this.#mark = undefined
  }

  /** Records that the projection has no writer, and that no supervisor will change that. */
  giveUp(reason: unknown): ModeChange | undefined {
    const remedy = `control.reopen(${this.#shard}, 'followers') starts them again`
    this.#failure = this.#degraded(
      `the followers of shard ${this.#shard} have ended; ${remedy}`,
      reason,
    )
    return this.report('gaveUp')
  }

  #degraded(message: string, cause: unknown): KeelsonError {
    const details = {
      shard: this.#shard,
      reason: reasonText(cause),
      failures: this.#failuresInRow,
    }
    return new KeelsonError('DEGRADED', message, { details, cause })
  }
}

/** A time in which a projection fails again and again: begin and end are a line of the log each. */
class Spell {
  #since: number | undefined
  /** How often it has changed: an end that was planned before a further failure is none. */
  #changes = 0

  /** The projection fails. Whether this begins one. */
  begins(now: number): boolean {
    this.#changes++
    if (this.#since !== undefined) return false
    this.#since = now
    return true
  }

  /** The projection fails no longer. The answer names this moment for `endsAt`. */
  heals(): number {
    return ++this.#changes
  }

  /** Ends it if nothing has changed since that moment, and returns its begin. */
  endsAt(healed: number): number | undefined {
    const since = healed === this.#changes ? this.#since : undefined
    if (since !== undefined) this.#since = undefined
    return since
  }

  /** It has ended in another way, which the log has. */
  over(): void {
    this.#changes++
    this.#since = undefined
  }
}
