/** The options of an instance with every default filled in: what the actors read. Checked before anything starts. */

/** Options of storage, complete. Times in ms, sizes in bytes; what each means is in the option's own documentation. */
export type Settings = {
  readonly deadlineMs: number
  readonly wal: {
    readonly maxFileSize: number
    readonly maxSegments: number
    readonly enableFsync: boolean
    /** `undefined`: a sync per group. */
    readonly syncInterval: number | undefined
    readonly maxDelayMs: number
    /** 0: no markers. */
    readonly idleMarkerMs: number
    readonly queueBytes: number
    readonly queueCommands: number
    readonly sectorBytes: number
  }
  /** What the shards together may have under way. */
  readonly admission: { readonly bytes: number; readonly commands: number }
  readonly batcher: {
    readonly windows: ReadonlyMap<string, number>
    readonly maxCommands: number
    readonly maxBytes: number
  }
  readonly overlay: { readonly bytes: number; readonly keys: number; readonly hotTtlMs: number }
  /** Sizes in bytes, times in ms; a threshold of 0: values of any size stay in frames. `sweepMs` 0: sweeps only when asked to. */
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
  }
}

/** Whether an acknowledgement says that a write is durable, or only that it was written. */
export const levelOf = ({ wal }: Settings): 'durable' | 'written' =>
  wal.enableFsync && wal.syncInterval === undefined ? 'durable' : 'written'
