/** Makes the logs of a new cluster, and the entry that says how many there are. */
import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { SharedSession } from '../ports/shared-engine.ts'
import { type ClusterTerms, factsIn, instanceEntry } from '../shared/cluster-directory.ts'

/**
 * Makes a cluster. Its entry comes last: until then it may be repeated as it is.
 * @throws KeelsonError `CONFLICT` if the cluster was made before; as the engine refuses
 */
export const makeCluster = async (
  session: SharedSession,
  clock: Clock,
  shards: number,
): Promise<void> => {
  const present = factsIn(await session.directory.view()).terms
  if (present) throw madeBefore(present.shards)
  for (let shard = 0; shard < shards; shard++)
    await session.log(`${shard}`).create(Buffer.from(clock.randomBytes(16)).toString('hex'))
  const terms: ClusterTerms = { shards, losses: 0 }
  try {
    await session.directory.set(instanceEntry, 0, JSON.stringify(terms))
  } catch (error) {
    throw isKeelsonError(error, 'CONFLICT') ? madeBefore(shards) : error
  }
}

const madeBefore = (shards: number): KeelsonError =>
  new KeelsonError('CONFLICT', 'the cluster was made before', { details: { shards } })
