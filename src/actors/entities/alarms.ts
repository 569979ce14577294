/**
 * Wakes the durable actors of a shard that have something to do: an alarm that is due, or a step
 * that no process has run. The rows of the projection say when (`due rows`, ordered by time). The
 * actor walks the rows that are due, and asks the actor of each once; the answer comes when its
 * turn is durable and the row is gone. Only what is being asked is in memory. Between walks it
 * rests until the next row is due.
 *
 * The actors that are asked have places, so that a flood of due rows does not fill the run queue.
 * An actor that is slow leaves its place: due turns wait for their own actor only.
 */
import type { Cancel } from '../../clock.ts'
import {
  type Context,
  call,
  type GenServer,
  noReply,
  ok,
  type Ref,
  send,
  type Timer,
} from '../../runtime/index.ts'
import { dueRows, parseDue, workerKind } from '../../storage/index.ts'
import { isIgnored, isText } from '../core/payload-check.ts'
import { shardName } from '../core/shard-name.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import type { Entities } from './entities.ts'

/** The messages of the process. */
export type Messages = {
  casts: Record<never, never>
  infos: {
    /** Begins a walk. */
    walk: () => void
    /** Continues the walk. */
    step: () => void
    /** Continues a walk that had no place. */
    slow: () => void
    /** A row is due sooner than all known ones, a kind runs again, or the shard is open again. */
    sooner: () => void
    /** This actor has answered, as `kind/id`. */
    answered: (entity: string) => void
  }
  continues: { begin: () => void }
}

/** A question without an answer. */
type Question = {
  readonly since: number
  /** The last row of its actor that a walk has passed. */
  rowKey: string
  /** Whether the actor answered that it had served a row. */
  hasServed: boolean
  /** Until when it wants to be left alone, by its answer. */
  until: number
}

/** The parts that make the process of a shard's alarms. */
export type Parts = { readonly shard: ActorShard; readonly entities: Entities }

type State = Parts & {
  /** The actors that are asked, in the order of their questions. */
  readonly asking: Map<string, Question>
  /** Actors that were asked and are slow. They have no place, and are not asked again. */
  readonly slow: Map<string, Question>
  /** Rows that could not be served, and until when they are left alone. */
  readonly later: Map<string, number>
  /** The last row seen; `undefined`: no walk runs. */
  behind: string | undefined
  /** Another walk follows the present one. */
  isAgain: boolean
  /** A message to continue the walk is in the mailbox. */
  isStepping: boolean
  /** Ends the wait for the next walk; and its time, by the clock of the shard. */
  endWait: Cancel | undefined
  walkAt: number
  /** Of the moment at which the walk looks for actors that are slow. */
  slowTimer: Timer | undefined
}

/**
 * The most actors that are asked at a time. A call of a user waits for about so many turns. The
 * walk goes on when half of them have answered: one range for many rows.
 */
const askingMax = 64

/** An actor that has not answered for this time leaves its place. */
const placeMs = 100

/** The most actors that are noted as slow. Beyond it they keep their places, and others wait. */
const slowMax = 10_000

/** The rows of one step. */
const rowsMax = 1_000

/**
 * A row that is there after its answer is left alone for this time. So are all rows of a shard that
 * may have another owner.
 */
const laterMs = 1_000

/** The most rows that are left alone. Beyond it the oldest are looked at sooner. */
const laterMax = 10_000

