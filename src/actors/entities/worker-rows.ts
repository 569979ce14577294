/** The rows of a durable worker that is out of the tree. */
import { KeelsonError } from '../../errors.ts'
import { name } from '../../runtime/index.ts'
import { checkEntityId, workerKind } from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import { removalOf } from '../turns/turn-draft.ts'
import type { Written } from '../turns/turn-log.ts'
import { undecidable } from '../turns/turn-run.ts'
import { writeTurn } from '../turns/turn-storage.ts'
import { otherKeysOf, storedOf } from '../turns/waking.ts'
import type { Entities } from './entities.ts'

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
  return true
}
