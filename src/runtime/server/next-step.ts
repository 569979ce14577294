/**
 * What a handler answers: the opaque values that `reply`, `noReply`, `stop` and their like make. They are plain data, so
 * a handler can be called as a function in a test and its answer compared.
 */

import { isDelay } from '../queues/timer-heap.ts'
import type { ExitReason } from '../words/exit-reason.ts'

/** A message of `C` to handle before anything queued, a timeout in ms, or a rest; `C` is `[name, payload]`. */
export interface Then<C = never> {
  /** Handled next, before whatever waits in the mailbox. */
  readonly continue?: C
  /** After so many ms without a message, `timeout` is called. 0: as soon as the mailbox is empty. */
  readonly timeoutMs?: number
  /** Gives memory back; the next message wakes the process. */
  readonly hibernate?: boolean
}

/** Answers the call with `value`. */
export interface Reply<R, S, C = never> {
  readonly kind: 'reply'
  readonly value: R
  readonly state: S
  readonly next: Then<C> | undefined
}

/** Goes on; a call is answered later, through its `from`. */
export interface NoReply<S, C = never> {
  readonly kind: 'noReply'
  readonly state: S
  readonly next: Then<C> | undefined
}

/** Begins with `state`. */
export interface Ok<S, C = never> {
  readonly kind: 'ok'
  readonly state: S
  readonly next: Then<C> | undefined
}

/** Does not start, and that is no failure. */
export interface Ignore {
  readonly kind: 'ignore'
}

/** Ends the server through `terminate`; from `init`, without. */
export interface Stop<S> {
  readonly kind: 'stop'
  readonly reason: ExitReason
  readonly state: S
}

/** Ends the server, and answers the call when `terminate` is done. */
export interface StopReply<R, S> {
  readonly kind: 'stopReply'
  readonly reason: ExitReason
  readonly value: R
  readonly state: S
}

type StepKind = 'reply' | 'noReply' | 'ok' | 'ignore' | 'stop' | 'stopReply'

/** Stands for the state that the handler was given. */
export const unchanged: unique symbol = Symbol('unchanged')

/** The one shape of all next steps, so that the loop that reads them stays fast. Made only by the functions below. */
export class NextStep<K extends StepKind = StepKind> {
  readonly kind: K
  readonly state: unknown
  readonly value: unknown
  readonly reason: ExitReason
  readonly next: Then<readonly [name: string, payload?: unknown]> | undefined
  /** Tells a step from whatever else a handler answers, without asking that for anything: it may be any Proxy. */
  readonly #isStep = true

  static is(answer: unknown): answer is NextStep {
    return typeof answer === 'object' && answer !== null && #isStep in answer
  }

  constructor(
    kind: K,
    state: unknown,
    value: unknown,
    reason: ExitReason,
    next: Then<unknown> | undefined,
  ) {
    this.kind = kind
    this.state = state
    this.value = value
    this.reason = reason
    this.next = next as Then<readonly [name: string, payload?: unknown]> | undefined
  }
}

/** Answers the call with `value` and goes on with `state`. */
export const reply = <R, S, const C = never>(value: R, state: S, next?: Then<C>): Reply<R, S, C> =>
  new NextStep('reply', state, value, undefined, next) as unknown as Reply<R, S, C>

/** Goes on with `state`. In a call: whoever holds its `from` answers it later. */
export const noReply = <S, const C = never>(state: S, next?: Then<C>): NoReply<S, C> =>
  new NextStep('noReply', state, undefined, undefined, next) as unknown as NoReply<S, C>

/** From `init`: begins with `state`. `init` may return the bare state when there is nothing to add. */
export const ok = <S, const C = never>(state: S, next?: Then<C>): Ok<S, C> =>
  new NextStep('ok', state, undefined, undefined, next) as unknown as Ok<S, C>

/** From `init`: does not start. A supervisor keeps the child's specification and goes on. */
export const ignore = (): Ignore =>
  new NextStep('ignore', undefined, undefined, undefined, undefined)

/** Ends the server with `reason`, and `state` (by default the present one) for `terminate`. From `init`: refuses to start. */
export const stop = <S = never>(reason: ExitReason, ...state: [] | [S]): Stop<S> =>
  new NextStep(
    'stop',
    state.length === 0 ? unchanged : state[0],
    undefined,
    reason,
    undefined,
  ) as unknown as Stop<S>

/** Ends the server with `reason`; the call is answered with `value` after `terminate`. */
export const stopReply = <R, S>(reason: ExitReason, value: R, state: S): StopReply<R, S> =>
  new NextStep('stopReply', state, value, reason, undefined) as unknown as StopReply<R, S>

/** Whether what is to come next can be done: the compiler sees to it, where it is asked. */
export const isFollowed = ({ next }: NextStep): boolean => {
  if (next === undefined) return true
  if (typeof next !== 'object' || next === null) return false
  try {
    if (next.continue !== undefined) return Array.isArray(next.continue)
    return next.timeoutMs === undefined || isDelay(next.timeoutMs)
  } catch {
    // What throws when it is read cannot be done.
    return false
  }
}

/** Whether a handler may answer `step`; `isCall` says whether somebody waits for its reply. */
export const isAnswer = (step: NextStep, isCall: boolean): boolean => {
  if (step.kind === 'ok' || step.kind === 'ignore') return false
  return (isCall || (step.kind !== 'reply' && step.kind !== 'stopReply')) && isFollowed(step)
}

/** The exit reason of a handler whose answer is none of these, or none that it may give. */
export const badReturn = (answer: unknown): ExitReason => ['bad_return_value', answer]