/** The server of a shard's alarms. */
export const server: GenServer<Messages, State, Parts, unknown> = {
  init: (parts) =>
    ok(
      {
        ...parts,
        asking: new Map<string, Question>(),
        slow: new Map<string, Question>(),
        later: new Map<string, number>(),
        behind: undefined,
        isAgain: false,
        isStepping: false,
        endWait: undefined,
        walkAt: 0,
        slowTimer: undefined,
      },
      { continue: ['begin'] },
    ),

  continues: {
    begin: (state, _, context) => {
      const sooner = () => void send(context.self, 'sooner')
      state.shard.due.listen(sooner)
      const unlisten = state.entities.onRuns(sooner)
      context.system.monitor(context.self, () => {
        unlisten()
        state.endWait?.()
      })
      walk(state, context)
      return noReply(state)
    },
  },

  accepts: {
    calls: {},
    casts: {},
    infos: {
      walk: isIgnored,
      step: isIgnored,
      slow: isIgnored,
      sooner: isIgnored,
      answered: isText,
    },
  },

  infos: {
    walk: (state, _, context) => {
      state.endWait = undefined
      walk(state, context)
      return noReply(state)
    },
    step: (state, _, context) => {
      state.isStepping = false
      step(state, context)
      return noReply(state)
    },
    slow: (state, _, context) => {
      state.slowTimer = undefined
      step(state, context)
      return noReply(state)
    },
    sooner: (state, _, context) => {
      walk(state, context)
      return noReply(state)
    },
    answered: (state, entity, context) => {
      answered(state, entity, context)
      return noReply(state)
    },
  },
}

/** The name of the process of a shard's alarms. */
export const name = shardName<Messages>('alarms')

type Own = Context<Messages, unknown>

/** Whether actors may be asked: another owner of the shard would ask them, too. */
const mayAsk = ({ shard }: State): boolean =>
  shard.phase.kind === 'open' && shard.unsure === undefined

/** Begins a walk at the first row, unless one runs that another one will follow. */
const walk = (state: State, context: Own): void => {
  const { shard } = state
  state.isAgain = state.behind !== undefined
  if (state.isAgain) return
  if (mayAsk(state)) {
    // Rows that are set during the walk are noted from here on.
    shard.due.begin(Number.POSITIVE_INFINITY)
    state.behind = ''
    step(state, context)
  }
  // The lease may be renewed at any moment.
  else if (shard.phase.kind === 'open') arm(state, shard.now() + laterMs, context)
  // The rows are looked at when the shard is open again.
  else void shard.changed().then(() => send(context.self, 'sooner'))
}

/** Asks the actors of the next rows, as many as there is room for. */
const step = (state: State, context: Own): void => {
  const { shard, behind } = state
  if (behind === undefined) return
  if (!mayAsk(state)) {
    state.behind = undefined
    walk(state, context)
    return
  }
  const now = shard.now()
  let seen = 0
  for (const [rowKey] of shard.view().rows({ ...dueRows(now), ...(behind && { gt: behind }) })) {
    if (!hasPlace(state, context)) return
    if (seen++ === rowsMax) {
      stepSoon(state, context)
      return
    }
    state.behind = rowKey
    ask(state, rowKey, now, context)
  }
  rest(state, now, context)
}

/** Whether another actor may be asked. If not, the walk goes on when an actor leaves its place. */
const hasPlace = (state: State, context: Own): boolean => {
  const { asking, slow } = state
  if (asking.size < askingMax) return true
  const now = context.system.clock.monotonic()
  for (const [entity, question] of asking) {
    const leavesInMs = question.since + placeMs - now
    if (leavesInMs > 0) {
      state.slowTimer ??= context.sendAfter(leavesInMs, 'slow')
      break
    }
    if (slow.size >= slowMax) break
    asking.delete(entity)
    slow.set(entity, question)
  }
  return asking.size < askingMax
}

/** Asks the actor of a row, unless it was asked and has not answered, or cannot answer. */
const ask = (state: State, rowKey: string, now: number, context: Own): void => {
  const { entities, asking, slow, later } = state
  const { entity } = parseDue(rowKey)
  const question = asking.get(entity) ?? slow.get(entity)
  if (question) {
    question.rowKey = rowKey
    return
  }
  if ((later.get(rowKey) ?? 0) > now) return
  later.delete(rowKey)
  const ref = refOf(entities, entity, context)
  if (ref === undefined) return
  const since = context.system.clock.monotonic()
  const asked: Question = { since, rowKey, hasServed: false, until: 0 }
  asking.set(entity, asked)
  void serve(ref).then((answer) => {
    asked.hasServed = answer === 'last'
    if (typeof answer === 'number') asked.until = answer
    send(context.self, 'answered', entity)
  })
}

