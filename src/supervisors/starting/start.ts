/**
 * Starts an instance on the machine's own disk, threads and clock. It loads the parts of an
 * instance, so that a program that uses only actors does not load the storage.
 */

import { systemClock } from '../../clock.ts'
import { configError } from '../../errors.ts'
import type { App } from '../app/app.ts'
import type { Ports } from './machine-ports.ts'
import type { CheckedOptions, StartOptions } from './start-options.ts'

/**
 * Starts an instance as the public `start` does (`inspect/attach/start.ts`), with `attach` as the
 * port for attached prompts.
 */
export const start = async (options: StartOptions, attach?: Ports['attach']): Promise<App> => {
  if (process.platform !== 'linux' && process.platform !== 'darwin')
    throw configError('platform', 'linux or darwin', process.platform)
  const { loadedOptions } = await import('./instance.ts')
  const { machinePorts } = await import('./machine-ports.ts')
  const ports = await machinePorts(options?.system?.clock ?? systemClock())
  return startOn(await loadedOptions(options), { ...ports, ...(attach && { attach }) })
}

/** Starts an instance with checked options over `ports`, alone or as a member of a cluster. */
export const startOn = async (options: CheckedOptions, ports: Ports): Promise<App> => {
  const { cluster } = options
  if (!cluster) return (await import('./instance.ts')).startInstance(options, ports)
  return (await import('./member-start.ts')).startMember(options, cluster, ports)
}
