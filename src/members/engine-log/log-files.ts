/** The files that a log in an engine refers to, as its hosts need them: snapshots and blobs. */
import type { NamedSnapshot } from '../../storage/index.ts'
import type { EngineCalls } from './engine-calls.ts'

/** The snapshots of the owner. */
export type SnapshotUploads = {
  /** Uploads a snapshot of the folder under `name`. Repeating it is harmless. */
  upload(name: string, snapshot: NamedSnapshot): Promise<void>
  /** Removes what the log does not name, of `epoch` and of earlier ones; `namedNow` asks the log. */
  tidy(epoch: number, namedNow: () => Promise<readonly string[]>): Promise<void>
}

/** The blobs of the owner. */
export type OwnersBlobs = {
  /** The log was claimed with `epoch`: resolves when its blobs can be read from the folder. */
  claimed(epoch: number, calls: EngineCalls): Promise<void>
}

/** The blobs of a follower. */
export type FollowersBlobs = {
  /**
   * Resolves when the blobs of the log so far can be read from the folder. `shownLsn`: the rows of the
   * follower show the log up to there.
   */
  follow(calls: EngineCalls, shownLsn: number): Promise<void>
}
