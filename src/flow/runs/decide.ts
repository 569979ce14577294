/**
 * The decisions about a run. Pure: the same phase and the same event always lead to the same phase and
 * the same effect. `activation.ts` carries the effects out, and decides nothing itself.
 *
 * 1. `decide` is the life of one activation, from the read of its run until it is over.
 * 2. `decideCancel` is the way of a cancel to its place among the outcomes.
 * 3. `decideRest` is when a body that only waits leaves memory.
 * 4. `mayStart`, `mayRest`, `afterWait` and `ofRefusal` are looks at an activation: what comes next?
 * 5. `decideEnd` is the next turn of a run whose body has ended.
 * 6. `afterRefusedTurn` is the consequence of a turn that the storage did not take.
 * 7. `pauseAfter` is whether a try that failed is followed by another one, of steps, whole runs and jobs.
 */
import { backoffMs, type Clock, type FullRetry, type Retry, retryOf } from '../../clock.ts'
import { isKeelsonError, isMissing } from '../../errors.ts'

// The life of an activation.

/** The place of an activation in its life. `decide` alone changes it. */
export type RunPhase =
  /** The run is being read. Its body has not begun. */
  | 'reads'
  /** Its body has begun, but nothing that it asks for is carried out: the birth is not durable. */
  | 'born'
  /** Its body has ended while it was `born`. */
  | 'done'
  /** Its body runs, or replays its record. Its operations are carried out, and it gets their outcomes. */
  | 'runs'
  /** Its body has ended: children end, steps are undone, and one turn records the end. */
  | 'ends'
  /** The turn that blocks the run is on its way, and its body has not ended. */
  | 'blocks'
  /** The same, after the end of its body. */
  | 'blocksEnd'
  /** It is over, and its body has not ended. Operations that such a body asks for never settle. */
  | 'left'
  /** It is over, and so is its body. */
  | 'over'

/** Something that happens to an activation. */
export type RunEvent =
  /** The run is read, or begins with the present turn. */
  | 'read'
  /** The operations of its body may be carried out: its birth is durable. */
  | 'began'
  /** Its body has returned, thrown, or begun again. */
  | 'bodyEnded'
  /** The body does not do what is recorded; for the first time, and in the replay after that. */
  | 'diverged'
  | 'divergedAgain'
  /** The run cannot go on. */
  | 'failed'
  /** The turn that blocks the run is durable, or has found a run that has ended. */
  | 'blocked'
  /** The entity takes no such turn, because it is blocked itself. */
  | 'entityBlocked'
  /** Any other refusal of that turn. */
  | 'blockRefused'
  /** The turn is durable after which the run rests. */
  | 'rested'
  /** The turn is durable that records the end of the run, or the pause before its next try. */
  | 'ended'
  /** The turn is durable with which its next lap begins. */
  | 'again'
  /**
   * Its process has ended, the run was ended by force, the instance closes and nothing is at work, or
   * the run that was read is not live.
   */
  | 'gone'

/** The action of the executor after an event. */
export type RunEffect =
  | 'nothing'
  /** The body begins. */
  | 'body'
  /** The operations of the body are carried out, and it gets their outcomes. */
  | 'start'
  /** The same of a body that has ended: then the run ends. */
  | 'startEnd'
  /** The run ends: children first, undos, and a turn that records it. */
  | 'end'
  /** A turn blocks the run. */
  | 'block'
  /** Nothing of it goes on. The run has no activation, begins one from its record, or its next lap. */
  | 'rest'
  | 'replay'
  | 'again'
  /** The same, and the process of the run ends. */
  | 'fail'

/** The next phase and the effect. Each is one constant: an event makes none. */
export type RunMove = { readonly phase: RunPhase; readonly effect: RunEffect }

const to = (phase: RunPhase, effect: RunEffect = 'nothing'): RunMove =>
  Object.freeze({ phase, effect })

/** An event without an entry changes nothing. */
type Moves = Readonly<Record<RunPhase, Partial<Readonly<Record<RunEvent, RunMove>>>>>

/** The moves of an activation that may be left before its body has ended. */
const open = {
  diverged: to('left', 'replay'),
  divergedAgain: to('blocks', 'block'),
  failed: to('blocks', 'block'),
  gone: to('left', 'rest'),
}

/** The moves of an activation whose body has ended. */
const closed = {
  diverged: to('over', 'replay'),
  divergedAgain: to('blocksEnd', 'block'),
  failed: to('blocksEnd', 'block'),
  gone: to('over', 'rest'),
}

