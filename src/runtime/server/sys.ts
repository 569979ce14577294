/**
 * Looking into a running server, and holding it, without a line of its code (OTP's `sys`). A request takes its turn in
 * the mailbox, so it sees what earlier messages did; it calls no handler, and a suspended server answers it too.
 * All of them reject as `call` does.
 */
import { isKeelsonError } from '../../errors.ts'
import { type CallOptions, madeThrough, request } from '../process/messaging.ts'
import type { Ref } from '../words/address.ts'
import { kinds } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import type { TraceEvent } from '../words/telemetry.ts'
import { type ServerStatus, type Statistics, stopping } from './system-requests.ts'

/** The state of the server. */
export const getState = <S = unknown>(ref: Ref, options?: CallOptions): Promise<S> =>
  ask(ref, 'getState', undefined, options) as Promise<S>

/** Replaces the state by what `replace` makes of it; resolves to the new one. When `replace` throws, it rejects so, and the old one stays. */
export const replaceState = <S = unknown>(
  ref: Ref,
  replace: (state: S) => S,
  options?: CallOptions,
): Promise<S> => ask(ref, 'replaceState', replace, options) as Promise<S>

/** Lets the server's messages wait until `resume`. Suspending twice needs one `resume`. */
export const suspend = (ref: Ref, options?: CallOptions): Promise<void> =>
  ask(ref, 'suspend', undefined, options) as Promise<void>

/** Goes on, with the messages that waited in their order. */
export const resume = (ref: Ref, options?: CallOptions): Promise<void> =>
  ask(ref, 'resume', undefined, options) as Promise<void>

/** Whether it runs or is suspended, who it is, its state. */
export const getStatus = (ref: Ref, options?: CallOptions): Promise<ServerStatus> =>
  ask(ref, 'getStatus', undefined, options) as Promise<ServerStatus>

/** Begins to count messages (anew), stops it, or gives the counts: `undefined` when nobody counts. */
export const statistics = (
  ref: Ref,
  command: 'on' | 'off' | 'get',
  options?: CallOptions,
): Promise<Statistics | undefined> =>
  ask(ref, 'statistics', command, options) as Promise<Statistics | undefined>

/** Calls `listener` with each message that comes in, each reply that goes out and each step of a state machine; `undefined` ends it, and so does a throw. */
export const trace = (
  ref: Ref,
  listener: ((event: TraceEvent) => void) | undefined,
  options?: CallOptions,
): Promise<void> => ask(ref, 'trace', listener, options) as Promise<void>

/**
 * Stops the server with `reason`, in its turn and through `terminate` (OTP's `gen_server:stop`). Resolves when that ended
 * it with that reason. Ended otherwise: `EXITED` with the reason, and `details.note` `'stopping'` when its turn had come. By
 * default it waits without limit. A bare process has no such turn: `INVALID_ARGUMENT`.
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
    if (!Object.is(error.details.reason, reason)) throw error
  }
}

const ask = (
  ref: Ref,
  name: string,
  payload: unknown,
  options: CallOptions | undefined,
): Promise<unknown> => request(ref, kinds.system, name, payload, options)
