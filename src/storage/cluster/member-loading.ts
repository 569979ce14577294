/** Loads what an instance needs whose logs are kept by an engine. No other instance loads it. */

import type { SharedBlobs } from '../engine-files/shared-blobs.ts'
import type { SharedSnapshots } from '../engine-files/shared-snapshots.ts'
import type { EndNote } from '../engine-log/end-note.ts'
import type { EngineCalls } from '../engine-log/engine-calls.ts'
import type { followedLogHost } from '../engine-log/followed-log-host.ts'
import type { makeLogs, sharedLogHost } from '../engine-log/shared-log-host.ts'
import type * as directory from '../leases/cluster-directory.ts'
import type { LeaseKeeper } from '../leases/lease-keeper.ts'

/** The parts of a member of a cluster. */
export type SharedStorage = {
  readonly sharedLogHost: typeof sharedLogHost
  readonly followedLogHost: typeof followedLogHost
  readonly makeLogs: typeof makeLogs
  readonly LeaseKeeper: typeof LeaseKeeper
  readonly SharedSnapshots: typeof SharedSnapshots
  readonly SharedBlobs: typeof SharedBlobs
  readonly EngineCalls: typeof EngineCalls
  /** The entries of the directory. */
  readonly directory: typeof directory
  readonly EndNote: typeof EndNote
}

/** Loads the modules. */
export const loadSharedStorage = async (): Promise<SharedStorage> => {
  const directory = await import('../leases/cluster-directory.ts')
  const loaded = await Promise.all([
    import('../engine-log/shared-log-host.ts'),
    import('../engine-log/followed-log-host.ts'),
    import('../leases/lease-keeper.ts'),
    import('../engine-files/shared-snapshots.ts'),
    import('../engine-files/shared-blobs.ts'),
    import('../engine-log/engine-calls.ts'),
    import('../engine-log/end-note.ts'),
  ])
  return Object.assign({ directory }, ...loaded)
}
