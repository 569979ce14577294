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
import { type Entities, expectKnown } from './entities.ts'
import {
  orBlocked,
  receivedEntity,
  type SentEntity,
  sentEntity,
  stateInRow,
} from './entity-listing.ts'

/** A durable change of an entity: its state after a turn. */
export type EntityTurn<S = unknown> = ChangePlace & {
  readonly id: string
  /** `undefined`: the entity was removed, or `blocked` says why its row cannot be used. */
  readonly state: S | undefined
  readonly blocked?: KeelsonError
}

/** A turn of an entity, with its main row after it; `undefined`: the turn has removed it. */
type TurnHere = {
  readonly lsn: number
  readonly time: number
  readonly entity: string
  readonly row: Row | undefined
}

type TurnItem = TurnHere | (Pick<TurnHere, 'lsn' | 'time'> & { readonly sent: SentEntity })

/** A running watch of a kind. End it with `return`, or leave the `for await` loop. */
export class EntityWatch<S = unknown> extends DurableWatch<TurnItem, EntityTurn<S>> {
  /** @internal For `EntityHandle.watch`. @throws KeelsonError as it says */
  constructor(entities: Entities, kind: string, options: WatchBegin) {
    const begin = checkedBegin(options, [], entities.shards.length)
    super(entities.shards, begin, {
      watches: (shard) => ({
        what: 'entities',
        terms: { kind },
        source: turnsIn(shard as ActorShard, `${kind}/`),
        received: (body, stamp) => ({ ...stamp, sent: body as SentEntity }),
      }),
      shown: (item, place) => {
        const change = 'sent' in item ? receivedEntity(item.sent) : changeOf(entities, kind, item)
        return { ...(change as EntityTurn<S>), ...place }
      },
    })
  }
}

/** The turns of a kind in a shard for another member. @throws KeelsonError `INVALID_ARGUMENT` */
export const turnsFor = (entities: Entities, shard: ActorShard, terms: unknown) => {
  const { kind } = terms as { readonly kind: string }
  expectKnown(entities, kind)
  return {
    source: turnsIn(shard, `${kind}/`),
    sent: (item: TurnHere) => sentEntity(changeOf(entities, kind, item)),
  }
}

const changeOf = (
  entities: Entities,
  kind: string,
  { entity, row }: TurnHere,
): Pick<EntityTurn, 'id' | 'state' | 'blocked'> => {
  const id = entity.slice(kind.length + 1)
  return orBlocked(
    () => ({ id, state: row && stateInRow(entities, kind, id, row) }),
    (blocked) => ({ id, state: undefined, blocked }),
  )
}

/** The turns of a kind in one shard. While the watch reads the log, an entity has its present row. */
const turnsIn = (shard: ActorShard, prefix: string): WatchSource<TurnItem> => ({
  ofFrame: ({ frame: { lsn, time, units, answers, rows } }) =>
    [...entitiesIn(units, prefix, (at) => answers[at]?.kind !== 'refused')].map((entity) => ({
      lsn,
      time,
      entity,
      row: rows.get(entityRowKey(entity)),
    })),
  ofLog: (read, end) => {
    const view = shard.view()
    const items = new Map<string, TurnHere>()
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
  bytesOf: (item) =>
    'entity' in item ? item.entity.length + (item.row?.value.bytes.length ?? 0) : 0,
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
