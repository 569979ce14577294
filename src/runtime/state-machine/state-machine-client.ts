/**
 * State machines: a supervised process whose logic is an XState machine, run like gen_statem. The
 * functions here are used as `StateMachine.server`, `StateMachine.send` and so on. It is a file
 * apart because `export * as` makes a namespace of a whole file.
 */
import type {
  ActorRef,
  AnyStateMachine,
  EventObject,
  OutputFrom,
  Snapshot,
  SnapshotFrom,
} from 'xstate'
import { invalidArgument, isKeelsonError } from '../../errors.ts'
import { forwardingActor } from '../machine/machine-actors.ts'
import { checkedEvent } from '../machine/machine-check.ts'
import type { EventOf, MachineOf, RepliesOf, SavedMachine } from '../machine/machine-words.ts'
import type { CallOptions, PositionOption } from '../process/call-options.ts'
import {
  type Answered,
  cast as castFromAnywhere,
  madeThrough,
  request,
} from '../process/messaging.ts'
import { call as callProcess, cast } from '../process/own-sends.ts'
import type { Process } from '../process/process.ts'
import { addressOf, type Ref } from '../words/address.ts'
import { kinds } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import { callOutside } from '../words/outside-code.ts'

export { contextOf, inTurn, stepOf } from '../machine/machine-actors.ts'
export { mermaid } from '../machine/machine-diagram.ts'
export { durable } from './state-machine-durable.ts'
export { server } from './state-machine-server.ts'

/** Any process that runs a machine. */
type AnyMessages = {
  casts: { event: (event: never) => void }
  calls: { event: (event: never) => unknown; snapshot: () => unknown; output: () => unknown }
}
type Asked<M> = Extract<EventOf<M>, { readonly type: keyof RepliesOf<M> }>
type ReplyTo<M, K> = K extends keyof RepliesOf<M> ? RepliesOf<M>[K] : never

/**
 * Sends an event. False: there is no such process, or its mailbox is full. Throws
 * `INVALID_ARGUMENT` for a value that is not a user's event: an object with a text `type` that does
 * not begin with `xstate.`, or is `xstate.route`.
 */
export const send = <M extends AnyMessages>(machine: Ref<M>, event: EventOf<M>): boolean => {
  checkedEvent(event)
  return cast(plain(machine), 'event', event)
}

/**
 * Sends an event and waits for the machine's answer to it (`answers` of the server). The event and
 * its immediate consequences have been handled then. If it is postponed, the answer comes after it
 * is handled. Rejects like `call`, and with `INVALID_ARGUMENT` for a value that is not an event, or
 * an event without an answer.
 */
export const call = <M extends AnyMessages, const E extends Asked<M>, P extends boolean = false>(
  machine: Ref<M>,
  event: E,
  options?: CallOptions & PositionOption<P>,
): Promise<Answered<ReplyTo<M, E['type']>, P>> =>
  madeThrough(machine, asked(machine, event, options)) as Promise<
    Answered<ReplyTo<M, E['type']>, P>
  >

const asked = async (
  machine: Ref<unknown>,
  event: unknown,
  options: CallOptions | undefined,
): Promise<unknown> => {
  checkedEvent(event)
  return callProcess(plain(machine), 'event', event, options)
}

/**
 * The machine as plain data, in its turn, for the option `restore`. Events in the mailbox are not
 * part of it. Rejects like `call`, and with `INVALID_ARGUMENT` when an actor inside was spawned
 * from unnamed logic.
 */
export const snapshot = <M extends AnyMessages>(
  machine: Ref<M>,
  options?: CallOptions,
): Promise<SavedMachine<MachineOf<M>>> =>
  callProcess(plain<MachineOf<M>>(machine), 'snapshot', undefined, options)

/**
 * Waits for the machine's final state and resolves with its output. No time limit by default.
 * Rejects with `EXITED` when the process ends otherwise, `NO_PROCESS` when it has ended already.
 */
export const output = <M extends AnyMessages>(
  machine: Ref<M>,
  options?: CallOptions,
): Promise<OutputFrom<MachineOf<M>>> =>
  request(machine, kinds.call, 'output', undefined, options, Number.POSITIVE_INFINITY)

/**
 * Waits until `predicate` holds for the machine's snapshot, now or later, and resolves with that
 * snapshot. It sees each state after a handled event; of a durable machine the durable states only.
 * No time limit by default. Rejects like `call`, with `EXITED` when the machine ends or is done in
 * another state, and with the error of `predicate`. An entity wakes, and does not rest before the answer.
 */
export const waitFor = <M extends AnyMessages>(
  machine: Ref<M>,
  predicate: (snapshot: SnapshotOf<M>) => boolean,
  options?: Omit<CallOptions, 'id'>,
): Promise<SnapshotOf<M>> => madeThrough(machine, watched(machine, 'waitFor', predicate, options))

/**
 * Calls `listener` with the machine's snapshot: the present one, and each one after a handled event
 * that changed it; of a durable machine the durable ones only. `ended` is called once when no more
 * will come: with `normal` when the machine is done, with the reason of its process's end, with
 * `noproc` when there is no such process, or with the error of a refusal. Returns a function that
 * cancels both. A throw of either is logged. An entity wakes, and does not rest until then.
 */
export const subscribe = <M extends AnyMessages>(
  machine: Ref<M>,
  listener: (snapshot: SnapshotOf<M>) => unknown,
  ended?: (reason: ExitReason) => unknown,
): (() => void) => {
  const cancel = new AbortController()
  const { sender } = addressOf<Process>(machine)
  const logger = addressOf<Process>(machine).resolve()?.kernel.logger
  const end = (reason: ExitReason): void => {
    if (cancel.signal.aborted || sender?.alive === false) return
    callOutside(
      () => ended?.(reason),
      (error) => logger?.error(`a listener of ${machine} threw`, { reason: error }),
    )
  }
  watched(machine, 'subscribe', listener, { signal: cancel.signal }).then(
    () => end('normal'),
    (error) => end(endOf(error)),
  )
  return () => cancel.abort()
}

type SnapshotOf<M> = SnapshotFrom<MachineOf<M>>

const watched = async <R>(
  machine: Ref<unknown>,
  name: 'waitFor' | 'subscribe',
  listener: unknown,
  options: CallOptions | undefined,
): Promise<R> => {
  if (typeof listener !== 'function') throw invalidArgument(name, 'a function', listener)
  return request(machine, kinds.call, name, listener, options, Number.POSITIVE_INFINITY)
}

/** Why a subscription ended. */
const endOf = (error: unknown): ExitReason => {
  if (isKeelsonError(error, 'NO_PROCESS')) return 'noproc'
  return isKeelsonError(error, 'EXITED') ? error.details.reason : error
}

/**
 * The process of `machine` as an XState actor, for `sendTo`. Events to it are lost once it has
 * ended, as in OTP. One that a full mailbox refuses is lost, and logged. A snapshot cannot hold
 * it: keep the name in the context, and make the actor where it is used.
 */
export const actorOf = <M extends AnyMessages>(
  machine: Ref<M>,
): ActorRef<Snapshot<undefined>, Extract<EventOf<M>, EventObject>> =>
  forwardingActor(machine, (event) => void castFromAnywhere(plain(machine), 'event', event))

/** The messages of a machine, without the types of its events. */
type Plain<T extends AnyStateMachine> = {
  casts: { event: (event: unknown) => void }
  calls: { event: (event: unknown) => unknown; snapshot: () => SavedMachine<T> }
}

const plain = <T extends AnyStateMachine>(machine: Ref<unknown>): Ref<Plain<T>> =>
  machine as Ref<Plain<T>>
