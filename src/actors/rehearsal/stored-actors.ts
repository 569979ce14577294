/**
 * The rows of all durable actors of an instance, for a program that runs none of them: a rehearsal. The
 * listings of kinds decode rows by the servers of the program that runs; nothing decodes them here.
 */
import { KeelsonError } from '../../errors.ts'
import {
  alarmRows,
  entityOfRow,
  entityRowsAfter,
  type Row,
  type RowRange,
} from '../../storage/index.ts'
import type { Entities } from '../entities/entities.ts'
import { rowsHere } from '../entities/entity-rows.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import type { StoredActor } from '../turns/judgement.ts'
import type { ReadRows } from '../turns/own-rows.ts'

/** So many rows are read in one turn of the event loop. */
const pageRows = 500

/**
 * The actors of all shards, in pages that are each read at once.
 * @throws KeelsonError `ELSEWHERE` if other members have some of the shards; `SHARD_DOWN`, `CLOSED`,
 * `CORRUPT`
 */
export function* storedActors(
  entities: Entities,
): Iterable<{ readonly shard: number; readonly actors: readonly StoredActor[] }> {
  const { shards, shardsHere } = entities
  if (shardsHere.length < shards.length) throw notAll(shardsHere.length, shards.length)
  for (const shard of shardsHere)
    for (let rest: RowRange | undefined = entityRowsAfter(); rest; ) {
      const page = pageIn(shard, rest)
      rest = page.rest
      yield { shard: shard.index, actors: page.actors }
    }
}

/** A part of the data would be judged as if it were all. */
const notAll = (here: number, all: number): KeelsonError =>
  new KeelsonError(
    'ELSEWHERE',
    `this member has ${here} of ${all} shards: use \`keelson rehearse DIR\`, which reads a backup of all members`,
    { details: { here, all } },
  )

const pageIn = (
  shard: ActorShard,
  range: RowRange,
): { readonly actors: readonly StoredActor[]; readonly rest?: RowRange } => {
  const actors: StoredActor[] = []
  for (const [rowKey, main] of shard.view().rows(range)) {
    actors.push(storedActor(shard, entityOfRow(rowKey), main))
    if (actors.length === pageRows) return { actors, rest: { ...range, gt: rowKey } }
  }
  return { actors }
}

/** An actor with this main row, and its alarms. */
export const storedActor = (shard: ActorShard, entity: string, main: Row): StoredActor => {
  const slash = entity.indexOf('/')
  const alarms = [...shard.view().rows(alarmRows(entity))].map(
    ([key, row]) => [key.slice(key.lastIndexOf('\0') + 1), row] as const,
  )
  return { kind: entity.slice(0, slash), id: entity.slice(slash + 1), main, alarms }
}

/** The rows that an actor keeps itself. */
export const ownRowsOf = (
  entities: Entities,
  { kind, id }: Pick<StoredActor, 'kind' | 'id'>,
): ReadRows => rowsHere(entities, `${kind}/${id}`)
