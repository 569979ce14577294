/**
 * The results of handlers: the opaque values that `reply`, `noReply`, `stop` and the others make.
 * They are plain data: a test can call a handler as a function and compare its result.
 */

import { KeelsonError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import { isDelay } from '../queues/timer-heap.ts'
import { type ExitReason, withHint } from '../words/exit-reason.ts'

/**
 * The event after the handler: a `continue` message of `C` (`[name, payload]`), a timeout in ms, or
 * hibernation.
 */
export interface Then<C = never> {
  /** Handled next, before the messages in the mailbox. */
  readonly continue?: C
  /** Calls `timeout` after this many ms without a message. 0: as soon as the mailbox is empty. */
  readonly timeoutMs?: number
  /**
   * Frees memory of the mailbox. The next message wakes the process. An entity rests as soon as it
   * has nothing to do, without waiting for its idle time.
   */
  readonly hibernate?: boolean
}

/** Answers the call with `value`. */
export interface Reply<R, S, C = never> {
  readonly kind: 'reply'
  readonly value: R
  readonly state: S
  readonly next: Then<C> | undefined
}

/** Continues without an answer. A call is answered later, through its `from`. */
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

/** Does not start. This is not a failure. */
export interface Ignore {
  readonly kind: 'ignore'
}

/** Ends the server through `terminate`; from `init`, without it. */
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

/** The state that the handler was given. */
export const unchanged: unique symbol = Symbol('unchanged')

/**
 * All next steps have this one shape, because it keeps the loop that reads them fast. Made only by
 * the functions below.
 */
export class NextStep<K extends StepKind = StepKind> {
  readonly kind: K
  readonly state: unknown
  readonly value: unknown
  readonly reason: ExitReason
  readonly next: Then<readonly [name: string, payload?: unknown]> | undefined
  /** Recognizes a step without reading any property: a handler may return any Proxy. */
  readonly #isStep = true

  /**
   * V8 looks for a private field slowly where it has seen objects of many shapes, so those of other
   * classes go first.
   */
  static is(answer: unknown): answer is NextStep {
    try {
      return answer instanceof NextStep && #isStep in answer
    } catch {
      return false // a Proxy that was revoked, or whose trap throws
    }
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

/** Makes a step of the type that a handler returns. Such types have no fields: they exist for the compiler. */
const Made = NextStep as new <Typed>(...parts: ConstructorParameters<typeof NextStep>) => Typed

/** Answers the call with `value` and continues with `state`. Throws `INVALID_ARGUMENT` without one. */
export function reply<R, S, const C = never>(value: R, state: S, next?: Then<C>): Reply<R, S, C> {
  // biome-ignore lint/complexity/noArguments: a rest parameter is an array for each message.
  if (arguments.length < 2) throw noState('reply')
  return new Made('reply', state, value, undefined, next)
}

/** Continues with `state`. In a call, the holder of its `from` answers later. */
export function noReply<S, const C = never>(state: S, next?: Then<C>): NoReply<S, C> {
  // biome-ignore lint/complexity/noArguments: a rest parameter is an array for each message.
  if (arguments.length < 1) throw noState('noReply')
  return new Made('noReply', state, undefined, undefined, next)
}

/**
 * From `init`: begins with `state`. `init` may return the bare state when there is nothing to add.
 */
export const ok = <S, const C = never>(state: S, next?: Then<C>): Ok<S, C> =>
  new Made('ok', state, undefined, undefined, next)

/** From `init`: does not start. A supervisor keeps the child's specification and goes on. */
export const ignore = (): Ignore =>
  new NextStep('ignore', undefined, undefined, undefined, undefined)

/**
 * Ends the server with `reason`, and `state` (by default the present one) for `terminate`. From
 * `init`: refuses to start.
 */
export const stop = <S = never>(reason: ExitReason, ...state: [] | [S]): Stop<S> =>
  new Made('stop', state.length === 0 ? unchanged : state[0], undefined, reason, undefined)

/** Ends the server with `reason`; the call is answered with `value` after `terminate`. */
export function stopReply<R, S>(reason: ExitReason, value: R, state: S): StopReply<R, S> {
  // biome-ignore lint/complexity/noArguments: a rest parameter is an array for each message.
  if (arguments.length < 3) throw noState('stopReply')
  return new Made('stopReply', state, value, reason, undefined)
}

/** A state that was forgotten would be lost: `undefined` must be given. */
const noState = (step: string): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${step}: expected the next state as its last argument`)

/** Whether the next step is valid. Types ensure it where they are checked. */
export const isFollowed = ({ next }: NextStep): boolean => {
  if (next === undefined) return true
  if (typeof next !== 'object' || next === null) return false
  try {
    for (const key in next) if (!nextKeys.has(key) && Object.hasOwn(next, key)) return false
    const [step, timeoutMs] = [ownOf(next, 'continue'), ownOf(next, 'timeoutMs')]
    if (step !== undefined) return Array.isArray(step) && typeof step[0] === 'string'
    return timeoutMs === undefined || isDelay(timeoutMs)
  } catch {
    // A step that throws when it is read is not valid.
    return false
  }
}

const nextKeys: ReadonlySet<string> = new Set(['continue', 'timeoutMs', 'hibernate'])

/** Whether a handler may return `step`. `isCall`: it handles a call that waits for a reply. */
export const isAnswer = (step: NextStep, isCall: boolean): boolean => {
  if (step.kind === 'ok' || step.kind === 'ignore') return false
  return (isCall || (step.kind !== 'reply' && step.kind !== 'stopReply')) && isFollowed(step)
}

/** The exit reason of a function that returned something else. */
export const badReturn = (answer: unknown): ExitReason => ['bad_return_value', answer]

/** That of a handler, with a hint in its text. `isCall`: it handles a call that waits for a reply. */
export const badAnswer = (answer: unknown, isCall: boolean): ExitReason =>
  withHint(['bad_return_value', answer], hintFor(answer, isCall))

const hintFor = (answer: unknown, isCall: boolean): string => {
  if (!NextStep.is(answer)) return `did you mean ${isCall ? 'reply(…)' : 'noReply(…)'}?`
  const { kind } = answer
  return kind === 'reply' || kind === 'stopReply'
    ? `${kind}(…) answers a call, and nothing waits for an answer here`
    : `a handler cannot return ${kind}(…), or not with these options`
}
