/** The projection's writer as people look at it, made from its state. */

import { KeelsonError, reasonText } from '../../errors.ts'
import type { Shard, Suspension } from '../shard/shard.ts'
import type * as Applier from './applier.ts'
import { type ProjectionFeed, retryDelayMs } from './projection-feed.ts'

// Whether a projection takes changes: after a commit that failed it is degraded, until one succeeds. Pure.

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

/** The projection's writer as people look at it. */
export type ProjectionWriterDescription = {
  readonly mode: 'starting' | 'following' | 'tailing' | 'suspended' | 'degraded'
  readonly projectedLsn: number
  readonly lag: number
  readonly outbox: number
  readonly outboxBytes: number
  readonly suspensions: readonly Suspension[]
  readonly degraded: string | undefined
  readonly rows: number
  readonly bytes: number
}

/** What of a writer's state is described. */
type Writer = {
  readonly shard: Shard
  readonly feed: ProjectionFeed
  readonly following: Applier.Following | undefined
  readonly health: ProjectionHealth
}

/** Describes a writer at this moment. */
export const descriptionOf = ({
  shard,
  feed,
  following,
  health,
}: Writer): ProjectionWriterDescription => {
  const { references, bytes, tailing } = feed.load
  const projection = following?.projection.describe() ?? { rows: 0, bytes: 0 }
  const { degraded } = health
  const source = tailing ? 'tailing' : 'following'
  return {
    mode: !following ? 'starting' : shard.isHeld ? 'suspended' : degraded ? 'degraded' : source,
    projectedLsn: feed.projectedLsn,
    lag: feed.lag,
    outbox: references,
    outboxBytes: bytes,
    suspensions: [...shard.suspensions.values()],
    degraded: degraded && reasonText(degraded.cause),
    ...projection,
  }
}
