/** The rows of durable workers: what they were, and their removal. */

import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { name } from '../../runtime/index.ts'
import { checkEntityId, workerKind } from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import type { InstanceStreams } from '../streams/instance-streams.ts'
import { type StreamSource, streamOf } from '../streams/streams.ts'
import { removalOf } from '../turns/turn-draft.ts'
import type { Written } from '../turns/turn-log.ts'
import { undecidable } from '../turns/turn-run.ts'
import { writeTurn } from '../turns/turn-storage.ts'
import { otherKeysOf, storedOf } from '../turns/waking.ts'
import type { Entities } from './entities.ts'
import {
  checkDifference,
  differenceOf,
  historyOf,
  type PastOptions,
  type PastPage,
} from './entity-history.ts'
import type { StateChange } from './state-changes.ts'

/** One page of the turns of the durable worker of this name. @throws KeelsonError as `EntityHandle.history` */
export const workerHistory = async (
  entities: Entities,
  access: Access,
  id: string,
  options: PastOptions = noOptions,
): Promise<PastPage> => {
  access.check()
  const asked = { kind: workerKind, id: checkEntityId(id), method: 'history', rest: [options] }
  if (entities.isElsewhere(`${workerKind}/${id}`))
    return entities.askOwner(asked, {}) as Promise<PastPage>
  return historyOf(entities, workerKind, id, options)
}

/** The differences of its states as of two LSNs. @throws KeelsonError as `EntityHandle.diff` */
export const workerDiff = async (
  entities: Entities,
  access: Access,
  id: string,
  lsns: readonly [number, number],
  options: Pick<PastOptions, 'reveal'> = noOptions,
): Promise<readonly StateChange[]> => {
  access.check()
  const own = checkDifference(lsns, options)
  const rest = [...lsns, own]
  const asked = { kind: workerKind, id: checkEntityId(id), method: 'diff', rest }
  if (entities.isElsewhere(`${workerKind}/${id}`))
    return entities.askOwner(asked, {}) as Promise<readonly StateChange[]>
  return differenceOf(entities, workerKind, id, lsns, own)
}

/** The stream of the durable worker of this name, for its readers. @throws KeelsonError `INVALID_ARGUMENT` */
export const workerStream = <T>(
  streams: InstanceStreams,
  access: Access,
  id: string,
  stream: string,
): StreamSource<T> => streamOf<T>(streams, access, `${workerKind}/${checkEntityId(id)}`, stream)

/**
 * Removes all rows of the durable worker of this name. False: it has none.
 * @throws KeelsonError `CONFLICT` if a process has the name, or another one has written the rows
 * since they were read; `INVALID_ARGUMENT`, `SHARD_DOWN`, `NO_SPACE`, `UNKNOWN_OUTCOME`, `CLOSED`
 */
export const deleteWorker = async (
  entities: Entities,
  access: Access,
  id: string,
): Promise<boolean> => {
  access.check()
  const identity = entities.identity(workerKind, checkEntityId(id))
  const { entity } = identity
  const shard = entities.shardOf(entity)
  await shard.unlessStill(Promise.resolve(entities.decided(entity)))
  if (entities.system.whereis(name(id)))
    throw new KeelsonError('CONFLICT', `${id} runs: take the worker out of the tree first`)
  const stored = storedOf(shard, identity)
  if (stored.mark === undefined) return false
  const unit = removalOf(identity, stored, otherKeysOf(shard, entity))
  const fate = await new Promise<Written>((resolve) =>
    writeTurn(entities.system, shard, unit, resolve),
  )
  if (fate === 'unknown') throw undecidable(entity, undefined)
  if (fate !== 'durable') throw fate.error
  entities.trouble.failing.delete(entity)
  return true
}