const moves: Moves = {
  reads: { read: to('born', 'body'), ...open },
  born: { began: to('runs', 'start'), bodyEnded: to('done'), ...open },
  done: { began: to('ends', 'startEnd'), ...closed },
  runs: { bodyEnded: to('ends', 'end'), rested: to('left', 'rest'), ...open },
  ends: { ended: to('over', 'rest'), again: to('over', 'again'), ...closed },
  blocks: {
    blocked: to('left', 'rest'),
    entityBlocked: to('left', 'rest'),
    blockRefused: to('left', 'fail'),
    gone: to('left', 'rest'),
  },
  // The turn of the end may have been on its way already, and come first.
  blocksEnd: {
    blocked: to('over', 'rest'),
    entityBlocked: to('over', 'rest'),
    blockRefused: to('over', 'fail'),
    ended: to('over', 'rest'),
    again: to('over', 'again'),
    gone: to('over', 'rest'),
  },
  left: {},
  over: {},
}

const stays = Object.fromEntries(
  Object.keys(moves).map((phase) => [phase, to(phase as RunPhase)]),
) as Readonly<Record<RunPhase, RunMove>>

/** The next phase of an activation, and the effect of the event. */
export const decide = (phase: RunPhase, event: RunEvent): RunMove =>
  moves[phase][event] ?? stays[phase]

/** Whether the body has ended: it asks for nothing more. */
export const isBodyOver = (phase: RunPhase): boolean =>
  phase === 'done' || phase === 'ends' || phase === 'blocksEnd' || phase === 'over'

/** Whether no operation is carried out any more, and no outcome is given to the body. */
export const isStopped = (phase: RunPhase): boolean =>
  phase === 'blocks' || phase === 'blocksEnd' || phase === 'left' || phase === 'over'

/** Whether it is over: another activation may have the run. */
export const isGone = (phase: RunPhase): boolean => phase === 'left' || phase === 'over'

// The way of a cancel.

/** Where the cancel of an activation is: one that was asked for needs a place among the outcomes. */
export type CancelPhase =
  | 'none'
  /** It was asked for, and has no place. No try of a step begins. */
  | 'wanted'
  /** The turn that gives it its place is on its way. No operation starts. */
  | 'placing'

/** An event of a cancel. */
export type CancelEvent =
  | 'asked'
  /** The turn that shall give it its place begins. */
  | 'begun'
  /** That turn is durable: the cancel has its place, or the run has ended. */
  | 'placed'
  /** That turn gave it no place: the operation whose place it was to take had its outcome first. */
  | 'deferred'

const cancelMoves: Readonly<
  Record<CancelPhase, Readonly<Partial<Record<CancelEvent, CancelPhase>>>>
> = {
  none: { asked: 'wanted' },
  // The turn of the end may place it too, without `begun`.
  wanted: { begun: 'placing', placed: 'none' },
  placing: { placed: 'none', deferred: 'wanted' },
}

/** The phase of a cancel after `event` in `phase`. */
export const decideCancel = (phase: CancelPhase, event: CancelEvent): CancelPhase =>
  cancelMoves[phase][event] ?? phase

// The rest.

/** Whether an activation is about to leave memory. */
export type RestPhase =
  /** Something goes on. */
  | 'awake'
  /** The body only waits, and its time runs. */
  | 'waits'
  /** The turn after which it rests is on its way. */
  | 'decides'

/** An event of a rest. */
export type RestEvent =
  /** The body only waits now. */
  | 'idle'
  /** Something happens. */
  | 'acts'
  /** The body has waited for long; and so it shall rest. */
  | 'waited'
  | 'due'
  /** The turn is durable, and the run does not rest: something has happened. */
  | 'refused'

const restMoves: Readonly<Record<RestPhase, Readonly<Partial<Record<RestEvent, RestPhase>>>>> = {
  awake: { idle: 'waits', due: 'decides' },
  waits: { acts: 'awake', waited: 'awake' },
  decides: { refused: 'awake' },
}

/** The phase of a rest after `event` in `phase`. */
export const decideRest = (phase: RestPhase, event: RestEvent): RestPhase =>
  restMoves[phase][event] ?? phase

// Looks at an activation.

/** An activation, for the look at what may start. */
export type Starting = {
  /** The instance closes: operations that do something may end, and none begins. */
  readonly isClosing: boolean
  readonly replay: { readonly hasArrived: boolean }
}

/** The next thing to start: once the body is where it was, a cancel goes before every operation. */
export const mayStart = (
  phase: RunPhase,
  cancel: CancelPhase,
  activation: Starting,
): 'nothing' | 'cancel' | 'operations' => {
  if ((phase !== 'runs' && phase !== 'ends') || activation.isClosing || cancel === 'placing')
    return 'nothing'
  const mustPlace = cancel === 'wanted' && phase === 'runs' && activation.replay.hasArrived
  return mustPlace ? 'cancel' : 'operations'
}

/** An activation, for the look at its rest. */
export type Resting = {
  /** How many of its operations do something, and do not wait. */
  readonly working: number
  readonly replay: {
    readonly hasArrived: boolean
    readonly inFlight: { readonly size: number }
    /** The outcome that is on its way to the body. */
    next(): unknown
  }
  readonly state: { readonly cancel?: unknown }
}

