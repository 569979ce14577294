/** `start`: an instance on the machine's own disk, threads and clock. */
import { systemClock } from '../clock.ts'
import {
  lmdbProjections,
  nodeDisk,
  threadBlobHost,
  threadLogHost,
  threadProjectionWriters,
} from '../storage/index.ts'
import type { App } from './app.ts'
import { configError } from './config-error.ts'
import { startInstance } from './instance.ts'
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
  const disk = nodeDisk()
  const makeWriter = threadProjectionWriters()
  return startInstance(options, {
    disk,
    clock: options?.system?.clock ?? systemClock(),
    makeHost: threadLogHost,
    makeBlobHost: threadBlobHost,
    projectionsOn: (host) =>
      lmdbProjections(disk, (dir) => host.run('examineProjection', { dir }), {
        clock: systemClock(),
        ...(makeWriter && { makeWriter }),
      }),
  })
}
