/** `watch` of a kind of entities: their durable changes from a position on, over all shards. */
import type { KeelsonError } from '../../errors.ts'
import {
  decodeFrame,
  entityRowKey,
  type FrameUnits,
  type Row,
  unitsIn,
} from '../../storage/index.ts'
import type { WatchSource } from '../store/shard-watch.ts'
import { type ChangePlace, checkedBegin, DurableWatch, type WatchBegin } from '../store/watch.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import type { Entities } from './entities.ts'
import { orBlocked, stateInRow } from './entity-listing.ts'

/** A durable change of an entity: its state after a turn. */
export type EntityTurn<S = unknown> = ChangePlace & {
  readonly id: string
  /** `undefined`: the entity was removed, or `blocked` says why its row cannot be used. */
  readonly state: S | undefined
  readonly blocked?: KeelsonError
}

/** A turn of an entity, with its main row after it; `undefined`: the turn has removed it. */
type TurnItem = {
  readonly lsn: number
  readonly time: number
  readonly entity: string
  readonly row: Row | undefined
}

/** A running watch of a kind. End it with `return`, or leave the `for await` loop. */
export class EntityWatch<S = unknown> extends DurableWatch<TurnItem, EntityTurn<S>> {
  /** For `EntityHandle.watch`. @throws KeelsonError as it says */
  constructor(entities: Entities, kind: string, options: WatchBegin) {
    const begin = checkedBegin(options, [], entities.shards.length)
    super(entities.shards, begin, {
      source: (shard) => turnsIn(shard as ActorShard, `${kind}/`),
      shown: (item, place) => ({ ...changeOf<S>(entities, kind, item), ...place }),
    })
  }
}

const changeOf = <S>(
  entities: Entities,
  kind: string,
  { entity, row }: TurnItem,
): Pick<EntityTurn<S>, 'id' | 'state' | 'blocked'> => {
  const id = entity.slice(kind.length + 1)
  return orBlocked(
    () => ({ id, state: row && (stateInRow(entities, kind, id, row) as S) }),
    (blocked) => ({ id, state: undefined, blocked }),
  )
}

/** The turns of a kind in one shard. While the watch reads the log, an entity has its present row. */
const turnsIn = (shard: ActorShard, prefix: string): WatchSource<TurnItem> => ({
  ofFrame: ({ frame: { lsn, time, units, answers, rows } }) =>
    [...entitiesIn(units, prefix, (at) => answers[at]?.kind !== 'refused')].map((entity) => ({
      ...{ lsn, time, entity, row: rows.get(entityRowKey(entity)) },
    })),
  ofLog: (read, end) => {
    const view = shard.view()
    const items = new Map<string, TurnItem>()
    for (const { lsn, time, offset, length } of read.frames) {
      if (lsn >= end) break
      const { units } = decodeFrame(read.bytes.slice(offset, offset + length))
      for (const entity of entitiesIn(units, prefix)) {
        items.delete(entity)
        items.set(entity, { lsn, time, entity, row: view.row(entityRowKey(entity)) })
      }
    }
    return [...items.values()]
  },
  bytesOf: ({ entity, row }) => entity.length + (row?.value.bytes.length ?? 0),
})

/** The entities whose main rows these units set, each once. */
const entitiesIn = (
  units: FrameUnits,
  prefix: string,
  hasEffect: (at: number) => boolean = () => true,
): ReadonlySet<string> =>
  new Set(
    unitsIn(units).flatMap((unit, at) =>
      unit.kind === 'turn' && unit.entity.startsWith(prefix) && hasEffect(at) ? [unit.entity] : [],
    ),
  )
