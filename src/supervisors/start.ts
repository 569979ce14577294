/**
 * `start`: an instance on the machine's own disk, threads and clock. What an instance is made of is loaded here, so that a
 * program which imports Keelson for its actors alone does not load the storage.
 */

import { systemClock } from '../clock.ts'
import { configError } from '../errors.ts'
import type { App } from './app.ts'
import type { StartOptions } from './start-options.ts'

/**
 * Starts an instance in `options.dir`; resolves when every read is right: recovery, replay and a rebuild of projections are
 * part of it. `await app.close()` ends it in order; a process that just ends loses nothing that was acknowledged.
 * @throws KeelsonError with nothing changed on disk (but LOCK in an old folder): `CONFIG` (`details.path`), `LOCKED_DIR` (`details.holder`),
 * `READ_ONLY`, `NO_SPACE`, `UNSUPPORTED_VERSION`, `CORRUPT` (file, offset, lsn, evidence)
 */
export const start = async (options: StartOptions): Promise<App> => {
  if (process.platform !== 'linux' && process.platform !== 'darwin')
    throw configError('platform', 'linux or darwin', process.platform)
  const { startInstance } = await import('./instance.ts')
  const { machinePorts } = await import('./machine-ports.ts')
  return startInstance(options, await machinePorts(options?.system?.clock ?? systemClock()))
}
