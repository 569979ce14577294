/** `keelson cluster create`: makes an empty cluster in the engine. */
import { configError } from '../../errors.ts'
import type { ClusterOptions } from '../../supervisors/index.ts'
import type { Environment } from '../command/environment.ts'
import { pluralText } from '../text/quantities.ts'
import type { ClusterCreateCommand } from './cluster-command-line.ts'
import { runOnEngine } from './cluster-engine.ts'

/**
 * Makes a cluster and says so. Resolves with the exit status. `shards`: as the configuration has it.
 * @throws KeelsonError `CONFLICT` if it was made before; `CONFIG` if the engine keeps fewer copies
 * than the configuration wants; as the engine
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
    async ({ cluster: { name, engine }, session, tools, durability, clock }) => {
      if (durability.refusal !== undefined)
        throw configError('cluster.copies', 'as many as the engine keeps', durability.refusal)
      const count = command.shards ?? shards ?? 1
      await tools.makeCluster(session, clock, count)
      return { cluster: name, engine: engine.description, shards: count }
    },
    {
      text: ({ cluster, engine, shards }) =>
        `made the cluster ${cluster} with ${pluralText(shards, 'shard')} in ${engine}`,
    },
  )
