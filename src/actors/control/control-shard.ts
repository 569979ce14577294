/** A shard as `control` and the handles of `app` have it. */
import type { SnapshotShard } from '../snapshots/snapshot-shard.ts'
import type { WritingShard } from '../writing/writing-shard.ts'

/** A shard with all that control reaches. */
export type ControlShard = SnapshotShard & WritingShard
