/** The answers of the page about keys, the log and replicas, as plain JSON. */
import type { Shown } from './words.ts'

/** Which keys. */
export type StoreQuery = { readonly prefix?: string; readonly cursor?: string }

/** A page of keys. */
export type StorePage = {
  readonly rows: readonly {
    readonly key: string
    /**
     * With how long it is: `string of 12`, `object of 3`, `compound of 3`. Of a large value, which is
     * not read: `string of 5000 bytes`, `value of 5000 bytes`.
     */
    readonly type: string
    readonly expiresAt?: number
    readonly lock?: { readonly owner: string; readonly until?: number }
  }[]
  readonly cursor?: string
}

/** The value of a key. */
export type StoreValue = { readonly value: Shown }

/** Which shards: those from a number on. */
export type StorageQuery = { readonly from?: number }

/** A page of shards, and the parts that fill the disk. `next`: the first one of the next page. */
export type StoragePage = {
  readonly shards: readonly StorageShard[]
  readonly disk?: DiskShown
  readonly next?: number
}

/** The parts that fill the data folder, in bytes, the largest first. */
export type DiskShown = {
  readonly bytes: number
  readonly freeBytes?: number
  /** Needed until the next snapshots. */
  readonly neededBytes: number
  /** A first backup copies at most so much. */
  readonly backupBytes: number
  readonly parts: readonly {
    readonly part: string
    readonly bytes: number
    readonly files: number
    /** The first ones of how many. */
    readonly most: readonly { readonly name: string; readonly bytes: number }[]
    readonly count: number
  }[]
  /** The holders of the log: the first ones. */
  readonly holders: readonly {
    readonly shard: number
    readonly by: string
    readonly bytes: number
  }[]
}

/** The log and what is derived from it, of one shard. */
export type StorageShard = {
  readonly shard: number
  /** The member that has it, of an instance with members. */
  readonly member?: string
  /** As its owner says; `elsewhere`: the owner does not answer, so its figures are unknown. */
  readonly phase: string
  /** Why it is down, or why its owner says nothing. */
  readonly reason?: string
  /** Whether a suspension holds its projection. */
  readonly isSuspended: boolean
  readonly lastLsn: number
  readonly durableLsn: number
  readonly projectedLsn: number
  readonly lagBytes: number
  readonly lagMs: number
  readonly mode: string
  /** Absent for a log in an engine. */
  readonly segments?: number
  readonly logBytes: number
  /** The log since the last snapshot, and from how much on the next one is made. */
  readonly sinceSnapshotBytes: number
  readonly snapshotDueBytes: number
  /** The last snapshot. `at`: when it was made, if that was since the start. */
  readonly snapshot?: { readonly lsn: number; readonly bytes: number; readonly at?: number }
  readonly snapshotFailure?: string
  /** Why old segments are kept: `the snapshot`, `subscription mail`, `retention.log`. */
  readonly held?: string
  readonly freeBytes?: number
  readonly neededBytes: number
  readonly refusing?: string
  readonly writesWaiting: number
  readonly clockAheadMs: number
  /** The first ones, and so are the projections. */
  readonly subscriptions: readonly {
    readonly name: string
    readonly state: string
    readonly lag: number
  }[]
  readonly projections: readonly { readonly name: string; readonly lag: number }[]
}

/** Replicas, each with its shards. */
export type Replication = {
  readonly followers: readonly {
    readonly replica: string
    readonly isRequired: boolean
    readonly failures: number
    readonly retryInMs?: number
    readonly shards: readonly {
      readonly shard: number
      readonly state: string
      readonly lagRecords: number
      readonly lagMs?: number
      readonly reason?: string
    }[]
  }[]
}
