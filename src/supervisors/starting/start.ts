/**
 * Starts an instance on the machine's own disk, threads and clock. It loads the parts of an
 * instance, so that a program that uses only actors does not load the storage.
 */

import { configError } from '../../errors.ts'
import type { App } from '../app/app.ts'
import type { LoadMembers } from './loaded-start.ts'
import type { Ports } from './machine-ports.ts'
import type { StartOptions } from './start-options.ts'

/**
 * Starts an instance as the public `start` does (`inspect/attach/start.ts`), with `loadMembers` as the
 * port for the option `cluster` and `attach` as that for attached prompts.
 */
export const start = async (
  options: StartOptions,
  loadMembers: LoadMembers,
  attach?: Ports['attach'],
): Promise<App> => {
  if (process.platform !== 'linux' && process.platform !== 'darwin')
    throw configError('platform', 'linux or darwin', process.platform)
  const { startOnMachine } = await import('./machine-start.ts')
  return startOnMachine(options, loadMembers, attach)
}
