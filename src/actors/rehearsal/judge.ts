/**
 * The process that judges the actors at rest: would the running program block them when they wake? After
 * a start it judges all actors of the shards here. When a shard comes from another member it judges the
 * actors of that shard, and when a kind begins to run it judges the entities of that kind. It wakes
 * nobody. It reads the rows in short steps, with pauses in between. It is apart from `judgement.ts`, which
 * keeps its findings, because they outlive the process.
 */
import { isKeelsonError, type KeelsonError, reasonText } from '../../errors.ts'
import {
  type ChildSpec,
  type Context,
  call,
  type GenServer,
  noReply,
  ok,
  reply,
  TimeSlice,
  worker,
} from '../../runtime/index.ts'
import { entityOfRow, entityRows, type RowRange } from '../../storage/index.ts'
import { isCount, isIgnored } from '../core/payload-check.ts'
import type { Entities } from '../entities/entities.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import type { KindJudge, StoredActor, WouldBlock } from '../turns/judgement.ts'
import { actorVerdicts } from './actor-verdicts.ts'
import { storedActor } from './stored-actors.ts'

type Messages = {
  casts: {
    /** Takes up what runs by now: kinds that were not judged, in the shards here. */
    kinds: () => void
    shard: (index: number) => void
    /** The next step. */
    step: () => void
  }
  calls: {
    /** Judges all once more; answers how many parts there are. */
    again: () => number
  }
}

/** The actors of one kind in one shard that are to be judged; `range`: the rows that are left. */
type Part = { readonly kind: string; readonly shard: ActorShard; readonly range: RowRange }

type State = {
  readonly entities: Entities
  /** The kinds that were taken up. */
  readonly kinds: Set<string>
  /** The parts that are to be judged, in this order. */
  readonly parts: Part[]
  /** Whether a step is on its way. */
  isStepping: boolean
}

/** So many actors are judged in one step, and so many rows are looked at. */
const stepActors = 50
const stepRows = 500
/** So many runs may stand still before they are waited for: their bodies are in memory. */
const stillMax = 500
/** A start, or a shard that comes, has its own work first. */
const beginMs = 1_000
/** A shard that cannot be read now is tried again after so long. */
const againMs = 1_000

/** The process as a part of the tree of an instance. If it fails, only the judgement ends. */
export const judgeSpec = (entities: Entities): ChildSpec =>
  worker('judge', server, entities, { restart: 'temporary', shutdown: 'brutal_kill' })

const server: GenServer<Messages, State, Entities, unknown> = {
  kind: 'judge',
  init: (entities, context) => {
    const { judgement } = entities
    const own = context.to(context.self)
    const stops = [
      entities.onRuns(() => context.cast(own, 'kinds')),
      entities.onArrival(({ index }) => context.cast(own, 'shard', index)),
    ]
    const state: State = { entities, kinds: new Set(), parts: [], isStepping: false }
    judgement.again = () => call(own, 'again')
    // The runs that an earlier judge has begun with are lost with it.
    judgement.onJudge = (names) => {
      for (const kind of names) state.kinds.delete(kind)
      context.cast(own, 'kinds')
    }
    context.system.monitor(context.self, () => {
      for (const stop of stops) stop()
      judgement.again = undefined
      judgement.onJudge = undefined
      judgement.left = 0
    })
    context.cast(own, 'kinds')
    return ok(state)
  },
  accepts: {
    calls: { again: isIgnored },
    casts: { kinds: isIgnored, shard: isCount, step: isIgnored },
    infos: {},
  },
  calls: {
    again: (state, _, context) => {
      const { entities, kinds, parts } = state
      parts.length = 0
      entities.judgement.begin()
      for (const kind of judgedKinds(entities)) kinds.add(kind)
      takeUp(state, [...kinds], entities.shardsHere, context)
      return reply(parts.length, state)
    },
  },
  casts: {
    kinds: (state, _, context) => {
      const { entities, kinds } = state
      const fresh = judgedKinds(entities).filter((kind) => !kinds.has(kind))
      for (const kind of fresh) kinds.add(kind)
      takeUp(state, fresh, entities.shardsHere, context)
      return noReply(state)
    },
    shard: (state, index, context) => {
      const { entities, kinds } = state
      const shards = entities.shardsHere.filter((shard) => shard.index === index)
      takeUp(state, [...kinds], shards, context)
      return noReply(state)
    },
    step: async (state, _, context) => {
      const pauseMs = await step(state)
      state.isStepping = pauseMs !== undefined
      if (pauseMs !== undefined) context.castAfter(pauseMs, 'step')
      return noReply(state)
    },
  },
}

/** The kinds of users, and the kinds that have their own judges. */
const judgedKinds = ({ known, judgement }: Entities): readonly string[] => [
  ...[...known.keys()].filter((kind) => !kind.startsWith('$')),
  ...judgement.judges.keys(),
]

