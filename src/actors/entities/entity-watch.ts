/**
 * `watch` of a kind of entities: their durable changes from a position on, over all shards. The member
 * that has a shard chooses by `where`, so only what is wanted is sent.
 */
import type { KeelsonError } from '../../errors.ts'
import {
  decodeFrame,
  entityRowKey,
  type FrameUnits,
  type Row,
  type Turn,
  unitsIn,
} from '../../storage/index.ts'
import type { WatchSource } from '../store/shard-watch.ts'
import { type ChangePlace, checkedBegin, DurableWatch, type WatchBegin } from '../store/watch.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import type { Fields } from '../turns/memory.ts'
import { type Entities, expectKnown } from './entities.ts'
import {
  fieldsOf,
  orBlocked,
  receivedEntity,
  type SentEntity,
  sentEntity,
  stateInRow,
} from './entity-listing.ts'
import {
  type Condition,
  conditionsIn,
  copiedWhere,
  placeAfter,
  type Where,
} from './entity-where.ts'

/** The options of `watch`. */
export type EntityWatchOptions<F = Fields> = WatchBegin & {
  /**
   * At most 32 fields of the index, each with its value or bounds: turns after which all hold, and the one
   * after which they hold no longer, which has `left`.
   */
  readonly where?: Where<F>
}

/** A durable change of an entity: its state after a turn. */
export type EntityTurn<S = unknown> = ChangePlace & {
  readonly id: string
  /** `undefined`: the entity was removed, or `blocked` says why its row cannot be used. */
  readonly state: S | undefined
  readonly blocked?: KeelsonError
  /**
   * With `where`: it held for the entity, and does not after this turn, or the entity was removed. While
   * `catchingUp` it may come for an entity for which `where` did not hold.
   */
  readonly left?: true
}

/** A turn of an entity, with its main row after it; `undefined`: the turn has removed it. */
type TurnHere = {
  readonly lsn: number
  readonly time: number
  readonly entity: string
  readonly row: Row | undefined
  readonly left?: true
}

/** A turn as another member sends it. */
type SentTurn = SentEntity & { readonly left?: true }

type TurnItem = TurnHere | (Pick<TurnHere, 'lsn' | 'time'> & { readonly sent: SentTurn })

/** The terms of a watch, for the member that has a shard. */
type Terms = { readonly kind: string; readonly where?: object }

/** A running watch of a kind. End it with `return`, or leave the `for await` loop. */
export class EntityWatch<S = unknown> extends DurableWatch<TurnItem, EntityTurn<S>> {
  /** @internal For `EntityHandle.watch`. @throws KeelsonError as it says */
  constructor(entities: Entities, kind: string, options: EntityWatchOptions<never>) {
    const { where, ...begin } = checkedBegin(options, ['where'], entities.shards.length)
    const terms: Terms = where === undefined ? { kind } : { kind, where: copiedWhere(where) }
    const conditions = conditionsOf(terms)
    super(entities.shards, begin, {
      watches: (shard) => ({
        // A member that knows no `where` refuses it, and does not send every turn.
        what: where === undefined ? 'entities' : 'entities.where',
        terms,
        source: turnsIn(shard as ActorShard, kind, conditions),
        received: (body, stamp) => ({ ...stamp, sent: body as SentTurn }),
      }),
      shown: (item, place) => {
        const { left } = 'sent' in item ? item.sent : item
        const change = 'sent' in item ? receivedEntity(item.sent) : changeOf(entities, kind, item)
        return { ...(change as EntityTurn<S>), ...(left && { left }), ...place }
      },
    })
  }
}

/** The turns of a kind in a shard for another member. @throws KeelsonError `INVALID_ARGUMENT` */
export const turnsFor = (entities: Entities, shard: ActorShard, terms: unknown) => {
  const { kind } = terms as Terms
  expectKnown(entities, kind)
  return {
    source: turnsIn(shard, kind, conditionsOf(terms as Terms)),
    sent: (item: TurnHere): SentTurn => ({
      ...sentEntity(changeOf(entities, kind, item)),
      ...(item.left && { left: item.left }),
    }),
  }
}

const conditionsOf = ({ kind, where }: Terms): readonly Condition[] =>
  where === undefined ? [] : conditionsIn(kind, where)

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

/**
 * The turns of a kind in one shard, or the ones that `conditions` choose. While it reads the log, an
 * entity has its present row.
 */
const turnsIn = (
  shard: ActorShard,
  kind: string,
  conditions: readonly Condition[],
): WatchSource<TurnItem> => {
  const chosen = (
    item: TurnHere,
    turns: readonly Turn[],
    isExact: boolean,
  ): readonly TurnHere[] => {
    if (conditions.length === 0) return [item]
    const fields = item.row ? fieldsOf(item.row) : {}
    const place = placeAfter(conditions, turns, fields, isExact)
    if (place === undefined) return []
    return [place === 'in' ? item : { ...item, left: true }]
  }
  return {
    ofFrame: ({ frame: { lsn, time, units, answers, rows } }) => {
      const hasEffect = (at: number): boolean => answers[at]?.kind !== 'refused'
      return [...turnsOf(units, `${kind}/`, hasEffect)].flatMap(([entity, turns]) =>
        chosen({ lsn, time, entity, row: rows.get(entityRowKey(entity)) }, turns, true),
      )
    },
    ofLog: (read, end) => {
      const view = shard.view()
      const found = new Map<string, Pick<TurnHere, 'lsn' | 'time'> & { readonly turns: Turn[] }>()
      for (const { lsn, time, offset, length } of read.frames) {
        if (lsn >= end) break
        const { units } = decodeFrame(read.bytes.slice(offset, offset + length))
        for (const [entity, turns] of turnsOf(units, `${kind}/`)) {
          const all = found.get(entity)?.turns ?? []
          all.push(...turns)
          found.delete(entity)
          found.set(entity, { lsn, time, turns: all })
        }
      }
      return [...found].flatMap(([entity, { turns, ...stamp }]) =>
        chosen({ ...stamp, entity, row: view.row(entityRowKey(entity)) }, turns, false),
      )
    },
    bytesOf: (item) =>
      'entity' in item ? item.entity.length + (item.row?.value.bytes.length ?? 0) : 0,
  }
}

/** The turns in these units by their entities. */
const turnsOf = (
  units: FrameUnits,
  prefix: string,
  hasEffect: (at: number) => boolean = () => true,
): ReadonlyMap<string, readonly Turn[]> => {
  const found = new Map<string, Turn[]>()
  for (const [at, unit] of unitsIn(units).entries()) {
    if (unit.kind !== 'turn' || !unit.entity.startsWith(prefix) || !hasEffect(at)) continue
    const turns = found.get(unit.entity)
    if (turns) turns.push(unit)
    else found.set(unit.entity, [unit])
  }
  return found
}
