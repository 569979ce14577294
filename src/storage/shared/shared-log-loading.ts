/** Loads the host of logs that an engine keeps, for an instance that has such logs. */
import type { LogHost } from '../ports/log-host.ts'
import type { SharedLogHostOptions } from './shared-log-host.ts'

/** Makes the host of one life of a log. */
export type SharedLogHosts = (options: SharedLogHostOptions) => LogHost

/** Loads the modules, which an instance with local logs does not need. */
export const loadSharedLogHosts = async (): Promise<SharedLogHosts> =>
  (await import('./shared-log-host.ts')).sharedLogHost
