/** Durable actors with parked steps or alarms, found by their index. A look; it wakes nobody. */

import { type ErrorCode, KeelsonError } from '../../errors.ts'
import { keptText } from '../../failure-record.ts'
import { call, name as nameOf } from '../../runtime/index.ts'
import {
  checkEntityId,
  encodeIndexValue,
  indexRowKey,
  indexRows,
  parseIndex,
  workerKind,
} from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import { foundFor, overOwners } from '../core/at-owner.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import { type Parked, parkedField, readParked } from '../turns/memory.ts'
import { type Entities, expectKind } from './entities.ts'
import { countsOf, fieldCountsIn } from './entity-totals.ts'

/** A step or an alarm whose tries have ended. It runs again after `unblock`. */
export type ParkedTurn = {
  readonly entity: string
  /** `continue charge`, or `alarm unpaid`. */
  readonly what: string
  /** The `context.step` of its tries. */
  readonly step: string
  readonly tries: number
  /** When its last try failed, in ms since 1970. */
  readonly at: number
  readonly error: string
}

/** The most rows of one shard that one look reads. */
const actorsMax = 10_000

/** The parked steps and alarms of the actors of a kind, by their ids. Shards that are down: none. */
export function* parkedOf(
  entities: Entities,
  kind: string,
  shards: readonly ActorShard[] = entities.shards,
): IterableIterator<readonly [id: string, readonly ParkedTurn[]]> {
  for (const shard of shards) {
    if (shard.phase.kind !== 'open') continue
    let seen = 0
    for (const [rowKey, row] of shard.view().rows(indexRows(kind, parkedField))) {
      const { id } = parseIndex(rowKey)
      yield [id, readParked(row.value.bytes).map((each) => turnOf(`${kind}/${id}`, each))]
      if (++seen === actorsMax) break
    }
  }
}

const turnOf = (entity: string, { kind, name, step, tries, failure }: Parked): ParkedTurn => ({
  entity,
  what: `${kind} ${name}`,
  step: `${entity}/${step}`,
  tries,
  at: failure.at,
  error: keptText(failure.error),
})

/** Why each actor of a kind with parked steps or alarms does not go on with them. */
export function* parkedActors(
  entities: Entities,
  kind: string,
  shards: readonly ActorShard[] = entities.shards,
): IterableIterator<readonly [id: string, reason: KeelsonError]> {
  for (const [id, parked] of parkedOf(entities, kind, shards)) {
    const said = parked.map(({ what, tries, error }) => `${what} after try ${tries}: ${error}`)
    const message = `${kind}/${id} has parked ${said.join('; ')}`
    yield [
      id,
      new KeelsonError('BLOCKED', message, { details: { entity: `${kind}/${id}`, parked } }),
    ]
  }
}

/** Why each entity of a kind in these shards does not go on: it could not wake, or has parked something. */
export function* blockedIn(
  entities: Entities,
  kind: string,
  shards: readonly ActorShard[],
): IterableIterator<readonly [id: string, reason: KeelsonError]> {
  const { blocked } = expectKind(entities, kind)
  yield* parkedActors(entities, kind, shards)
  for (const each of blocked)
    if (shards.includes(entities.shardOf(`${kind}/${each[0]}`))) yield each
}

/** An entity that does not go on, as a message has it. */
type SentBlocked = readonly [
  id: string,
  code: ErrorCode,
  message: string,
  details: KeelsonError['details'],
]

/** As `blockedIn`, over the shards of all members. */
export const blockedOverAll = async (
  entities: Entities,
  kind: string,
): Promise<ReadonlyMap<string, KeelsonError>> => {
  const found = await overOwners(
    entities.shards,
    (shards) => [...blockedIn(entities, kind, shards)],
    'entities.blocked',
    [kind],
    (sent: readonly SentBlocked[]) =>
      sent.map(
        ([id, code, message, details]) =>
          [id, new KeelsonError(code, message, { details })] as const,
      ),
  )
  return new Map(found.flat())
}

/** Answers another member. @throws KeelsonError as `foundFor` */
export const blockedHere = (entities: Entities, [indexes, kind]: readonly unknown[]) =>
  foundFor(entities.shards, indexes, (shards) =>
    [...blockedIn(entities, kind as string, shards)].map(
      ([id, { code, message, details }]): SentBlocked => [id, code, message, details],
    ),
  )

/** The most rows of one shard that are counted where the counters cannot be used. */
const countedMax = 1_000

/**
 * How many actors of a kind have parked steps or alarms, within one turn of the event loop. While
 * the counters cannot be used it is at most 1,000 of a shard. Shards that are down: none.
 * @throws KeelsonError `CORRUPT`
 */
export const parkedNow = (entities: Entities, kind: string): number => {
  let count = 0
  for (const shard of entities.shards) {
    if (shard.phase.kind !== 'open') continue
    const counts = fieldCountsIn(shard, kind, parkedField)
    if (counts) for (const counted of counts.values()) count += counted
    else count += rowsOf(shard.view().rows(indexRows(kind, parkedField)))
  }
  return count
}

const rowsOf = (rows: Iterable<unknown>): number => {
  let count = 0
  for (const _ of rows) if (++count === countedMax) break
  return count
}

/** How many actors of a kind have parked steps or alarms. Shards that are down: none. */
export const parkedCount = async (entities: Entities, kind: string): Promise<number> => {
  const shards = entities.shards.filter(({ phase }) => phase.kind === 'open')
  return (await countsOf({ system: entities.system, shards }, kind, parkedField)).get(null) ?? 0
}

/** Whether an actor has parked steps or alarms. @throws KeelsonError `SHARD_DOWN`, `CLOSED` */
export const hasParked = (entities: Entities, kind: string, id: string): boolean => {
  const row = indexRowKey(kind, parkedField, encodeIndexValue(null), id)
  return entities.shardOf(`${kind}/${id}`).view().row(row) !== undefined
}

/** Lets the parked steps and alarms of a durable worker run again. False: it has none. */
export const unblockWorker = async (
  entities: Entities,
  access: Access,
  worker: string,
): Promise<boolean> => {
  access.check()
  const isHere = !entities.isElsewhere(`${workerKind}/${checkEntityId(worker)}`)
  if (isHere && !hasParked(entities, workerKind, worker)) return false
  const ref = entities.system.to(nameOf<{ calls: { $unblock: () => boolean } }>(worker))
  if (ref.pid !== undefined && !entities.worker(worker))
    throw new KeelsonError('NO_PROCESS', `the process ${worker} is not a durable worker`)
  return call(ref, '$unblock')
}
