/** Loads what an instance needs whose logs are kept by an engine. No other instance loads it. */

import type { EndNote } from '../disk/end-note.ts'
import type { sharedTurnScanner } from '../examination/shared-turn-scan.ts'
import type * as directory from './cluster-directory.ts'
import type { EngineCalls } from './engine-calls.ts'
import type { followedLogHost } from './followed-log-host.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import type { logExporter } from './log-export.ts'
import type { SharedBlobs } from './shared-blobs.ts'
import type { makeLogs, sharedLogHost } from './shared-log-host.ts'
import type { SharedSnapshots } from './shared-snapshots.ts'

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
  readonly sharedTurnScanner: typeof sharedTurnScanner
  readonly logExporter: typeof logExporter
  readonly EndNote: typeof EndNote
}

/** Loads the modules. */
export const loadSharedStorage = async (): Promise<SharedStorage> => {
  const directory = await import('./cluster-directory.ts')
  const loaded = await Promise.all([
    import('./shared-log-host.ts'),
    import('./followed-log-host.ts'),
    import('./lease-keeper.ts'),
    import('./shared-snapshots.ts'),
    import('./shared-blobs.ts'),
    import('./engine-calls.ts'),
    import('../examination/shared-turn-scan.ts'),
    import('./log-export.ts'),
    import('../disk/end-note.ts'),
  ])
  return Object.assign({ directory }, ...loaded)
}
