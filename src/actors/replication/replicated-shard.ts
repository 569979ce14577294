/** The part of a shard that outlives the actors that replicate it. */
import type { KeelsonError } from '../../errors.ts'
import type {
  BlobRef,
  LogHost,
  NamedSnapshot,
  ReadBlob,
  SnapshotProtocol,
} from '../../storage/index.ts'
import type { ShardCore } from '../core/shard-core.ts'
import type { ReplicaMarks } from './replica-marks.ts'

/** Keeps blobs from being freed, until its release. */
type Pin = {
  add(refs: readonly BlobRef[]): void
  release(): void
}

/** A shard as its replicators have it. */
export type ReplicatedShard = ShardCore & {
  /** How far its replicas are. */
  readonly replication: ReplicaMarks
  readonly files: { log(): LogHost }
  readonly snapshots: {
    readonly parts: { readonly dir: string }
    /** The ones that the log names, oldest first. */
    readonly named: readonly NamedSnapshot[]
    damaged(error: KeelsonError, snapshot: NamedSnapshot): void
    run(
      kind: 'rows',
      request: SnapshotProtocol['rows']['request'],
      signal: AbortSignal,
    ): Promise<SnapshotProtocol['rows']['answer']>
  }
  readonly blobs: { readonly read: ReadBlob; readonly pins: { hold(): Pin } }
}
