/** Loads what an instance needs whose logs are kept by an engine. No other instance loads it. */

import type { EngineBlobs } from '../engine-files/engine-blobs.ts'
import type { EngineSnapshots } from '../engine-files/engine-snapshots.ts'
import type { EndNote } from '../engine-log/end-note.ts'
import type { EngineCalls } from '../engine-log/engine-calls.ts'
import type { followedLogHost } from '../engine-log/followed-log-host.ts'
import type { makeLogs, ownedLogHost } from '../engine-log/owned-log-host.ts'
import type * as directory from '../leases/cluster-directory.ts'
import type { LeaseKeeper } from '../leases/lease-keeper.ts'

/** The parts of a member of a cluster. */
export type EngineStorage = {
  readonly ownedLogHost: typeof ownedLogHost
  readonly followedLogHost: typeof followedLogHost
  readonly makeLogs: typeof makeLogs
  readonly LeaseKeeper: typeof LeaseKeeper
  readonly EngineSnapshots: typeof EngineSnapshots
  readonly EngineBlobs: typeof EngineBlobs
  readonly EngineCalls: typeof EngineCalls
  /** The entries of the directory. */
  readonly directory: typeof directory
  readonly EndNote: typeof EndNote
}

/** Loads the modules. */
export const loadEngineStorage = async (): Promise<EngineStorage> => {
  const directory = await import('../leases/cluster-directory.ts')
  const loaded = await Promise.all([
    import('../engine-log/owned-log-host.ts'),
    import('../engine-log/followed-log-host.ts'),
    import('../leases/lease-keeper.ts'),
    import('../engine-files/engine-snapshots.ts'),
    import('../engine-files/engine-blobs.ts'),
    import('../engine-log/engine-calls.ts'),
    import('../engine-log/end-note.ts'),
  ])
  return Object.assign({ directory }, ...loaded)
}
