/**
 * The type of the settings: the options of an instance as the actors read them. Checks and defaults
 * are in `supervisors/start-options.ts`.
 */
import type { CommitmentOptions, Projection } from '../../storage/index.ts'

/**
 * All options of storage. Times in ms, sizes in bytes. The public options document their meaning.
 */
export type Settings = {
  readonly deadlineMs: number
  readonly wal: {
    readonly maxFileSize: number
    readonly enableFsync: boolean
    /** `undefined`: a sync for each group. */
    readonly syncInterval: number | undefined
    readonly maxDelayMs: number
    /** 0: no markers. */
    readonly idleMarkerMs: number
    readonly queueBytes: number
    readonly queueCommands: number
    readonly sectorBytes: number
    /** `undefined`: none. */
    readonly commitments: CommitmentOptions | undefined
  }
  /** The bounds of the writes under way, over all shards. */
  readonly admission: { readonly bytes: number; readonly commands: number }
  readonly batcher: {
    readonly windows: ReadonlyMap<string, number>
    readonly maxCommands: number
    readonly maxBytes: number
  }
  readonly overlay: { readonly bytes: number; readonly keys: number; readonly hotTtlMs: number }
  /**
   * Sizes in bytes, times in ms. `threshold` 0: values of any size stay in frames. `sweepMs` 0:
   * sweeps run only on request.
   */
  readonly blobs: {
    readonly threshold: number
    readonly segmentBytes: number
    readonly graceMs: number
    readonly sweepMs: number
  }
  readonly lmdb: {
    readonly intervalMs: number
    readonly quietMs: number
    readonly maxLagMs: number
    readonly maxOps: number
    readonly ringSlots: number
    readonly ringBytes: number
    readonly lagBytesMax: number
    readonly mapBytes: number
    /** The bounds of one transaction: rows, and bytes of their values. */
    readonly chunkRows: number
    readonly chunkBytes: number
    /** The bounds of the derived rows that wait: operations, and bytes. */
    readonly enqueueOps: number
    readonly enqueueBytes: number
  }
  /**
   * Whether appends wait for a replay; what keeps the log: the saved states and the readers, or
   * these alone; and how much of it may be kept so.
   */
  readonly journal: {
    readonly replay: 'optional' | 'required'
    readonly retention: 'states' | 'readers'
    readonly maxHeldBytes: number
  }
  /** The projections by users. */
  readonly projections: readonly Projection[]
  readonly snapshot: {
    readonly minLogBytes: number
    readonly ratio: number
    readonly keep: number
    /** `undefined`: half of what the disk gives. */
    readonly bytesPerSecond: number | undefined
    readonly pinnedBytesMax: number
  }
  /** What is kept of the log for its own sake; `undefined`: nothing. */
  readonly retention: { readonly bytes?: number; readonly ms?: number } | undefined
}

/** The level of an acknowledgement: durable, or only written. */
export const levelOf = ({ wal }: Settings): 'durable' | 'written' =>
  wal.enableFsync && wal.syncInterval === undefined ? 'durable' : 'written'
