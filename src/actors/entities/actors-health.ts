/**
 * The troubles of the durable actors of an instance, for `health()`. Reading them wakes no actor.
 */

import { reasonText } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import {
  dueRows,
  entityOfRow,
  entityRowsAfter,
  isKindOfEntities,
  parseDue,
  workerKind,
} from '../../storage/index.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import type { FailingTurn, WaitingTurn } from '../turns/actor-trouble.ts'
import { hangsMs, type TurnAtWork } from '../turns/actor-work.ts'
import { stuckTries } from '../turns/failure-log.ts'
import type { JudgementHealth } from '../turns/judgement.ts'
import { endName } from '../turns/lifetime.ts'
import { stepsName } from '../turns/memory.ts'
import type { Entities } from './entities.ts'
import { type ParkedTurn, parkedNow, parkedOf } from './parked-actors.ts'

/** A list of which `health()` shows the first ten. `count` says how long it is. */
export type Some<T> = { readonly count: number; readonly first: readonly T[] }

/** The durable actors of an instance that have trouble. */
export type ActorsHealth = {
  /** Turns that wait for space on the disk. Calls to their actors are `NO_SPACE`. */
  readonly waiting: Some<WaitingTurn>
  /**
   * Steps and alarms of actors, steps of runs and jobs of queues that fail and are tried again; of
   * 10,000 actors at most. Actors that failed three times or more come first.
   */
  readonly failing: Some<FailingTurn>
  /** Steps and alarms whose tries have ended, until `unblock`. `count` is of their actors. */
  readonly parked: Some<ParkedTurn>
  /** Actors that answer `BLOCKED`, and why. `since`: in ms since 1970, as seen since the start. */
  readonly blocked: Some<{
    readonly entity: string
    readonly reason: string
    readonly since?: number
  }>
  /** Steps and alarms whose handlers have run for more than 10 s. Their actors handle nothing else. */
  readonly hanging: Some<TurnAtWork>
  /**
   * Alarms and steps that are due for more than 10 s and have not run; 1,000 of a shard at most.
   * Those of blocked actors, and of kinds that are not in the tree, are among them.
   */
  readonly overdue: Some<{ readonly entity: string; readonly what: string; readonly at: number }>
  /**
   * Kinds that have rows here and are not in the tree, each with its first entity. Workflows, queues
   * and schedules have kinds, too. Their rows rest until a program has them.
   */
  readonly missing: Some<{ readonly kind: string; readonly entity: string }>
  /**
   * Actors at rest that this program would block when they wake: runs whose bodies diverge, states
   * without a `migrate`. They are judged after a start, and when a shard comes; each leaves the list
   * when it wakes.
   */
  readonly wouldBlock: JudgementHealth
  /** How many turns were refused since the start, by code. */
  readonly refused: Readonly<Record<string, number>>
}

const shownMax = 10

/** Due actors are asked at once; a slow handler or a full disk may take some seconds. */
const overdueMs = 10_000
const overdueMax = 1_000

/**
 * The troubles of the durable actors of an instance. It is asked each second, also when very many
 * actors have the same trouble. So only the items that are shown are read.
 */
export const actorsHealth = (entities: Entities): ActorsHealth => {
  const { waiting, refused } = entities.trouble
  return {
    waiting: { count: waiting.size, first: firstOf(waiting.values()) },
    failing: failingIn(entities),
    parked: parkedIn(entities),
    blocked: blockedIn(entities),
    hanging: some(hangingIn(entities)),
    overdue: some(entities.shards.flatMap(overdueOf)),
    missing: some(missingIn(entities)),
    wouldBlock: entities.judgement.health,
    refused: Object.fromEntries(refused),
  }
}

const hangingIn = ({ work, system }: Entities): readonly TurnAtWork[] => {
  const since = system.clock.now() - hangsMs
  return [...work.turnsBefore(since), ...work.handledBefore(since)]
}

