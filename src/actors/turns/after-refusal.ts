/**
 * The next action after the refusal of a turn, for each kind of turns: no refusal ends in silence.
 * This table decides; `refusals.ts` carries it out.
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
  /** News of an actor inside a machine: its result, its error, an event of it. */
  | 'result'
  /** The refusal of such news, as the `onError` of that actor. */
  | 'failure'
  /** A recorded `continue`. */
  | 'step'
  | 'alarm'
  /** The handler `onFailed` of a step or an alarm whose tries have ended. */
  | 'onFailed'
  /** The record that a step or an alarm has failed, and when it is tried again. */
  | 'record'
  /** The turn of the records of `init`. */
  | 'birth'

/** Why a unit will never be durable as it is. */
export type Refused = {
  readonly error: unknown
  /** The main row is not the one that the unit follows: another incarnation wrote it. */
  readonly isOvertaken: boolean
}

/** The next step after a refusal. But for `wait`, the turn is taken back first. */
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
 * Of each kind: when the disk takes nothing now, when the actor has ended, and after any other
 * refusal. After its end an actor has no steps and alarms, and news of actors inside are late.
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
  birth: ['wait', 'end', 'end'],
}

/** The next step after the refusal of a turn of this kind. */
export const afterRefusal = (kind: TurnKind, { error, isOvertaken }: Refused): AfterRefusal => {
  if (isOvertaken) return 'end'
  const [fullDisk, ended, other] = table[kind]
  if (takesNothing(error)) return fullDisk
  return isEnded(error) ? ended : other
}

/** Whether the disk refused before any byte was written, and may take the same later. */
export const takesNothing = (error: unknown): boolean =>
  isKeelsonError(error, 'NO_SPACE') || isKeelsonError(error, 'READ_ONLY')

/**
 * The next step after a throw in a turn of this kind. Of the turn nothing happens. A process that
 * ended because of a row that cannot be read would end at each such message: the actor is blocked.
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
