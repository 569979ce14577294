/** The part of a shard that outlives the actor of its snapshots. */
import type { LogHost } from '../../storage/index.ts'
import type { ReadView } from '../core/read-view.ts'
import type { ProjectionShard } from '../projection/projection-shard.ts'
import type { ShardSnapshots } from './shard-snapshots.ts'

/** A shard as its snapshotter has it: its snapshots, and what needs the log before them. */
export type SnapshotShard = ProjectionShard & {
  readonly snapshots: ShardSnapshots
  readonly journal: {
    /** How much of the log is kept for the journal alone, and the reasons. */
    readonly health: {
      readonly held: {
        readonly bytes: number
        readonly maxBytes: number
        readonly by: readonly string[]
        readonly state: string
      }
    }
    copiedLsn: number
    listen(listener: () => void): void
    floor(viewOf: () => ReadView, logOf: () => LogHost): Promise<number>
    measured(bytes: number): object | undefined
  }
  readonly replication: { readonly floor: number }
}
