/** `keelson cluster`: commands on the engine that the configuration names. */

import type { StartOptions } from '../../supervisors/index.ts'
import {
  clusterAcceptLoss,
  clusterCopies,
  clusterCreate,
  clusterDrain,
  clusterMove,
} from '../cluster/cluster-changes.ts'
import type { ClusterCommand } from '../cluster/cluster-command-line.ts'
import { clusterStatus } from '../cluster/cluster-status.ts'
import { readConfiguration } from '../command/configuration-file.ts'
import type { Environment } from '../command/environment.ts'

/** Runs the command and resolves with the exit status. @throws KeelsonError as the command */
export const runCluster = async (
  command: ClusterCommand,
  environment: Environment,
): Promise<number> => {
  const { cwd } = environment
  const { options } = await readConfiguration({ cwd, config: command.config, dir: undefined })
  return runClusterOn(options, command, environment)
}

/** The same, with the options of the configuration. */
export const runClusterOn = (
  { cluster, shards }: Pick<StartOptions, 'cluster' | 'shards'>,
  command: ClusterCommand,
  environment: Environment,
): Promise<number> => {
  if (command.kind === 'cluster status') return clusterStatus(cluster, command, environment)
  if (command.kind === 'cluster drain') return clusterDrain(cluster, command, environment)
  if (command.kind === 'cluster move') return clusterMove(cluster, command, environment)
  if (command.kind === 'cluster accept-loss')
    return clusterAcceptLoss(cluster, command, environment)
  if (command.kind === 'cluster copies') return clusterCopies(cluster, command, environment)
  return clusterCreate(cluster, { ...command, shards: command.shards ?? shards }, environment)
}
