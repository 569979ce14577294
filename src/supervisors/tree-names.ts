/** The names of an instance's supervisors and of its registry. Pure. */
import { defaultInstance, instanceName, shardName } from '../actors/index.ts'
import type { Registry, SupervisorMessages } from '../runtime/index.ts'

/** The names of the supervisors. */
export const treeNames = (instance = defaultInstance) => ({
  root: instanceName<SupervisorMessages>('keelson', instance),
  shards: instanceName<SupervisorMessages>('shards', instance),
  registry: instanceName<Registry.Messages>('registry', instance),
  services: instanceName<SupervisorMessages>('services', instance),
  shard: (shard: number) => shardName<SupervisorMessages>('shard')(instance, shard),
  followers: (shard: number) => shardName<SupervisorMessages>('followers')(instance, shard),
})
