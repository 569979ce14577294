/** Makes the logs of a new cluster, and the entry that says how many there are. */
import type { Clock } from '../../clock.ts'
import { configError, isKeelsonError, KeelsonError } from '../../errors.ts'
import { type Directory, type EngineSession, entryText } from '../../storage/index.ts'
import { makeLogs } from '../engine-log/owned-log-host.ts'
import {
  beingMoved,
  type ClusterTerms,
  factsIn,
  instanceEntry,
} from '../leases/cluster-directory.ts'
import { logOf, refuseRunning } from './cluster-survey.ts'

/**
 * Makes a cluster. Its entry comes last: until then it may be repeated as it is.
 * @throws KeelsonError `CONFLICT` if the cluster was made before; as the engine refuses
 */
export const makeCluster = async (
  session: EngineSession,
  clock: Clock,
  terms: Omit<ClusterTerms, 'losses'>,
): Promise<void> => {
  const { shards } = terms
  const { terms: present, isMoving } = factsIn(await session.directory.view())
  if (present) throw madeBefore(present.shards)
  if (isMoving) throw beingMoved()
  await refuseOthers(session, shards)
  await makeLogs((shard) => session.log(`${shard}`), clock, shards)
  await setTerms(session.directory, { ...terms, losses: 0 })
}

/**
 * Refuses another number of shards than the cluster had whose logs are there: its directory was lost.
 * @throws KeelsonError `CONFIG`
 */
const refuseOthers = async (session: EngineSession, shards: number): Promise<void> => {
  const hasFrames = async (shard: number): Promise<boolean> =>
    ((await logOf(session, shard)).head?.end.lsn ?? 0) > 0
  let found = 0
  while (await hasFrames(found)) found++
  if (found > 0 && found !== shards)
    throw configError('shards', `${found}, as the cluster has logs with frames`, shards)
}

/** Sets the entry that makes the cluster. @throws KeelsonError `CONFLICT` if it was made before */
export const setTerms = async (directory: Directory, terms: ClusterTerms): Promise<void> => {
  try {
    await directory.set(instanceEntry, 0, entryText(instanceEntry, terms))
  } catch (error) {
    throw isKeelsonError(error, 'CONFLICT') ? madeBefore(terms.shards) : error
  }
}

/** The refusal to make a cluster again. */
export const madeBefore = (shards: number): KeelsonError =>
  new KeelsonError('CONFLICT', 'the cluster was made before', { details: { shards } })

/**
 * Changes how many machines must have what is acknowledged. Returns the number before.
 * @throws KeelsonError `NO_SEGMENTS` without the cluster; `CONFLICT` while a member runs; `CLOSED`
 * when `signal` was aborted
 */
export const changeCopies = async (
  session: EngineSession,
  clock: Clock,
  signal: AbortSignal,
  copies: number,
): Promise<number> => {
  await refuseRunning(session, clock, signal)
  const view = await session.directory.view()
  const { terms } = factsIn(view)
  if (!terms) throw new KeelsonError('NO_SEGMENTS', 'the cluster was not made')
  const revision = view.entries.get(instanceEntry)?.revision ?? 0
  await session.directory.set(
    instanceEntry,
    revision,
    entryText(instanceEntry, { ...terms, copies }),
  )
  return terms.copies
}
