/**
 * The decisions about a turn of a durable actor. Pure: the same phase and the same event always lead
 * to the same phase and the same effect. `turn-log.ts` and `durable-process.ts` carry the effects out,
 * and decide nothing themselves.
 *
 * 1. `decide` is the life of one turn, from the begin of its handler until it is out.
 * 2. `decideLog` chooses how the log of one actor continues that halted, once every write is answered.
 * 3. `beforeTurn` is the look of an actor at a message: may its turn begin, and what comes first?
 * 4. `afterRefusal` and `afterThrow` are the consequences of a turn that did not happen, for each kind
 *    of turns: no refusal ends in silence.
 */
import { isKeelsonError } from '../../errors.ts'
import { isEnded } from './lifetime.ts'

/** The kinds of turns that refusals distinguish. */
export type TurnKind =
  /** A call, or another request with a caller: the end of an actor, a state from outside. */
  | 'call'
  /** A change that background work of the actor applies. */
  | 'apply'
  /** A cast, an info, a timer, a notice: nobody waits. */
  | 'message'
  /** News of an actor inside a machine: the result, the error or an event of that inner actor. */
  | 'result'
  /** A `result` turn was refused: the machine gets the refusal as `onError` of the inner actor. */
  | 'failure'
  /** A recorded `continue`. */
  | 'step'
  | 'alarm'
  /** The handler `onFailed` of a step or an alarm whose tries have ended. */
  | 'onFailed'
  /** The record that a step or an alarm has failed, and when it is tried again. */
  | 'record'
  /** The record that a handler threw, and ended the process. */
  | 'crash'
  /** The turn of the records of `init`. */
  | 'birth'

/** Why a unit will never be durable as it is. */
export type Refused = {
  readonly error: unknown
  /**
   * Another incarnation has written the main row since. So the unit follows a row that is not the
   * present one.
   */
  readonly isOvertaken: boolean
}

// The life of a turn.

/** The place of a turn in its life. `decide` alone changes it. */
export type TurnPhase =
  /** Its handler runs, or waits with its throw for the turns before it. */
  | 'runs'
  /** Its handler runs, but nothing of it counts: the state before it or its caller was refused. */
  | 'void'
  /** Its handler runs, but it needs rows that the shard does not show. Nothing of it counts. */
  | 'blind'
  /** Its unit cannot be made. It leaves with this error in its place, and without a unit. */
  | 'spoilt'
  /** Its unit is being written, or waits in the log, which writes nothing until its row is read. */
  | 'written'
  /** Nobody knows whether its unit is durable. */
  | 'unsure'
  /** Its unit was refused. */
  | 'refused'
  /** Its unit is durable, or it has none. It leaves when the turns before it have left. */
  | 'durable'
  /** Its answer and its messages have left. */
  | 'out'
  /** It has no effect: it is handled again, or its refusal has its consequence. */
  | 'undone'
  /** Its handler threw, or its process ended; or nobody will know whether its unit is durable. */
  | 'failed'

/** Something that happens to a turn. */
export type TurnEvent =
  /** Its handler has answered or thrown. */
  | 'ended'
  /** It enters the log with a unit: it changed something. */
  | 'changed'
  /** It enters the log without a unit: it changed nothing. */
  | 'unchanged'
  /** Its unit cannot be made. */
  | 'spoilt'
  /** It has no effect, because of a throw or the end of its process. */
  | 'failed'
  /** It read rows while the shard showed none. */
  | 'blind'
  /** An earlier turn waits for space, and the caller of this one was refused with that error. */
  | 'short'
  /** A turn before it was refused. */
  | 'undone'
  /** It was refused itself, or its caller was while an earlier turn waits for space. */
  | 'takenBack'
  /** The answers to a write of its unit, or the row that shows it. */
  | 'durable'
  | 'unknown'
  | 'refused'
  /** Its unit is written once more. */
  | 'rewritten'
  /** The turns before it have left. */
  | 'left'
  /** The row can never be read. */
  | 'cut'

/** The action of the executor after an event. */
export type TurnEffect =
  | 'nothing'
  /** The answer or the throw of its handler counts. */
  | 'judge'
  /** Nothing of it leaves, and the runs that are handled again come next. It is one of them if an earlier turn was refused. */
  | 'proceed'
  /** Nothing of it leaves, and it is the first that is handled again, once the shard shows rows. */
  | 'awaitRows'
  /** Its run is handled again, in its place. */
  | 'redo'
  /** Its unit is written, unless the log halts. */
  | 'write'
  /** The durable turns at the head of the log leave. */
  | 'release'
  /** No further unit is written before the fate of this one is clear. */
  | 'halt'
  /** Everything that it holds leaves. */
  | 'leave'
  /** Everything that it holds is dropped. */
  | 'drop'

