/** The part of a shard that outlives the actor of its blobs. */
import type { KeelsonError } from '../../errors.ts'
import type { BlobExtents, LogHost } from '../../storage/index.ts'
import type { ShardCore } from '../core/shard-core.ts'
import type { ShardBlobs } from './shard-blobs.ts'

/** A shard as its blob store has it: its blobs, and what else refers to them. */
export type BlobShard = ShardCore & {
  readonly blobs: ShardBlobs
  /** Its rows refer to blobs. */
  readonly files: { log(): LogHost }
  readonly snapshots: {
    /** The LSN of the newest one that is named; 0 without one. */
    readonly lsn: number
    addBlobs(into: BlobExtents, signal: AbortSignal): Promise<void>
    blobsGrew(bytes: number): void
    blobsMeasured(bytes: number): void
    refused(refusal: KeelsonError): void
  }
}
