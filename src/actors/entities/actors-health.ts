/**
 * The troubles of the durable actors of an instance, for `health()`. Reading them wakes no actor.
 */
import { reasonText } from '../../errors.ts'
import { dueRows, parseDue, workerKind } from '../../storage/index.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import type { FailingTurn, WaitingTurn } from '../turns/actor-trouble.ts'
import { endName } from '../turns/lifetime.ts'
import { stepsName } from '../turns/memory.ts'
import type { Entities } from './entities.ts'
import { type ParkedTurn, parkedOf } from './parked-actors.ts'

/** A list of which `health()` shows the first ten. `count` says how long it is. */
export type Some<T> = { readonly count: number; readonly first: readonly T[] }

/** The durable actors of an instance that have trouble. */
export type ActorsHealth = {
  /** Turns that wait for space on the disk. Calls to their actors are `NO_SPACE`. */
  readonly waiting: Some<WaitingTurn>
  /** Actors with steps or alarms that fail and are tried again; 10,000 at most. */
  readonly failing: Some<FailingTurn>
  /** Steps and alarms whose tries have ended, until `unblock`; those of 10,000 actors a shard. */
  readonly parked: Some<ParkedTurn>
  /** Actors that answer `BLOCKED`, and why. */
  readonly blocked: Some<{ readonly entity: string; readonly reason: string }>
  /**
   * Alarms and steps that are due for more than 10 s and have not run; 1,000 of a shard at most.
   * Those of blocked actors, and of kinds that are not in the tree, are among them.
   */
  readonly overdue: Some<{ readonly entity: string; readonly what: string; readonly at: number }>
  /** How many turns were refused since the start, by code. */
  readonly refused: Readonly<Record<string, number>>
}

const shownMax = 10

/** Due actors are asked at once; a slow handler or a full disk may take some seconds. */
const overdueMs = 10_000
const overdueMax = 1_000

/** The troubles of the durable actors of an instance. */
export const actorsHealth = (entities: Entities): ActorsHealth => {
  const { waiting, failing, refused } = entities.trouble
  const failures = [...failing.values()].flatMap((ofActor) => [...ofActor.values()])
  return {
    waiting: some([...waiting.values()]),
    failing: some(failures),
    parked: some(parkedIn(entities)),
    blocked: some(blockedOf(entities)),
    overdue: some(entities.shards.flatMap(overdueOf)),
    refused: Object.fromEntries(refused),
  }
}

/** Work that is due without an alarm of the user's. */
const ownDue: Readonly<Record<string, string>> = { [stepsName]: 'a step', [endName]: 'its end' }

/** The list as `health()` shows it. */
export const some = <T>(items: readonly T[]): Some<T> => ({
  count: items.length,
  first: items.slice(0, shownMax),
})

const parkedIn = (entities: Entities): readonly ParkedTurn[] =>
  [...entities.kinds, workerKind].flatMap((kind) => {
    try {
      return [...parkedOf(entities, kind)].flatMap(([, parked]) => parked)
    } catch {
      // A damaged row is reported by its readers.
      return []
    }
  })

const blockedOf = (entities: Entities): ActorsHealth['blocked']['first'] => {
  const found = entities.kinds.flatMap((kind) =>
    [...(entities.kind(kind)?.blocked ?? [])].map(
      ([id, reason]) => [`${kind}/${id}`, reason] as const,
    ),
  )
  const workers = [...entities.trouble.blockedWorkers].map(
    ([id, reason]) => [`${workerKind}/${id}`, reason] as const,
  )
  return [...found, ...workers].map(([entity, reason]) => ({ entity, reason: reasonText(reason) }))
}

/** The overdue alarms and steps of a shard. */
export const overdueOf = (shard: ActorShard): ActorsHealth['overdue']['first'] => {
  const found: ActorsHealth['overdue']['first'][number][] = []
  if (shard.phase.kind !== 'open') return found
  try {
    for (const [rowKey] of shard.view().rows(dueRows(shard.now() - overdueMs))) {
      const { entity, name, dueMs: at } = parseDue(rowKey)
      const what = ownDue[name] ?? `alarm ${name}`
      if (found.push({ entity, what, at }) === overdueMax) break
    }
  } catch {
    // A damaged row is reported by its readers. Health answers with the rows before it.
  }
  return found
}
