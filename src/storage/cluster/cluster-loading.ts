/** Loads what the commands of `keelson cluster` do on an engine. No instance loads it. */
import type { drainMember } from './cluster-drain.ts'
import type { acceptLoss, findLoss } from './cluster-loss.ts'
import type { changeCopies, makeCluster } from './cluster-making.ts'
import type { beginMove, bytesToMove, endMove, moveShard } from './cluster-moving.ts'
import type { surveyCluster } from './cluster-survey.ts'

/** The acts on a cluster from outside. */
export type ClusterTools = {
  readonly surveyCluster: typeof surveyCluster
  readonly makeCluster: typeof makeCluster
  readonly changeCopies: typeof changeCopies
  readonly beginMove: typeof beginMove
  readonly bytesToMove: typeof bytesToMove
  readonly moveShard: typeof moveShard
  readonly endMove: typeof endMove
  readonly drainMember: typeof drainMember
  readonly findLoss: typeof findLoss
  readonly acceptLoss: typeof acceptLoss
}

/** Loads the modules. */
export const loadClusterTools = async (): Promise<ClusterTools> => {
  const loaded = await Promise.all([
    import('./cluster-survey.ts'),
    import('./cluster-making.ts'),
    import('./cluster-drain.ts'),
    import('./cluster-loss.ts'),
    import('./cluster-moving.ts'),
  ])
  return Object.assign({}, ...loaded)
}
