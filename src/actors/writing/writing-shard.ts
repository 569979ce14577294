/** The part of a shard that the way of every write needs. */
import type { KeelsonError } from '../../errors.ts'
import type { BlobShard } from '../blobs/blob-shard.ts'
import type { ProjectionShard } from '../projection/projection-shard.ts'
import type { KeyMarks } from './key-marks.ts'

/** A shard as writes pass through it. */
export type WritingShard = ProjectionShard &
  BlobShard & {
    /** Writes whose blobs are on their way, and later writes to their keys that wait for them. */
    readonly marks: KeyMarks
    readonly replication: {
      /** Whether there is a replica. */
      readonly isFollowed: boolean
      /** Waits until the replicas have everything up to `lsn`. */
      reached(lsn: number): {
        readonly done: Promise<void>
        readonly giveUp: (error: KeelsonError) => void
      }
    }
  }
