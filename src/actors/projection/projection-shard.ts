/** The part of a shard that outlives the actors of its projection. */
import type { BlobRef, LogState, NamedSnapshot, ReadBlob } from '../../storage/index.ts'
import type { ShardChanges } from '../core/shard-changes.ts'
import type { LogShard } from '../log/log-shard.ts'
import type { MomentWatch } from '../projection/moment-watch.ts'
import type { FullStreams } from './applied-streams.ts'
import type { DerivedQueue } from './derived-queue.ts'
import type { ReleasedRows } from './released-rows.ts'
import type { ShardProjection } from './shard-projection.ts'
import type { Suspensions } from './suspensions.ts'

/** A shard as the actors of its projection have it. */
export type ProjectionShard = LogShard & {
  readonly projection: ShardProjection
  readonly suspensions: Suspensions
  /** Rows that actors derived from the log, on their way into the projection. */
  readonly derived: DerivedQueue
  /** Rows of blobs that go with the frames that were given back. */
  readonly releasedRows: ReleasedRows
  /** The changes of its keys, for watchers. */
  readonly changes: ShardChanges
  /** Its streams that are at a bound. */
  readonly fullStreams: FullStreams
  /** When the next row expires. */
  readonly expiry: MomentWatch
  /** When the next alarm of an entity is due. */
  readonly due: MomentWatch
  /** Whether a birth of an entity has ended whose rows are to be removed: 0 if so. */
  readonly removals: MomentWatch
  readonly blobs: { readonly reader: ReadBlob; isFreed(ref: BlobRef): boolean }
  readonly snapshots: {
    readonly named: readonly NamedSnapshot[]
    measured(log: LogState): void
    grew(lsn: number, bytes: number): void
  }
  readonly replication: { grew(bytes: number): void }
}
