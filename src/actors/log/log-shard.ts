/** The part of a shard that outlives the actors of its log. */
import type { KeelsonError } from '../../errors.ts'
import type { ShardCore } from '../core/shard-core.ts'
import type { Appends } from './appends.ts'
import type { ShardFiles } from './shard-files.ts'

/** A shard as its log's actors have it. */
export type LogShard = ShardCore & {
  readonly files: ShardFiles
  /** Writes on their way into the log. */
  readonly appends: Appends
  /** They learn which writes the log takes and refuses. */
  readonly snapshots: { refused(refusal: KeelsonError | undefined): void }
}
