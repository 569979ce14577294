/**
 * Wakes the durable actors of a shard that have something to do: an alarm that is due, or a step
 * that no process has run. The rows of the projection say when (`due rows`, ordered by time). The
 * actor walks those that are due, and asks each of their actors once; its answer comes when its
 * turn is durable and the row is gone. Only what is being asked is in memory. Between walks it
 * rests until the next row is due.
 */
import {
  type Context,
  call,
  type GenServer,
  name as nameOf,
  noReply,
  ok,
  type Ref,
  type Settled,
  send,
  type Timer,
} from '../../runtime/index.ts'
import { dueRows, parseDue, type RowRange } from '../../storage/index.ts'
import { isIgnored, isSettled } from '../shard/payload-check.ts'
import type { Shard } from '../shard/shard.ts'
import { shardName } from '../shard/shard-name.ts'
import { rowsIn } from '../turns/waking.ts'
import { type Entities, workerKind } from './entities.ts'

/** The messages of the process. */
export type Messages = {
  casts: Record<never, never>
  infos: {
    /** Begins a walk. */
    walk: () => void
    /** Continues the walk. */
    step: () => void
    /** A row is due sooner than all known ones, a kind runs again, or the shard is open again. */
    sooner: () => void
    /** An actor has answered. */
    asked: (result: Settled<Asked>) => void
  }
  continues: { begin: () => void }
}

/** What became of a question. */
type Asked = { readonly rowKey: string; readonly entity: string; readonly isServed: boolean }

/** What the process of a shard's alarms is made from. */
export type Parts = { readonly shard: Shard; readonly entities: Entities }

type State = Parts & {
  /** The actors that are asked. */
  readonly asking: Set<string>
  /** Rows that could not be served, and until when they are left alone. */
  readonly later: Map<string, number>
  /** The last row seen; `undefined`: no walk is under way. */
  behind: string | undefined
  /** The walk passed a row of an actor that was being asked. */
  isMissed: boolean
  /** A message to continue the walk is in the mailbox. */
  isStepping: boolean
  timer: Timer | undefined
}

/**
 * The most actors that are asked at a time. A call of a user waits behind about so many turns. The
 * walk goes on when half of them have answered: one range for many rows.
 */
const askingMax = 64

/** The rows of one step. */
const rowsMax = 1_000

/** A row that is there after its answer is left alone for this time. */
const laterMs = 1_000

/** The most rows that are left alone. Beyond it the oldest are looked at sooner. */
const laterMax = 10_000

/** A question without an answer for this long gives its place to another actor. */
const patienceMs = 30_000

/** The server of a shard's alarms. */
export const server: GenServer<Messages, State, Parts, unknown> = {
  init: (parts) =>
    ok(
      {
        ...parts,
        ...{ asking: new Set<string>(), later: new Map<string, number>() },
        ...{ behind: undefined, isMissed: false, isStepping: false, timer: undefined },
      },
      { continue: ['begin'] },
    ),

  continues: {
    begin: (state, _, context) => {
      const sooner = () => void send(context.self, 'sooner')
      state.shard.due.listen(sooner)
      const unlisten = state.entities.onRuns(sooner)
      context.system.monitor(context.self, unlisten)
      walk(state, context)
      return noReply(state)
    },
  },

  accepts: {
    calls: {},
    casts: {},
    infos: { walk: isIgnored, step: isIgnored, sooner: isIgnored, asked: isSettled(isIgnored) },
  },

  infos: {
    walk: (state, _, context) => {
      state.timer = undefined
      walk(state, context)
      return noReply(state)
    },
    step: (state, _, context) => {
      step(state, context)
      return noReply(state)
    },
    sooner: (state, _, context) => {
      walk(state, context)
      return noReply(state)
    },
    asked: (state, result, context) => {
      if (result.ok) answered(state, result.value, context)
      return noReply(state)
    },
  },
}

/** The name of the process of a shard's alarms. */
export const name = shardName<Messages>('alarms')

type Own = Context<Messages, unknown>

/** Begins a walk at the first row, unless one is under way that another one will follow. */
const walk = (state: State, context: Own): void => {
  const { shard } = state
  if (state.behind !== undefined) state.isMissed = true
  else if (shard.phase.kind === 'open') {
    // What is set during the walk is noted from here on.
    shard.due.begin(Number.POSITIVE_INFINITY)
    state.behind = ''
    state.isMissed = false
    step(state, context)
  }
  // The rows are looked at when the shard is open again.
  else void shard.changed().then(() => send(context.self, 'sooner'))
}