/** Whether the body only waits: it is where it was, and nothing of it goes on. */
export const mayRest = (phase: RunPhase, rest: RestPhase, activation: Resting): boolean => {
  if (phase !== 'runs' || rest === 'decides' || activation.working > 0) return false
  const { replay, state } = activation
  if (!replay.hasArrived || replay.inFlight.size === 0) return false
  return replay.next() === undefined && state.cancel === undefined
}

/** The next step of a body that has waited for long. A timer that is due soon is awaited in memory. */
export const afterWait = (
  lacksPart: boolean,
  dueInMs: number,
  longMs: number,
): 'block' | 'wait' | 'rest' => {
  if (lacksPart) return 'block'
  return dueInMs < longMs ? 'wait' : 'rest'
}

/**
 * The way of a refusal to the body. A cancelled body is refused what it asks for in one turn of the
 * event loop; if it asks again after that, its body has ended.
 */
export const ofRefusal = (phase: RunPhase, wasLast: boolean): 'end' | 'give' | 'wait' => {
  if (wasLast && !isBodyOver(phase)) return 'end'
  return isBodyOver(phase) && isStopped(phase) ? 'give' : 'wait'
}

// After the body.

/** A run whose body has ended. */
export type Ending = {
  /** The run has ended otherwise: by force. */
  readonly isOver: boolean
  readonly cancel: 'none' | 'unplaced' | 'placed'
  readonly body: 'completed' | 'failed' | 'again'
  /** The whole body is tried once more. */
  readonly hasNextTry: boolean
  /** Steps are to be undone, and are not. */
  readonly mustUndo: boolean
}

/** The turn after a body. */
export type EndStep =
  /** Nothing is left to do. */
  | 'none'
  /** A cancel that was acknowledged gets its place. */
  | 'place'
  /** The steps of a cancelled run are undone; and of a failed one, whose failure this turn records. */
  | 'undo'
  | 'undoFailed'
  | 'again'
  /** The whole body is tried again after a pause. */
  | 'retry'
  /** The run ends. */
  | 'cancelled'
  | 'failed'
  | 'completed'

/** The turn after a body: the end of the run, or what has to come before it. */
export const decideEnd = ({ isOver, cancel, body, hasNextTry, mustUndo }: Ending): EndStep => {
  if (isOver) return 'none'
  if (cancel === 'unplaced') return 'place'
  if (cancel === 'placed') return mustUndo ? 'undo' : 'cancelled'
  if (body !== 'failed') return body
  if (hasNextTry) return 'retry'
  return mustUndo ? 'undoFailed' : 'failed'
}

// After a refused turn.

/** The activation has ended. */
const gone = ['EXITED', 'NO_PROCESS', 'CLOSED', 'UNKNOWN_OUTCOME'] as const
/** Another try comes to the same. */
const final = ['INVALID_ARGUMENT', 'TOO_LARGE', 'CONFLICT', 'BLOCKED', 'CORRUPT'] as const

/**
 * The next step after a turn that was refused. `gone`: its process has ended, and nobody hears of it.
 * `throw`: an error that is no refusal of the storage is one of the turn itself, which another try has
 * too. `later`: the storage may take it then.
 */
export const afterRefusedTurn = (error: unknown): 'gone' | 'throw' | 'later' => {
  if (gone.some((code) => isKeelsonError(error, code))) return 'gone'
  const isFinal = final.some((code) => isKeelsonError(error, code))
  return isFinal || !isKeelsonError(error) ? 'throw' : 'later'
}

// The tries of steps, whole runs and jobs.

/** The policy of a call: its own fields, those of its type, and the built-in ones. */
export const policyOf = (...given: readonly (Retry | undefined)[]): FullRetry =>
  retryOf({ max: 3 }, ...given)

/**
 * The pause before the try after this one, in ms; `undefined`: it was the last. A throw of `unless`
 * does not end the tries. The program may lack what was tried: then no number of tries ends them.
 */
export const pauseAfter = (
  policy: FullRetry,
  attempt: number,
  error: unknown,
  clock: Clock,
): number | undefined => {
  if (isMissing(error)) return lackingMs
  if (attempt >= policy.max) return undefined
  try {
    if (policy.unless(error) === true) return undefined
  } catch {
    // A policy that throws decides nothing.
  }
  return pauseMs(attempt, clock, policy)
}

/** A try that another member may begin, too, waits for so long, and looks again. */
export const unsureMs = 1_000

/** The pause after a try that came before the tree had started: it does not count. */
export const earlyMs = 100

/** The pause after a try for which the program lacks a declaration: it does not count either. */
const lackingMs = 30_000

const untilDone = retryOf()

/** The pause after so many failures, in ms; by default of work that is tried until it succeeds. */
export const pauseMs = (failures: number, clock: Clock, policy: FullRetry = untilDone): number =>
  Math.ceil(backoffMs(policy, failures, clock.random()))
