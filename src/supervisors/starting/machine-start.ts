/** The part of `start` that is loaded late: the whole start, on the ports of this machine. */
import { systemClock } from '../../clock.ts'
import type { App } from '../app/app.ts'
import { loadedOptions } from './instance.ts'
import { type LoadMembers, loadedStart } from './loaded-start.ts'
import { machinePorts, type Ports } from './machine-ports.ts'
import type { StartOptions } from './start-options.ts'

/** As `start`, on any platform. */
export const startOnMachine = async (
  options: StartOptions,
  loadMembers: LoadMembers,
  attach?: Ports['attach'],
): Promise<App> => {
  const ports = await machinePorts(options?.system?.clock ?? systemClock())
  const begin = await loadedStart(await loadedOptions(options), loadMembers)
  return begin({ ...ports, ...(attach && { attach }) })
}