/** Asks until nothing more is due, or the actor cannot be asked. Returns its last answer. */
const serve = async (ref: Ref<DueMessages>): Promise<DueAnswer> => {
  try {
    for (;;) {
      const answer = await call(ref, '$due', undefined, patiently)
      if (answer !== true) return answer
    }
  } catch {
    // Its row is still there, and is looked at again.
    return false
  }
}

/** An actor that ends, and a shard that goes down, answer. */
const patiently = { timeoutMs: Number.POSITIVE_INFINITY }

/**
 * `true`: more is due than it has served. `last`: nothing more was. `false`: nothing was at all. A
 * number: the program lacks what is due, and is asked for it again at that time.
 */
type DueAnswer = boolean | 'last' | number

type DueMessages = { calls: { $due: () => DueAnswer } }

/** The actor to ask; `undefined` if it cannot be asked now. */
const refOf = (entities: Entities, entity: string, context: Own): Ref<DueMessages> | undefined => {
  const at = entity.indexOf('/')
  const [kind, id] = [entity.slice(0, at), entity.slice(at + 1)]
  if (kind === workerKind) {
    const worker = entities.worker<DueMessages>(id)
    return worker && context.to(worker)
  }
  const running = entities.kind(kind)
  if (!running || running.blocked.has(id)) return undefined
  return context.to(entities.ref<DueMessages>(kind, id))
}

/**
 * An actor has answered: its place is free. A row that it did not serve is left alone. Beside one
 * that it served, a row may come of a later turn that became durable with the answer.
 */
const answered = (state: State, entity: string, context: Own): void => {
  const { asking, slow, shard } = state
  const question = asking.get(entity) ?? slow.get(entity)
  const wasFull = slow.size >= slowMax
  asking.delete(entity)
  slow.delete(entity)
  if (question && shard.phase.kind === 'open' && shard.view().row(question.rowKey)) {
    if (question.hasServed) walk(state, context)
    else leaveAlone(state, question.rowKey, question.until, context)
  }
  if (wasFull || asking.size <= askingMax / 2) stepSoon(state, context)
}

const leaveAlone = (state: State, rowKey: string, wanted: number, context: Own): void => {
  const { later, shard } = state
  const now = shard.now()
  const until = wanted > now ? wanted : now + laterMs
  for (const oldest of later.keys()) {
    if (later.size < laterMax) break
    later.delete(oldest)
  }
  later.set(rowKey, until)
  if (state.behind === undefined) arm(state, until, context)
}

/** Continues the walk, if one runs, after the messages that wait. */
const stepSoon = (state: State, context: Own): void => {
  if (state.isStepping) return
  state.isStepping = true
  send(context.self, 'step')
}

/** Ends the walk, which has seen the rows that were due at `now`, and waits for the next one. */
const rest = (state: State, now: number, context: Own): void => {
  const { shard, later } = state
  state.behind = undefined
  if (state.isAgain) {
    walk(state, context)
    return
  }
  let next = Number.POSITIVE_INFINITY
  for (const [rowKey, until] of later)
    if (until <= now) later.delete(rowKey)
    else next = Math.min(next, until)
  for (const [rowKey] of shard.view().rows({ ...dueRows(), gt: dueRows(now).lt })) {
    next = Math.min(next, parseDue(rowKey).dueMs)
    break
  }
  shard.due.begin(Math.min(next, shard.due.soonest))
  arm(state, next, context)
}

/** Waits until `at` for the next walk, unless that is sooner. */
const arm = (state: State, at: number, context: Own): void => {
  if (state.endWait && state.walkAt <= at) return
  state.endWait?.()
  state.endWait = undefined
  state.walkAt = at
  if (at === Number.POSITIVE_INFINITY) return
  state.endWait = state.shard.time.at(at, () => send(context.self, 'walk'))
}
