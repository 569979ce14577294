/**
 * The description of a projection's writer. It is apart from `lmdb-writer.ts` because that file
 * would exceed 500 lines.
 */
import type { ProjectionMode } from '../shard/projection-mode.ts'
import type { Shard, Suspension } from '../shard/shard.ts'
import type * as Applier from './applier.ts'
import type { ProjectionFeed } from './projection-feed.ts'

/** The state of the projection's writer, for `describe`. */
export type ProjectionWriterDescription = {
  readonly mode: ProjectionMode
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
}

/** Describes a writer. */
export const descriptionOf = ({ shard, feed, following }: Writer): ProjectionWriterDescription => {
  const { references, bytes } = feed.load
  const projection = following?.projection.describe() ?? { rows: 0, bytes: 0 }
  const { mode, reason } = shard.projection.health
  return {
    mode,
    projectedLsn: feed.projectedLsn,
    lag: feed.lag,
    outbox: references,
    outboxBytes: bytes,
    suspensions: [...shard.suspensions.values()],
    degraded: reason,
    ...projection,
  }
}
