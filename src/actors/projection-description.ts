/** The projection's writer as people look at it, made from its state. */
import type * as Applier from './applier.ts'
import type { ProjectionFeed } from './projection-feed.ts'
import type { ProjectionHealth } from './projection-health.ts'
import { reasonText, type Shard, type Suspension } from './shard.ts'

/** The projection's writer as people look at it. */
export type WriterDescription = {
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
export const descriptionOf = ({ shard, feed, following, health }: Writer): WriterDescription => {
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