/** The next phase and the effect. Each is one constant: a turn makes none. */
export type TurnMove = { readonly phase: TurnPhase; readonly effect: TurnEffect }

const to = (phase: TurnPhase, effect: TurnEffect = 'nothing'): TurnMove =>
  Object.freeze({ phase, effect })

/** An event without an entry changes nothing. */
type Moves = Readonly<Record<TurnPhase, Partial<Readonly<Record<TurnEvent, TurnMove>>>>>

/** The moves of a turn in the log whose unit may not be durable yet. */
const underWay = {
  durable: to('durable', 'release'),
  unknown: to('unsure', 'halt'),
  refused: to('refused', 'halt'),
  undone: to('undone', 'redo'),
  takenBack: to('undone', 'drop'),
  cut: to('failed', 'drop'),
}

const moves: Moves = {
  runs: {
    ended: to('runs', 'judge'),
    changed: to('written', 'write'),
    unchanged: to('durable', 'release'),
    spoilt: to('spoilt', 'drop'),
    failed: to('failed', 'drop'),
    blind: to('blind'),
    short: to('void'),
    undone: to('void', 'redo'),
  },
  void: { ended: to('undone', 'proceed'), failed: to('undone', 'drop') },
  blind: {
    ended: to('undone', 'awaitRows'),
    failed: to('undone', 'drop'),
    undone: to('void', 'redo'),
  },
  spoilt: {
    unchanged: to('spoilt', 'release'),
    left: to('undone', 'leave'),
    undone: to('undone', 'redo'),
    takenBack: to('undone', 'drop'),
    cut: to('undone', 'drop'),
  },
  written: underWay,
  unsure: { ...underWay, rewritten: to('written', 'write') },
  refused: underWay,
  durable: {
    left: to('out', 'leave'),
    unknown: to('unsure', 'halt'),
    undone: to('undone', 'redo'),
    takenBack: to('undone', 'drop'),
    cut: to('failed', 'drop'),
  },
  out: {},
  undone: {},
  failed: {},
}

const stays = Object.fromEntries(
  Object.keys(moves).map((phase) => [phase, to(phase as TurnPhase)]),
) as Readonly<Record<TurnPhase, TurnMove>>

/** The next phase of a turn, and the effect of the event. */
export const decide = (phase: TurnPhase, event: TurnEvent): TurnMove =>
  moves[phase][event] ?? stays[phase]

/** Whether nothing counts of a turn that began: code of its handler that still runs acts no more. */
export const isVoid = (phase: TurnPhase): boolean =>
  phase === 'void' || phase === 'blind' || phase === 'spoilt' || phase === 'undone'

/** Whether a turn leaves when those before it have left. */
export const mayLeave = (phase: TurnPhase): boolean => phase === 'durable' || phase === 'spoilt'

// The life of the log.

/** The place of the log of one actor in its life. */
export type LogPhase =
  /** Units are written at once. */
  | 'flows'
  /** A unit is not durable: the answers to the others are awaited, and none is written. */
  | 'halts'
  /** The main row is read. */
  | 'looks'

/**
 * The next step of a log that halts, when every write is answered. `wait`: the disk is full.
 * The first turn stays, those from the first with a caller on are taken out, and the row is read.
 */
export const decideLog = (
  first: TurnPhase | undefined,
  kind: TurnKind,
  refused: Refused | undefined,
  isAlive: boolean,
): 'flow' | 'look' | 'wait' | 'refuse' => {
  if (first === undefined) return 'flow'
  if (first !== 'refused' || refused === undefined) return 'look'
  return isAlive && afterRefusal(kind, refused) === 'wait' ? 'wait' : 'refuse'
}

// Before a turn.

/** The condition of an actor when a message arrives. */
export type Condition = {
  /** Its process has not ended. */
  readonly isAlive: boolean
  /** Its memory is read. */
  readonly isAwake: boolean
  readonly hasRedo: boolean
  /** As many turns are on their way as may be. */
  readonly isFull: boolean
  /** It knows the outcomes of calls with an id. */
  readonly knowsIds: boolean
  /** Its shard is down or closed. */
  readonly isStill: boolean
  readonly isClosed: boolean
  /** Its process was asked to shut down while a turn waits for space. */
  readonly isCutOff: boolean
}

