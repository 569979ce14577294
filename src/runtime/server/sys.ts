/**
 * Inspects and suspends a running server without code in that server (OTP's `sys`). A request takes
 * its turn in the mailbox, so it sees the effect of earlier messages. It calls no handler, and a
 * suspended server answers it too. All of them reject as `call` does.
 */
import { isDeepStrictEqual } from 'node:util'
import { isKeelsonError } from '../../errors.ts'
import type { CallOptions } from '../process/call-options.ts'
import { madeThrough, request } from '../process/messaging.ts'
import type { Ref } from '../words/address.ts'
import { kinds } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import type { TraceEvent } from '../words/telemetry.ts'
import { type ServerStatus, type Statistics, stopping } from './system-requests.ts'

/** The state that a ref knows of; a ref of another type is refused, so that `S` may be named. */
type Stated<R> = unknown extends StateOf<R> ? never : R
type StateOf<R> = R extends Ref<unknown, infer S> ? S : unknown

/** The state of the server. A ref of a start and of a part knows its type. */
export function getState<R extends Ref>(ref: Stated<R>, options?: CallOptions): Promise<StateOf<R>>
/** The state of the server, of a type that the caller knows. */
export function getState<S = unknown>(ref: Ref, options?: CallOptions): Promise<S>
/** The state of the server. */
export function getState(ref: Ref, options?: CallOptions): Promise<unknown> {
  return ask(ref, 'getState', undefined, options)
}

/**
 * Replaces the state by the result of `replace`, and resolves with it. If `replace` throws, it
 * rejects with that error and the old state stays.
 */
export function replaceState<R extends Ref>(
  ref: Stated<R>,
  replace: (state: StateOf<R>) => StateOf<R>,
  options?: CallOptions,
): Promise<StateOf<R>>
/** The same with a state of a type that the caller knows. */
export function replaceState<S = unknown>(
  ref: Ref,
  replace: (state: S) => S,
  options?: CallOptions,
): Promise<S>
/** The same. */
export function replaceState(
  ref: Ref,
  replace: (state: never) => unknown,
  options?: CallOptions,
): Promise<unknown> {
  return ask(ref, 'replaceState', replace, options)
}

/** Makes messages wait until `resume`. Suspending twice needs one `resume`. */
export const suspend = (ref: Ref, options?: CallOptions): Promise<void> =>
  ask(ref, 'suspend', undefined, options)

/** Ends the suspension. The waiting messages are handled in their order. */
export const resume = (ref: Ref, options?: CallOptions): Promise<void> =>
  ask(ref, 'resume', undefined, options)

/** Its identity, its state, and whether it is suspended. */
export const getStatus = (ref: Ref, options?: CallOptions): Promise<ServerStatus> =>
  ask(ref, 'getStatus', undefined, options)

/**
 * Starts counting messages, stops it, or reads the counts: `undefined` while nothing is counted. A
 * second start goes on counting.
 */
export const statistics = (
  ref: Ref,
  command: 'on' | 'off' | 'get',
  options?: CallOptions,
): Promise<Statistics | undefined> => ask(ref, 'statistics', command, options)

/**
 * Calls `listener` with each incoming message, each reply and each step of a state machine.
 * `undefined` ends the trace, and so does a throw of the listener.
 */
export const trace = (
  ref: Ref,
  listener: ((event: TraceEvent) => void) | undefined,
  options?: CallOptions,
): Promise<void> => ask(ref, 'trace', listener, options)

/**
 * Stops the server with `reason`, in its turn and through `terminate` (OTP's `gen_server:stop`).
 * Resolves when the server has ended with that reason, or one that is equal to it. If it ends with
 * another, rejects with `EXITED`; `details.note` is `'stopping'` if its turn had come. No time limit
 * by default. A bare process cannot be stopped so: `INVALID_ARGUMENT`.
 */
export const stop = (
  ref: Ref,
  reason: ExitReason = 'normal',
  options?: CallOptions,
): Promise<void> => madeThrough(ref, stopped(ref, reason, options))

const stopped = async (
  ref: Ref,
  reason: ExitReason,
  options: CallOptions | undefined,
): Promise<void> => {
  try {
    await request(ref, kinds.system, 'stop', reason, options, Number.POSITIVE_INFINITY)
  } catch (error) {
    if (!isKeelsonError(error, 'EXITED') || error.details.note !== stopping) throw error
    if (!isEqual(error.details.reason, reason)) throw error
  }
}

/** Never throws: to compare reasons may call their code, such as a getter. */
const isEqual = (found: ExitReason, asked: ExitReason): boolean => {
  try {
    return isDeepStrictEqual(found, asked)
  } catch {
    return false
  }
}

const ask = <R>(
  ref: Ref,
  name: string,
  payload: unknown,
  options: CallOptions | undefined,
): Promise<R> => request(ref, kinds.system, name, payload, options)
