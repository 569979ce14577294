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
  const begin = await loadedStart(await loadedOptions(options))
  return begin({ ...ports, ...(attach && { attach }) })
}

/**
 * Loads what a start with checked options needs, alone or as a member of a cluster. Returns the
 * start. Loading takes real time, so it is over before a virtual clock moves.
 */
export const loadedStart = async (
  options: CheckedOptions,
): Promise<(ports: Ports) => Promise<App>> => {
  const { cluster } = options
  if (!cluster) {
    const { startInstance } = await import('./instance.ts')
    return (ports) => startInstance(options, ports)
  }
  const { startMember } = await import('./member-start.ts')
  return (ports) => startMember(options, cluster, ports)
}