/** Asks the actors of the next rows, as many as there is room for. */
const step = (state: State, context: Own): void => {
  const { shard, asking, behind } = state
  state.isStepping = false
  if (behind === undefined || asking.size >= askingMax) return
  if (shard.phase.kind !== 'open') {
    state.behind = undefined
    walk(state, context)
    return
  }
  const now = shard.now()
  let seen = 0
  for (const [rowKey] of rowsIn(shard, { ...dueRows(now), ...(behind && { gt: behind }) })) {
    if (asking.size >= askingMax) return
    if (seen++ === rowsMax) {
      stepSoon(state, context)
      return
    }
    state.behind = rowKey
    ask(state, rowKey, now, context)
  }
  rest(state, context)
}

/** Asks the actor of a row, unless that is under way or in vain. */
const ask = (state: State, rowKey: string, now: number, context: Own): void => {
  const { entities, asking, later } = state
  const { entity } = parseDue(rowKey)
  if (asking.has(entity)) {
    state.isMissed = true
    return
  }
  if ((later.get(rowKey) ?? 0) > now) return
  later.delete(rowKey)
  const ref = refOf(entities, entity, context)
  if (ref === undefined) return
  asking.add(entity)
  const asked = serve(ref).then((isServed) => ({ rowKey, entity, isServed }))
  context.pipe(asked, 'asked')
}

/** Asks until nothing more is due. False: it could not be asked, or did not answer. */
const serve = async (ref: Ref<DueMessages>): Promise<boolean> => {
  try {
    while (await call(ref, '$due', undefined, { timeoutMs: patienceMs }));
    return true
  } catch {
    return false
  }
}

type DueMessages = { calls: { $due: () => boolean } }

/** The actor to ask; `undefined` if it cannot be asked now. */
const refOf = (entities: Entities, entity: string, context: Own): Ref<DueMessages> | undefined => {
  const at = entity.indexOf('/')
  const [kind, id] = [entity.slice(0, at), entity.slice(at + 1)]
  if (kind === workerKind) {
    const worker = nameOf<DueMessages>(id)
    return context.system.whereis(worker) && context.to(worker)
  }
  const running = entities.kind(kind)
  if (!running || running.blocked.has(id)) return undefined
  return context.to(entities.ref<DueMessages>(kind, id))
}

/** An actor has answered: its place is free. */
const answered = (state: State, { rowKey, entity }: Asked, context: Own): void => {
  const { asking, later, shard } = state
  asking.delete(entity)
  if (shard.phase.kind === 'open' && shard.view().row(rowKey)) {
    for (const oldest of later.keys()) if (later.size >= laterMax) later.delete(oldest)
    later.set(rowKey, shard.now() + laterMs)
    if (state.behind === undefined) arm(state, laterMs, context)
  }
  if (state.behind === undefined) {
    if (state.isMissed) walk(state, context)
  } else if (asking.size <= askingMax / 2) stepSoon(state, context)
}

/** Continues the walk behind the messages that wait. */
const stepSoon = (state: State, context: Own): void => {
  if (!state.isStepping) send(context.self, 'step')
  state.isStepping = true
}

/** Ends the walk, and waits for the next row. */
const rest = (state: State, context: Own): void => {
  const { shard, later } = state
  state.behind = undefined
  const now = shard.now()
  for (const [rowKey, until] of later) if (until <= now) later.delete(rowKey)
  let next = later.size > 0 ? now + laterMs : Number.POSITIVE_INFINITY
  for (const [rowKey] of rowsIn(shard, behindRows(now))) {
    next = Math.min(next, parseDue(rowKey).dueMs)
    break
  }
  shard.due.begin(Math.min(next, shard.due.soonest))
  arm(state, next - now, context)
}

/** The rows that are not due yet. */
const behindRows = (now: number): RowRange => {
  const { lt } = dueRows()
  const { lt: gte } = dueRows(now)
  return { ...(gte !== undefined && { gte }), ...(lt !== undefined && { lt }) }
}

/** Sets the timer of the next walk. */
const arm = (state: State, inMs: number, context: Own): void => {
  if (state.timer) context.cancelTimer(state.timer)
  state.timer = context.sendAfter(Math.max(0, inMs), 'walk')
}
