/** `keelson cluster create`: makes a cluster in the engine, empty or from a data folder. */
import { resolve } from 'node:path'
import { configError } from '../../errors.ts'
import { nodeDisk } from '../../storage/index.ts'
import { type App, type ClusterOptions, start } from '../../supervisors/index.ts'
import type { Environment } from '../command/environment.ts'
import { pluralText } from '../text/quantities.ts'
import type { ClusterCreateCommand } from './cluster-command-line.ts'
import { runOnEngine } from './cluster-engine.ts'
import { moveFolder } from './cluster-move.ts'

/** Opens a folder to move it: nothing in it acts, and the log keeps its past. */
const open = (dir: string): Promise<App> =>
  start({ dir, app: false, retention: { log: Number.MAX_SAFE_INTEGER } })

/** The report. `from`: the folder that was moved. */
type Made = {
  readonly cluster: string
  readonly engine: string
  readonly shards: number
  readonly bytes?: number
  readonly from?: string
}

/**
 * Makes a cluster and says so. Resolves with the exit status. `shards`: as the configuration has it.
 * @throws KeelsonError `CONFLICT` if it was made before; `CONFIG` if the engine keeps fewer copies
 * than the configuration wants; as `moveFolder`; as the engine
 */
export const clusterCreate = (
  cluster: ClusterOptions | undefined,
  shards: number | undefined,
  command: ClusterCreateCommand,
  environment: Environment,
): Promise<number> =>
  runOnEngine(
    cluster,
    command,
    environment,
    async ({ cluster: { name, engine }, durability, ...work }): Promise<Made> => {
      const { session, tools, clock, signal, display } = work
      if (durability.refusal !== undefined)
        throw configError('cluster.copies', 'as many as the engine keeps', durability.refusal)
      const made = { cluster: name, engine: engine.description }
      if (command.from !== undefined) {
        const dir = resolve(environment.cwd, command.from)
        const origin = { cluster: name, engine: engine.description }
        return {
          ...made,
          ...(await moveFolder({
            dir,
            disk: nodeDisk(),
            open,
            origin,
            copies: durability.copies,
            session,
            tools,
            clock,
            signal,
            display,
          })),
          from: dir,
        }
      }
      const count = command.shards ?? shards ?? 1
      await tools.makeCluster(session, clock, { shards: count, copies: durability.copies })
      return { ...made, shards: count }
    },
    {
      text: ({ cluster, engine, shards, from }) => {
        const made = `made the cluster ${cluster} with ${pluralText(shards, 'shard')} in ${engine}`
        if (from === undefined) return made
        return `${made}, with everything of ${from}, which is a cache now`
      },
    },
  )
