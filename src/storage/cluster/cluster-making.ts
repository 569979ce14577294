/** Makes the logs of a new cluster, and the entry that says how many there are. */
import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { Directory, SharedSession } from '../ports/shared-engine.ts'
import {
  beingMoved,
  type ClusterTerms,
  factsIn,
  instanceEntry,
} from '../shared/cluster-directory.ts'

/**
 * Makes a cluster. Its entry comes last: until then it may be repeated as it is.
 * @throws KeelsonError `CONFLICT` if the cluster was made before; as the engine refuses
 */
export const makeCluster = async (
  session: SharedSession,
  clock: Clock,
  shards: number,
): Promise<void> => {
  const { terms: present, isMoving } = factsIn(await session.directory.view())
  if (present) throw madeBefore(present.shards)
  if (isMoving) throw beingMoved()
  for (let shard = 0; shard < shards; shard++)
    await session.log(`${shard}`).create(Buffer.from(clock.randomBytes(16)).toString('hex'))
  await setTerms(session.directory, { shards, losses: 0 })
}

/** Sets the entry that makes the cluster. @throws KeelsonError `CONFLICT` if it was made before */
export const setTerms = async (directory: Directory, terms: ClusterTerms): Promise<void> => {
  try {
    await directory.set(instanceEntry, 0, JSON.stringify(terms))
  } catch (error) {
    throw isKeelsonError(error, 'CONFLICT') ? madeBefore(terms.shards) : error
  }
}

/** The refusal to make a cluster again. */
export const madeBefore = (shards: number): KeelsonError =>
  new KeelsonError('CONFLICT', 'the cluster was made before', { details: { shards } })
