/** Whether a projection takes changes: after a commit that failed it is degraded, until one succeeds. Pure. */
import { KeelsonError } from '../errors.ts'
import { retryDelayMs } from './flush-schedule.ts'
import { reasonText } from './shard.ts'

/** How one projection is. */
export class ProjectionHealth {
  #failures = 0
  #degraded: KeelsonError | undefined

  /** What whoever waits for the projection is told; `undefined` while it takes changes. */
  get degraded(): KeelsonError | undefined {
    return this.#degraded
  }

  /** Commits that failed since the last that did not. */
  get failures(): number {
    return this.#failures
  }

  /** A commit of the shard's failed. Answers what whoever waits is told, `DEGRADED`, with the cause. */
  failed(cause: unknown, shard: number): KeelsonError {
    this.#failures += 1
    this.#degraded = new KeelsonError(
      'DEGRADED',
      'The projection takes no changes at the moment.',
      { details: { shard, reason: reasonText(cause), failures: this.#failures }, cause },
    )
    return this.#degraded
  }

  /** Whole ms until the next attempt: longer from failure to failure. */
  retryInMs(random: () => number): number {
    return Math.ceil(retryDelayMs(this.#failures, random))
  }

  /** A commit succeeded. Answers whether the projection was degraded. */
  succeeded(): boolean {
    const wasDegraded = this.#degraded !== undefined
    this.#degraded = undefined
    this.#failures = 0
    return wasDegraded
  }
}
