/**
 * What is known of a shard's projection across the lives of its writer: the mode of the writer, the
 * failures of commits, and why it has no writer. `health()` and callers read it at once.
 */
import { KeelsonError, reasonText } from '../../errors.ts'
import {
  modeAfter,
  type ProjectionEvent,
  type ProjectionMode,
  projectionModes,
} from './projection-mode.ts'

/** The delay before the first retry, and the longest one, in ms. */
const retryMs = { first: 50, longest: 5_000 } as const

/** The health of a projection and its writer. `failures`: the commits that failed so far. */
export type ProjectionHealth = {
  readonly mode: ProjectionMode
  /** Why it is or was degraded or halted; `undefined` when nothing is left of it. */
  readonly reason: string | undefined
  readonly failures: number
  /** The time of the last commit, in ms since 1970; `undefined` before the first. */
  readonly flushedAt: number | undefined
}

/** A change of the mode. */
export type ModeChange = { readonly from: ProjectionMode; readonly to: ProjectionMode }

/** The projection of one shard. */
export class ShardProjection {
  readonly #shard: number
  #mode: ProjectionMode = 'starting'
  /** The failed commits since the last success, and since the shard was made. */
  #failuresInRow = 0
  #failures = 0
  #trouble: KeelsonError | undefined
  #flushedAt: number | undefined

  constructor(shard: number) {
    this.#shard = shard
  }

  /** The mode of the writer. */
  get mode(): ProjectionMode {
    return this.#mode
  }

  /** Whether the projection takes changes now. */
  get takes(): boolean {
    return projectionModes[this.#mode].takes
  }

  /** The error for callers that would wait for the projection; `undefined` while they may. */
  get refusal(): KeelsonError | undefined {
    return projectionModes[this.#mode].answers ? undefined : this.#trouble
  }

  /** The failed commits since the last success. */
  get failuresInRow(): number {
    return this.#failuresInRow
  }

  /** For people and watchdogs. */
  get health(): ProjectionHealth {
    const reason = this.#trouble && reasonText(this.#trouble.cause)
    return { mode: this.#mode, reason, failures: this.#failures, flushedAt: this.#flushedAt }
  }

  /** Records what happened. Returns the change of the mode, if there is one. */
  report(event: ProjectionEvent): ModeChange | undefined {
    const from = this.#mode
    // A writer that begins tries at once: callers wait for that.
    if (event === 'restarted') this.#trouble = undefined
    this.#mode = modeAfter(from, event)
    return this.#mode === from ? undefined : { from, to: this.#mode }
  }

  /** Records a failed commit. Returns the error for callers: `DEGRADED` with the cause. */
  recordFlushFailure(cause: unknown): KeelsonError {
    this.#failures += 1
    this.#failuresInRow += 1
    this.#trouble = this.#degraded('the projection takes no changes at the moment', cause)
    return this.#trouble
  }

  /**
   * Whole ms until the next attempt: they double with each failure in a row, from 50 ms to 5 s. Up
   * to half of them is jitter, so that shards on one full disk do not try in step.
   */
  retryInMs(random: () => number): number {
    const doublings = Math.min(this.#failuresInRow - 1, 10)
    const delay = Math.min(retryMs.longest, retryMs.first * 2 ** doublings)
    return Math.ceil(delay / 2 + (delay / 2) * random())
  }

  /** Records a successful commit at `now`. Returns whether it ended a failure. */
  flushed(now: number): boolean {
    const wasFailing = this.#trouble !== undefined
    this.#flushedAt = now
    this.#failuresInRow = 0
    this.#trouble = undefined
    return wasFailing
  }

  /** Records that the projection has no writer, and that no supervisor will change that. */
  giveUp(reason: unknown): ModeChange | undefined {
    const remedy = `control.reopen(${this.#shard}, 'followers') starts them again`
    this.#trouble = this.#degraded(
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