const takeUp = (
  state: State,
  kinds: readonly string[],
  shards: readonly ActorShard[],
  context: Context<Messages, unknown>,
): void => {
  const { parts, entities } = state
  const others = parts.filter(({ kind, shard }) => !kinds.includes(kind) || !shards.includes(shard))
  parts.splice(0, parts.length, ...others)
  for (const shard of shards)
    for (const kind of kinds) {
      parts.push({ kind, shard, range: entityRows(kind) })
      entities.judgement.begins(kind, shard.index)
    }
  entities.judgement.left = leftOf(state)
  // A member without shards has judged nothing.
  if (state.isStepping || parts.length === 0) return
  state.isStepping = true
  context.castAfter(beginMs, 'step')
}

/** The parts that are left, and one more while bodies stand still. */
const leftOf = ({ entities, parts }: State): number =>
  parts.length + Number(stillIn(entities).length > 0)

/** Does one step. Returns the pause before the next step in ms; `undefined`: everything is judged. */
const step = async (state: State): Promise<number | undefined> => {
  const { entities, parts } = state
  const { judgement } = entities
  const [part] = parts
  if (!part) {
    await rest(entities, 0)
    judgement.left = 0
    report(entities)
    return undefined
  }
  const { walks } = part.shard.parts
  try {
    await walks.walkOn(async () => {
      const { actors, left } = actorsOf(entities, part)
      judgement.add(await judge(entities, part.kind, actors), entities.system.clock.now())
      judgement.counts(part.kind, part.shard.index, actors.length)
      parts.splice(0, 1, ...(left ? [left] : []))
    })
    await rest(entities, stillMax)
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    parts.splice(0, 1)
    if (isKeelsonError(error, 'SHARD_DOWN')) {
      parts.push(part)
      return againMs
    }
    // A shard that has left is judged by its next owner, and one that closes at the next start.
    const isGone = isKeelsonError(error, 'ELSEWHERE') || isKeelsonError(error, 'CLOSED')
    // Damaged rows would fail each time.
    if (!isGone) unjudged(entities, part, error)
  }
  judgement.left = leftOf(state)
  return walks.take()
}

/** The next actors of a part that are at rest. */
const actorsOf = (
  entities: Entities,
  part: Part,
): { readonly actors: readonly StoredActor[]; readonly left?: Part } => {
  const { kind, shard, range } = part
  const slice = new TimeSlice(entities.system.clock)
  const actors: StoredActor[] = []
  let rows = 0
  for (const [rowKey, main] of shard.view().rows(range)) {
    const entity = entityOfRow(rowKey)
    // An actor that is awake or blocked shows its own status.
    const isAtRest = !entities.holder(entity) && !entities.kind(kind)?.blocked.has(idOf(entity))
    if (isAtRest) actors.push(storedActor(shard, entity, main))
    if (actors.length === stepActors || ++rows === stepRows || slice.isSpent)
      return { actors, left: { kind, shard, range: { ...range, gt: rowKey } } }
  }
  return { actors }
}

const idOf = (entity: string): string => entity.slice(entity.indexOf('/') + 1)

const judge = async (
  entities: Entities,
  kind: string,
  actors: readonly StoredActor[],
): Promise<readonly WouldBlock[]> => {
  const own = entities.judgement.judges.get(kind)
  if (own) return stillAtRest(entities, await own.judge(actors))
  const table = entities.known.get(kind)
  if (!table) return []
  const server = { table, keepMs: undefined, hasKind: (name: string) => entities.knows(name) }
  return actors.flatMap((actor) => {
    const [found] = verdictsOf(() => actorVerdicts(actor, server))
    return found === undefined ? [] : { entity: `${kind}/${actor.id}`, reason: found }
  })
}

/** A row that is damaged blocks its actor, too. */
const verdictsOf = (judged: () => ReturnType<typeof actorVerdicts>): readonly string[] => {
  try {
    return judged().flatMap(({ level, what, reason }) =>
      level === 'blocks' ? `${what}: ${reason}` : [],
    )
  } catch (error) {
    if (isKeelsonError(error)) return [reasonText(error)]
    throw error
  }
}

/** Waits for the runs that stand still, if there are more than `max`. */
const rest = async (entities: Entities, max: number): Promise<void> => {
  for (const own of stillIn(entities))
    if (own.still > max) {
      const found = stillAtRest(entities, await own.rest())
      entities.judgement.add(found, entities.system.clock.now())
    }
}

/** The judges with runs that stand still. */
const stillIn = ({ judgement }: Entities): readonly KindJudge[] =>
  [...new Set(judgement.judges.values())].filter(({ still }) => still > 0)

/** A run may have woken while it was judged. */
const stillAtRest = (entities: Entities, found: readonly WouldBlock[]): readonly WouldBlock[] =>
  found.filter(({ entity }) => !entities.holder(entity) && !entities.isElsewhere(entity))

const unjudged = ({ system }: Entities, { kind, shard }: Part, reason: KeelsonError): void => {
  const text = `the rest of the kind ${kind} in shard ${shard.index} is not judged: ${reasonText(reason)}`
  system.logger.warn(text, { kind, shard: shard.index, reason })
}

const report = ({ judgement, system }: Entities): void => {
  judgement.over()
  const { count, first, judged } = judgement.health
  const [example] = first
  if (!example) return
  const text = `of ${judged} actors at rest ${count} would be blocked when they wake, such as ${example.entity}: ${example.reason}`
  system.logger.warn(text, { count, judged, entity: example.entity })
}
