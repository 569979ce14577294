/** The explicit way back of a shard that is down, and of followers that gave up. */
import { type Control, type Shard, tell } from '../actors/index.ts'
import { KeelsonError } from '../errors.ts'
import { type Name, restartChild, type SupervisorMessages, type System } from '../runtime/index.ts'
import { treeNames } from './instance-tree.ts'

/**
 * Starts the part again when it is down; on what runs it does nothing and says so.
 * @throws KeelsonError `SHARD_DOWN` when it is down again, with the reason as its cause
 */
export const reopen = async (
  system: System,
  shard: Shard,
  part: Control.ReopenPart,
): Promise<Control.Reopened> => {
  const names = treeNames(shard.parts.instance)
  const { index } = shard
  if (part === 'followers') {
    const runs = system.whereis(names.followers(index)) !== undefined
    if (runs) return { shard: index, part, was: 'running' }
    await restarted(system, names.shard(index), `followers(${index})`, shard)
    return { shard: index, part, was: 'down' }
  }
  if (shard.phase.kind !== 'down') {
    // Somebody else may be reopening it: what comes of that is the answer.
    if ((await shard.settled()).kind !== 'open') throw shard.unavailable()
    return { shard: index, part, was: 'running' }
  }
  await ended(system, names.shard(index))
  // Somebody else may have asked at the same time.
  if (shard.phase.kind === 'down') {
    shard.clearDown()
    await restarted(system, names.shards, `shard(${index})`, shard)
  }
  const phase = await shard.settled()
  if (phase.kind !== 'open') throw shard.unavailable()
  tell(system, shard, 'shard.reopened', {})
  return { shard: index, part, was: 'down' }
}

/** A shard that has just gone down may still be stopping: what is started again must not meet what is left of it. */
const ended = (system: System, name: Name<SupervisorMessages>): Promise<void> =>
  new Promise((resolve) => {
    system.monitor(name, () => resolve())
  })

/** Starts a child that its supervisor has kept the place of. */
const restarted = async (
  system: System,
  supervisor: Name<SupervisorMessages>,
  id: string,
  shard: Shard,
): Promise<void> => {
  const result = await restartChild(system.to(supervisor), id)
  // Its supervisor may have started it by itself: what comes of that is the answer.
  if (result.ok || result.reason === 'running' || result.reason === 'restarting') return
  throw new KeelsonError('SHARD_DOWN', `${id} cannot be started again.`, {
    details: { shard: shard.index, state: 'down', reason: result.reason },
    cause: result.reason,
  })
}
