/** Loads what an instance needs whose logs are kept by an engine. */
import type { LogHost } from '../ports/log-host.ts'
import type { LeaseKeeper, LeaseKeeperOptions } from './lease-keeper.ts'
import type { SharedLogHostOptions } from './shared-log-host.ts'

/** Makes the host of one life of a log. */
export type SharedLogHosts = (options: SharedLogHostOptions) => LogHost

/** Loads the modules, which an instance with local logs does not need. */
export const loadSharedLogHosts = async (): Promise<SharedLogHosts> =>
  (await import('./shared-log-host.ts')).sharedLogHost

/** Begins to take the lease of a member. */
export type LeaseKeepers = (options: LeaseKeeperOptions) => LeaseKeeper

/** Loads the modules, which an instance without other members does not need. */
export const loadLeaseKeepers = async (): Promise<LeaseKeepers> => {
  const { LeaseKeeper } = await import('./lease-keeper.ts')
  return (options) => new LeaseKeeper(options)
}
