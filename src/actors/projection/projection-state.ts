/** The state of `lmdb_writer`: the applier that it follows, its waiters, and the pending commit. */

import { TurnShare } from '../../bytes/turn-share.ts'
import type { KeelsonError } from '../../errors.ts'
import type { Context as ProcessContext, Settled, Timer } from '../../runtime/index.ts'
import type { ReadAnswer, Row, Rows } from '../../storage/index.ts'
import type * as Applier from './applier.ts'
import type { DerivedBatch } from './derived-queue.ts'
import type { ProjectionBatch } from './projection-batch.ts'
import { ProjectionFeed } from './projection-feed.ts'
import type { Reconcile } from './projection-reconcile.ts'
import type { ProjectionShard } from './projection-shard.ts'
import { ProjectionWaiters, type Waiter } from './projection-waiters.ts'

/** The messages that the writer sends to itself. */
export type Steps = {
  infos: {
    flushDue: () => void
    retryDue: () => void
    step: () => void
    readRows: () => void
    read: (read: Settled<ReadAnswer>) => void
    synced: (durableLsn: Settled<number>) => void
    committed: (commit: Settled<void>) => void
  }
}

/** The context of the writer, as the steps need it. */
export type Context = ProcessContext<Steps>

/** Rows of projections by users, and how many of the rebuilds that wait begin with them. */
export type Walked = {
  readonly changes: ReadonlyMap<string, Row | undefined>
  readonly begins: number
}

/** A pending commit. Its frames stay in the overlay until it is answered. */
export type Commit = {
  /** `undefined` if there are only other rows. */
  readonly frames: ProjectionBatch | undefined
  /** Rows of projections by users that are rebuilt, or removed. */
  readonly walked: Walked | undefined
  readonly derived: DerivedBatch | undefined
  readonly since: number
}

/** The state of the writer. */
export type State = {
  readonly shard: ProjectionShard
  /** The applier's answer to `follow`, and the feed of frames to commit. */
  following: Applier.Following | undefined
  /** The projection's rows, once this process follows the applier. */
  rows: Rows | undefined
  feed: ProjectionFeed
  readonly waiters: ProjectionWaiters
  flushTimer: Timer | undefined
  retryTimer: Timer | undefined
  /** The last commit found damage: the projection is set aside instead of a retry. */
  damage: KeelsonError | undefined
  /** A read, a sync or a commit is pending. The next step runs when it is answered. */
  waiting: boolean
  committing: Commit | undefined
  /** Calls to make after the present commit, before the next one begins. */
  afterCommit: (() => void)[]
  /** Limits the time that gathering takes from one turn of the event loop. */
  readonly share: TurnShare
  /** The next step is scheduled in a later turn. */
  stepping: boolean
  /** The projection had no position, and the log is read from its first frame. */
  rebuilds: boolean
  /** The present reconcile. */
  reconcile: Reconcile | undefined
  /** Projections by users that are to be rebuilt. */
  rebuild: { readonly name: string; readonly begun: () => void }[]
  /** Rows of projections by users may have to be built or removed. */
  mayWalk: boolean
  /** The last step was such a one. */
  hasWalked: boolean
}

/** The state before the writer follows the applier. */
export const initialState = (shard: ProjectionShard): State => ({
  shard,
  share: new TurnShare(shard.parts.clock),
  following: undefined,
  rows: undefined,
  feed: new ProjectionFeed(shard.parts.settings.lmdb, 0, 0),
  waiters: new ProjectionWaiters(),
  flushTimer: undefined,
  retryTimer: undefined,
  damage: undefined,
  waiting: false,
  committing: undefined,
  afterCommit: [],
  stepping: false,
  rebuilds: false,
  reconcile: undefined,
  rebuild: [],
  mayWalk: true,
  hasWalked: false,
})

/** The barrier of a flush: every frame and every derived row that was accepted so far. */
export const everything = ({ feed, shard }: State): Pick<Waiter, 'lsn' | 'derived'> => ({
  lsn: feed.targetLsn,
  derived: shard.derived.accepted,
})
