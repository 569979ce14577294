/**
 * Loads what works on the engine of a cluster: for an instance whose logs it keeps, and for the
 * commands of `keelson cluster`. No other process loads it.
 */

import type { EngineBlobs } from '../engine-files/engine-blobs.ts'
import type { EngineSnapshots } from '../engine-files/engine-snapshots.ts'
import type { EndNote } from '../engine-log/end-note.ts'
import type { EngineCalls } from '../engine-log/engine-calls.ts'
import type { followedLogHost } from '../engine-log/followed-log-host.ts'
import type { isOutdated, movedEnd } from '../engine-log/log-end.ts'
import type { makeLogs, ownedLogHost } from '../engine-log/owned-log-host.ts'
import type * as directory from '../leases/cluster-directory.ts'
import type * as ends from '../leases/ended-work.ts'
import type { LeaseKeeper } from '../leases/lease-keeper.ts'
import type * as features from '../leases/log-features.ts'
import type * as holds from '../leases/shard-holds.ts'
import type { drainMember } from './cluster-drain.ts'
import type { acceptLoss, findLoss } from './cluster-loss.ts'
import type { changeCopies, makeCluster } from './cluster-making.ts'
import type { beginMove, bytesToMove, endMove, moveShard } from './cluster-moving.ts'
import type { placeShard } from './cluster-placing.ts'
import type { surveyCluster } from './cluster-survey.ts'

/** The parts of a member of a cluster. */
export type EngineStorage = {
  readonly ownedLogHost: typeof ownedLogHost
  readonly followedLogHost: typeof followedLogHost
  readonly makeLogs: typeof makeLogs
  readonly movedEnd: typeof movedEnd
  readonly isOutdated: typeof isOutdated
  readonly LeaseKeeper: typeof LeaseKeeper
  readonly EngineSnapshots: typeof EngineSnapshots
  readonly EngineBlobs: typeof EngineBlobs
  readonly EngineCalls: typeof EngineCalls
  /** The entries of the directory. */
  readonly directory: typeof directory
  /** Under which work members have ended. */
  readonly ends: typeof ends
  /** Which features of logs are on. */
  readonly features: typeof features
  /** Which member has which shard. */
  readonly holds: typeof holds
  readonly EndNote: typeof EndNote
}

/** Loads them for an instance. */
export const loadEngineStorage = async (): Promise<EngineStorage> => {
  const directory = await import('../leases/cluster-directory.ts')
  const ends = await import('../leases/ended-work.ts')
  const features = await import('../leases/log-features.ts')
  const holds = await import('../leases/shard-holds.ts')
  const loaded = await Promise.all([
    import('../engine-log/owned-log-host.ts'),
    import('../engine-log/followed-log-host.ts'),
    import('../engine-log/log-end.ts'),
    import('../leases/lease-keeper.ts'),
    import('../engine-files/engine-snapshots.ts'),
    import('../engine-files/engine-blobs.ts'),
    import('../engine-log/engine-calls.ts'),
    import('../engine-log/end-note.ts'),
  ])
  return Object.assign({ directory, ends, features, holds }, ...loaded)
}

/** The acts on a cluster from outside. */
export type ClusterTools = {
  readonly surveyCluster: typeof surveyCluster
  readonly makeCluster: typeof makeCluster
  readonly changeCopies: typeof changeCopies
  readonly beginMove: typeof beginMove
  readonly bytesToMove: typeof bytesToMove
  readonly moveShard: typeof moveShard
  readonly endMove: typeof endMove
  readonly drainMember: typeof drainMember
  readonly placeShard: typeof placeShard
  readonly findLoss: typeof findLoss
  readonly acceptLoss: typeof acceptLoss
}

/** Loads them for a command. */
export const loadClusterTools = async (): Promise<ClusterTools> => {
  const loaded = await Promise.all([
    import('./cluster-survey.ts'),
    import('./cluster-making.ts'),
    import('./cluster-drain.ts'),
    import('./cluster-placing.ts'),
    import('./cluster-loss.ts'),
    import('./cluster-moving.ts'),
  ])
  return Object.assign({}, ...loaded)
}