/** The next step before a turn. */
export type BeforeTurn =
  | 'begin'
  /** The message goes unanswered: the process or the instance has ended, and answers for it. */
  | 'end'
  | 'refuse: cut off'
  | 'refuse: shard down'
  | 'redo'
  | 'await shard'
  | 'wake'
  | 'await room'
  | 'read ids'

/** The next step before the turn of a message. `isAsked`: a caller waits; `hasId`: its call has an id. */
export const beforeTurn = (actor: Condition, isAsked: boolean, hasId: boolean): BeforeTurn => {
  const knows = !hasId || actor.knowsIds
  if (actor.isAwake && knows && !actor.hasRedo && !actor.isFull) return 'begin'
  if (!actor.isAlive || actor.isClosed) return 'end'
  if (actor.isCutOff) return 'refuse: cut off'
  if (isAsked && actor.isStill) return 'refuse: shard down'
  if (actor.isAwake && actor.hasRedo) return 'redo'
  if (actor.isStill) return 'await shard'
  if (!actor.isAwake) return 'wake'
  return actor.isFull ? 'await room' : 'read ids'
}

// After a turn that did not happen.

/** The next step after a refusal. The turn is taken back first, except for `wait`. */
export type AfterRefusal =
  /** The unit is written again until there is space. Calls are refused during that time. */
  | 'wait'
  /** The caller gets the error. */
  | 'answer'
  /** No caller waits: the message is dropped, which is logged and counted. */
  | 'drop'
  /** The machine gets the error as the `onError` of the actor inside. */
  | 'onError'
  /** It is tried again after a back-off, unless its policy says that its tries have ended. */
  | 'retry'
  /** The step or the alarm is parked with the error, until `unblock`. */
  | 'park'
  /** The actor is blocked, with the error as the reason. */
  | 'block'
  /** The process ends with the error. */
  | 'end'

/**
 * The next step for one kind of turns: if the disk is full, if the actor has ended, and after any
 * other refusal. An actor that has ended has no steps and alarms, and news of actors inside come too
 * late.
 */
type Row = readonly [fullDisk: AfterRefusal, ended: AfterRefusal, other: AfterRefusal]

const table: Readonly<Record<TurnKind, Row>> = {
  call: ['answer', 'answer', 'answer'],
  apply: ['answer', 'answer', 'answer'],
  message: ['wait', 'drop', 'drop'],
  result: ['wait', 'drop', 'onError'],
  failure: ['wait', 'drop', 'block'],
  step: ['wait', 'drop', 'retry'],
  alarm: ['wait', 'drop', 'retry'],
  onFailed: ['wait', 'drop', 'park'],
  record: ['wait', 'drop', 'block'],
  crash: ['drop', 'drop', 'drop'],
  birth: ['wait', 'end', 'end'],
}

/** The next step after the refusal of a turn of this kind. */
export const afterRefusal = (kind: TurnKind, { error, isOvertaken }: Refused): AfterRefusal => {
  if (isOvertaken) return 'end'
  const [fullDisk, ended, other] = table[kind]
  if (takesNothing(error)) return fullDisk
  return isEnded(error) ? ended : other
}

/**
 * Whether a refused turn of this kind is not handled again, and no other turn replaces it, while its
 * actor lives. Background work gets the error and may answer its calls in another turn: a queue adds
 * jobs one by one if one turn with all of them is too large.
 */
export const isGone = (kind: TurnKind, refused: Refused): boolean => {
  const next = afterRefusal(kind, refused)
  return next === 'drop' || (next === 'answer' && kind !== 'apply')
}

/** Whether the disk refused before any byte was written, and may take the same later. */
export const takesNothing = (error: unknown): boolean =>
  isKeelsonError(error, 'NO_SPACE') || isKeelsonError(error, 'READ_ONLY')

/**
 * The next step after a throw in a turn of this kind. The turn has no effect. If a row cannot be
 * read, the actor is blocked: its process would otherwise end at each message that reads the row.
 */
export const afterThrow = (
  kind: TurnKind,
  isDamage: boolean,
): 'retry' | 'park' | 'block' | 'answer' | 'end' => {
  if (kind === 'step' || kind === 'alarm') return 'retry'
  if (kind === 'onFailed') return 'park'
  if (kind === 'apply') return 'answer'
  return kind === 'failure' || isDamage ? 'block' : 'end'
}
