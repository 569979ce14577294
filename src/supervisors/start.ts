/**
 * `start`: an instance on the machine's own disk, threads and clock. It loads the parts of an
 * instance, so that a program that uses only actors does not load the storage.
 */

import { systemClock } from '../clock.ts'
import { configError } from '../errors.ts'
import type { App } from './app.ts'
import type { StartOptions } from './start-options.ts'

/**
 * Starts an instance in `options.dir`. Resolves when every read is right, after recovery, replay
 * and a rebuild of projections. `await app.close()` ends it in order. A process that ends without
 * it loses nothing that was acknowledged.
 * @throws KeelsonError with nothing changed on disk (but LOCK in an old folder): `CONFIG`
 * (`details.path`), `LOCKED_DIR` (`details.holder`), `READ_ONLY`, `NO_SPACE`,
 * `UNSUPPORTED_VERSION`, `CORRUPT` (file, offset, lsn, evidence)
 */
export const start = async (options: StartOptions): Promise<App> => {
  if (process.platform !== 'linux' && process.platform !== 'darwin')
    throw configError('platform', 'linux or darwin', process.platform)
  const { loadedOptions, startInstance } = await import('./instance.ts')
  const { machinePorts } = await import('./machine-ports.ts')
  const ports = await machinePorts(options?.system?.clock ?? systemClock())
  return startInstance(await loadedOptions(options), ports)
}
