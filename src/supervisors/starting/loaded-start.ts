/** The start of an instance whose parts are loaded. `start.ts` loads it late, tests do at once. */
import { unheard } from '../../check.ts'
import { createSystem } from '../../runtime/index.ts'
import type { App } from '../app/app.ts'
import { isFolderCluster } from './cluster-options.ts'
import { startInstance } from './instance.ts'
import type { Ports } from './machine-ports.ts'
import type { CheckedOptions } from './start-options.ts'

/**
 * Loads what a start with checked options needs, alone or as a member of a cluster. Returns the
 * start. Loading takes real time, so it is over before a virtual clock moves.
 */
export const loadedStart = async (
  options: CheckedOptions,
): Promise<(ports: Ports) => Promise<App>> => {
  const { cluster } = options
  if (!cluster) return (ports) => startInstance(options, ports)
  if (isFolderCluster(cluster)) {
    const { startFolderMember } = await import('./folder-member.ts')
    return (ports) => startFolderMember(options, cluster, ports)
  }
  const { startMember } = await import('./member-start.ts')
  return (ports) => startMember(withLoggedWaits(options, ports), cluster, ports)
}

/**
 * The log says for what a start waits, once for each reason in a row. A program with `onProgress`
 * hears of it there. Without either, a start that waits for its engine would be pending without a
 * word.
 */
const withLoggedWaits = (options: CheckedOptions, { clock }: Ports): CheckedOptions => {
  const { onProgress, system, logger: own } = options
  if (onProgress !== unheard) return options
  const { logger } = system ?? createSystem({ clock, ...(own && { logger: own }) })
  let said: string | undefined
  return {
    ...options,
    onProgress: ({ step, detail = '' }) => {
      if (step !== 'waiting' || detail === said) return
      said = detail
      logger.warn(`the start waits for the engine: ${detail}`)
    },
  }
}
