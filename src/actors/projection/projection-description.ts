/**
 * The health of a projection, and the description of its writer. It is apart from `lmdb-writer.ts`
 * because that file would exceed 500 lines.
 */
import { KeelsonError, reasonText } from '../../errors.ts'
import type { Shard, Suspension } from '../shard/shard.ts'
import type * as Applier from './applier.ts'
import { type ProjectionFeed, retryDelayMs } from './projection-feed.ts'

// Whether a projection takes changes. A failed commit makes it degraded, until a commit succeeds.
// Pure.

/** The health of one projection. */
export class ProjectionHealth {
  #failures = 0
  #degraded: KeelsonError | undefined

  /** The error for waiters; `undefined` while the projection takes changes. */
  get degraded(): KeelsonError | undefined {
    return this.#degraded
  }

  /** The failed commits since the last success. */
  get failures(): number {
    return this.#failures
  }

  /** Records a failed commit. Returns the error for waiters: `DEGRADED` with the cause. */
  failed(cause: unknown, shard: number): KeelsonError {
    this.#failures += 1
    this.#degraded = new KeelsonError('DEGRADED', 'the projection takes no changes at the moment', {
      details: { shard, reason: reasonText(cause), failures: this.#failures },
      cause,
    })
    return this.#degraded
  }

  /** Whole ms until the next attempt. The delay grows with each failure. */
  retryInMs(random: () => number): number {
    return Math.ceil(retryDelayMs(this.#failures, random))
  }

  /** Records a successful commit. Returns whether the projection was degraded. */
  succeeded(): boolean {
    const wasDegraded = this.#degraded !== undefined
    this.#degraded = undefined
    this.#failures = 0
    return wasDegraded
  }
}

/** The state of the projection's writer, for `describe`. */
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

/** The parts of a writer's state that are described. */
type Writer = {
  readonly shard: Shard
  readonly feed: ProjectionFeed
  readonly following: Applier.Following | undefined
  readonly health: ProjectionHealth
}

/** Describes a writer. */
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
