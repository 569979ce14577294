/** The start of an instance whose parts are loaded. `start.ts` loads it late, tests do at once. */
import { unheard } from '../../check.ts'
import { createSystem } from '../../runtime/index.ts'
import type { App } from '../app/app.ts'
import { type Cluster, type FolderCluster, isFolderCluster } from './cluster-options.ts'
import { startInstance } from './instance.ts'
import type { Ports } from './machine-ports.ts'
import type { CheckedOptions } from './start-options.ts'

/** The start of a member, with the option `cluster`. This is a port: `src/members` has it. */
export type MembersDoor = {
  /** Starts a member that shares a folder with others. */
  startFolderMember(options: CheckedOptions, cluster: FolderCluster, ports: Ports): Promise<App>
  /** Starts a member whose logs are in an engine. */
  startMember(options: CheckedOptions, cluster: Cluster, ports: Ports): Promise<App>
}

/** Loads it. It is called for a start with the option `cluster` alone. */
export type LoadMembers = () => Promise<MembersDoor>

/**
 * Loads what a start with checked options needs, alone or as a member of a cluster. Returns the
 * start. Loading takes real time, so it is over before a virtual clock moves.
 */
export const loadedStart = async (
  options: CheckedOptions,
  loadMembers: LoadMembers,
): Promise<(ports: Ports) => Promise<App>> => {
  const { cluster } = options
  if (!cluster) return (ports) => startInstance(options, ports)
  const members = await loadMembers()
  if (isFolderCluster(cluster)) return (ports) => members.startFolderMember(options, cluster, ports)
  return (ports) => members.startMember(withLoggedWaits(options, ports), cluster, ports)
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