/** One look for each kind of a shard. While the tree starts, a kind may be on its way. */
const missingIn = (entities: Entities): ActorsHealth['missing']['first'] => {
  const found = new Map<string, string>()
  if (entities.work.isStarting) return []
  for (const shard of entities.shardsHere)
    try {
      for (const entity of firstOfKinds(shard)) {
        const kind = entity.slice(0, entity.indexOf('/'))
        if (isKindOfEntities(kind) && !entities.knows(kind) && !found.has(kind))
          found.set(kind, entity)
      }
    } catch {
      // As for overdue work.
    }
  return [...found].map(([kind, entity]) => ({ kind, entity }))
}

/** The first entity of each kind in a shard. */
function* firstOfKinds(shard: ActorShard): Generator<string> {
  for (let kind: string | undefined; ; ) {
    const [first] = shard.view().rows(entityRowsAfter(kind))
    if (first === undefined) return
    const entity = entityOfRow(first[0])
    yield entity
    kind = entity.slice(0, entity.indexOf('/'))
  }
}

/** Work that is due without an alarm of the user's. */
const ownDue: Readonly<Record<string, string>> = { [stepsName]: 'a step', [endName]: 'its end' }

/** The list as `health()` shows it. */
export const some = <T>(items: readonly T[]): Some<T> => ({
  count: items.length,
  first: items.slice(0, shownMax),
})

const firstOf = <T>(items: Iterable<T>): readonly T[] => {
  const first: T[] = []
  for (const item of items) if (first.push(item) === shownMax) break
  return first
}

function* membersOf<T>(maps: Iterable<ReadonlyMap<unknown, T>>): Generator<T> {
  for (const map of maps) yield* map.values()
}

/** The first ten stuck turns; fewer, if fewer are stuck. */
const failingIn = ({ trouble }: Entities): ActorsHealth['failing'] => {
  const stuck: FailingTurn[] = []
  const others: FailingTurn[] = []
  for (const turn of membersOf(trouble.failing.values())) {
    const list = turn.tries >= stuckTries ? stuck : others
    if (list.length < shownMax) list.push(turn)
    if (stuck.length === shownMax) break
  }
  return {
    count: [...trouble.failing.values()].reduce((sum, { size }) => sum + size, 0),
    first: [...stuck, ...others].slice(0, shownMax),
  }
}

/** A damaged row is reported by its readers. Until then nothing is shown of what is parked. */
const parkedIn = (entities: Entities): ActorsHealth['parked'] => {
  const kinds = [...entities.kinds, workerKind]
  try {
    const count = kinds.reduce((sum, kind) => sum + parkedNow(entities, kind), 0)
    return { count, first: firstOf(parkedTurns(entities, kinds)) }
  } catch {
    return some([])
  }
}

function* parkedTurns(entities: Entities, kinds: readonly string[]): Generator<ParkedTurn> {
  for (const kind of kinds) for (const [, parked] of parkedOf(entities, kind)) yield* parked
}

const blockedIn = (entities: Entities): ActorsHealth['blocked'] => {
  const { trouble } = entities
  const byKind = [
    ...entities.kinds.map((kind) => [kind, entities.kind(kind)?.blocked ?? new Map()] as const),
    [workerKind, trouble.blockedWorkers] as const,
  ]
  return {
    count: byKind.reduce((sum, [, { size }]) => sum + size, 0),
    first: byKind
      .flatMap(([kind, blocked]) =>
        firstOf(blocked).map(([id, reason]) => [`${kind}/${id}`, reason]),
      )
      .slice(0, shownMax)
      .map(([entity, reason]) => {
        const since = trouble.blockedSince(reason)
        return { entity, reason: reasonText(reason), ...(since !== undefined && { since }) }
      }),
  }
}

/** The overdue alarms and steps of a shard; none of one that cannot be read. */
export const overdueOf = (shard: ActorShard): ActorsHealth['overdue']['first'] => {
  const found: ActorsHealth['overdue']['first'][number][] = []
  try {
    for (const [rowKey] of shard.view().rows(dueRows(shard.now() - overdueMs))) {
      const { entity, name, dueMs: at } = parseDue(rowKey)
      const what = ownOf(ownDue, name) ?? `alarm ${name}`
      if (found.push({ entity, what, at }) === overdueMax) break
    }
  } catch {
    // A damaged row is reported by its readers. Health answers with the rows before it.
  }
  return found
}
