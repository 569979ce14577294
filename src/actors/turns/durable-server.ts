/**
 * A server whose state is durable, and what its handlers may use beyond those of any server. Types
 * only; `durable-process.ts` runs them.
 */
import type {
  AppContext,
  BareContext,
  CallContext,
  CallResult,
  CallsOf,
  CastsOf,
  Context,
  ContinueOf,
  ContinuesOf,
  Declared,
  Defines,
  Handlers,
  InfosOf,
  Init,
  Messages,
  NameIn,
  NoReply,
  Notices,
  OwnHandlers,
  PayloadOf,
  Reply,
  ReplyOf,
  Result,
  Section,
  StatusParts,
  With,
  WithSchemas,
} from '../../runtime/index.ts'
import type { ShardTime } from '../core/shard-time.ts'
import type { EntryInput } from '../journal/entry-input.ts'
import type { Batch } from '../store/batch.ts'
import type { TurnStream, TurnStreams } from '../streams/turn-streams.ts'
import type { EndOptions } from './lifetime.ts'
import type { Fields } from './memory.ts'
import type { DurableRows } from './own-rows.ts'
import type { RetryPolicies } from './retry-policy.ts'

/** The alarms of `M`: `alarms: { unpaid: (payload) => void }`. */
type AlarmsOf<M> = Section<M, 'alarms'>

/** The name of an alarm. Where there is none, the compiler says so. */
type AlarmName<M> = keyof AlarmsOf<M> extends never
  ? 'its Messages have no alarms'
  : NameIn<AlarmsOf<M>>

/** The messages of a durable server: those of any server, and alarms. */
export type DurableMessages = Messages & { readonly alarms?: object }

/** When an alarm fires: in some ms, or at a time in ms since 1970, as `context.now()` has it. */
export type AlarmTime =
  | { readonly inMs: number; readonly at?: never }
  | { readonly at: number; readonly inMs?: never }

/** A step or an alarm whose tries have ended, for `onFailed`. */
export type Failed<M = DurableMessages> = {
  readonly kind: 'continue' | 'alarm'
  /** The name of its handler. */
  readonly name: NameIn<ContinuesOf<M>> | NameIn<AlarmsOf<M>>
  readonly payload: unknown
  /** The `context.step` of its tries. */
  readonly step: string
  readonly tries: number
  /**
   * Of the last try, as `formatStatus` shows it: name, code and the first 500 characters of the
   * message.
   */
  readonly error: Error
}

/**
 * Records a call with the turn: the layers above make their own calls of it. `payloadOf` gets the name of
 * its step, which is the same at each repeat.
 */
export const addsCall: unique symbol = Symbol('addsCall')

/** Calls `act`, which does not throw, when the present turn is durable: for the events of the layers above. */
export const whenDurable: unique symbol = Symbol('whenDurable')

/** The time of the shard, of a context of an actor and of that of its background work. */
export const ownTime: unique symbol = Symbol('ownTime')

/** The time of the shard of an actor, for the layers above: durations count by it. */
export const shardTime = (context: object): Pick<ShardTime, 'now' | 'wall' | 'ofWall' | 'at'> =>
  (context as { readonly [ownTime]: ShardTime })[ownTime]

/** The streams of the actor, of the context of its turn. */
export const ownStreams: unique symbol = Symbol('ownStreams')

/** The changes of streams in the present turn, and the names of all streams of the actor. */
type OwnStreams = { readonly streams: TurnStreams; readonly streamNames: readonly string[] }

const streamsOfTurn = (context: object): OwnStreams =>
  (context as { readonly [ownStreams]: OwnStreams })[ownStreams]

/** The messages of the present turn, for the layers above. */
export const messagesOfTurn = (context: object): Pick<TurnStreams, 'add' | 'act'> =>
  streamsOfTurn(context).streams

/** Closes every stream of the actor with the present turn. */
export const closeStreams = (context: object): void => {
  const own = streamsOfTurn(context)
  for (const name of own.streamNames) own.streams.add(name, [], true)
}

/** Forgets with the present turn every producer of every stream of the actor. */
export const forgetProducers = (context: object): void => {
  const own = streamsOfTurn(context)
  for (const name of own.streamNames) own.streams.act(name, { act: 'forgetAll' })
}

/** Opens every stream of the actor again with the present turn. */
export const reopenStreams = (context: object): void => {
  const own = streamsOfTurn(context)
  for (const name of own.streamNames) own.streams.act(name, { act: 'reopen' })
}

/** The work itself, of the context of background work. */
export const ownWork: unique symbol = Symbol('ownWork')

/**
 * The context of background work, for the layers above: whether and when the instance closes, without
 * the cost of a signal.
 */
export interface OwnWork {
  readonly [ownWork]: {
    readonly isClosing: boolean
    /** Called when the instance begins to close. */
    onClose: (() => void) | undefined
  }
}

/** The entity that a recorded call is for. */
export type CallTarget = { readonly kind: string; readonly id: string }

/** The context of a turn, for what follows it. */
export interface Follows {
  [whenDurable](act: () => void): void
}

/** The context of a turn, for recorded calls. */
export interface AddsCalls {
  [addsCall](target: CallTarget, name: string, payloadOf: (step: string) => unknown): void
}

/** The context of a handler of a durable server, and the parts of its turn. */
export interface DurableContext<M = DurableMessages, App = AppContext, S = unknown>
  extends Context<M, App> {
  /** The id of this actor among those of its kind; of a durable worker its name. */
  readonly id: string
  /**
   * The name of the present step: `kind/id/incarnation/seq/index`. It is the same at each try of
   * one step, and different for every other step. Hand it to the outside world as its idempotency
   * key. In the handler of an alarm it names the setting in the same way, and in `onFailed` the
   * failed step or setting, followed by `/failed`. In handlers of other messages it is no such key:
   * it names the turn, and the next turn has the same name if this one is refused or records
   * nothing.
   */
  readonly step: string
  /** Commands on users' keys that become durable with this turn, in the shard of this actor. */
  readonly writes: Omit<Batch, 'commit' | 'taken' | 'addTaken'>
  /** The rows that this actor keeps itself, beside its state. They are removed with it. */
  readonly rows: DurableRows
  /**
   * A stream of this actor: 64 at most, which are deleted with it. Its messages are there with this
   * turn, or never. A name has 1 to 256 bytes without `{`, `}` and NUL.
   * @throws KeelsonError `INVALID_ARGUMENT`
   */
  stream<T = unknown>(name: string): TurnStream<T>
  /**
   * Appends an entry to the journal of this actor's shard, which becomes durable with this turn. An
   * id that the journal has with other content refuses the turn (`CONFLICT`), as a required replay
   * does that has not ended (`BUSY`).
   * @throws KeelsonError `INVALID_ARGUMENT`
   */
  journal(entry: EntryInput): void
  /**
   * Sets an alarm, or replaces the one of this name. It fires once, not before its time, also after
   * a restart. @throws KeelsonError `INVALID_ARGUMENT`
   */
  setAlarm<N extends AlarmName<M>>(
    name: N,
    time: AlarmTime,
    ...payload: With<AlarmsOf<M>[N & keyof AlarmsOf<M>]>
  ): void
  /** Takes an alarm back. False: none of this name is set. */
  cancelAlarm(name: AlarmName<M>): boolean
  /** Records another `continue` with this turn, and returns its step. */
  addContinue<C extends ContinueOf<M>>(...named: C): string
  /** Takes a recorded step back. False: a turn has consumed it, or it is running. */
  cancelContinue(step: string): boolean
  /**
   * Ends this entity with this turn: recorded steps and alarms are taken back. Calls are answered
   * until `keepMs` is over, but a turn that changes something is refused with `CONFLICT`. Then all
   * its rows are removed, with `keys` also the keys that it wrote with `writes`, and the next
   * message finds it unborn. A turn that ends its actor records no step and no alarm.
   * @throws KeelsonError `INVALID_ARGUMENT`
   */
  end(options?: EndOptions): void
  /**
   * Lets `work` run beside the mailbox. It begins when this turn is durable, and never if the turn
   * is refused. It runs in a separate process, linked to the actor: a throw of it ends the actor,
   * and it ends with the actor. The actor does not rest while it runs. It is not recorded: after a
   * crash a step, or `wake`, has to begin it again.
   */
  background(work: (context: BackgroundContext<M, App, S>) => unknown): void
}

/**
 * The context of background work of an actor. Its `signal` aborts when the actor ends. Its messages leave at once: everything that it knows is durable.
 */
export interface BackgroundContext<M = DurableMessages, App = AppContext, S = unknown>
  extends BareContext<Messages, App> {
  /**
   * Aborts when the instance begins to close. The work has 80 % of the close's deadline from then
   * on: one that would run for long ends itself. `apply` goes on working.
   */
  readonly closing: AbortSignal
  /**
   * Names the pieces that the work consists of at a time, such as `job 7`: the report of a close that
   * cuts it off has each of them. Without pieces it has `background`.
   */
  consistsOf(pieces: () => readonly string[]): void
  /**
   * Makes a turn of `change`, and resolves when that is durable: with the value of its `reply`.
   * `change` gets the present state and its own context. It is pure, for it may be run again.
   * Rejects with what `change` throws, with the refusal of its turn, and with `EXITED` once this
   * incarnation of the actor has ended; then the change has no effect. `UNKNOWN_OUTCOME`: it has ended
   * while the turn was on its way.
   */
  apply<A extends Reply<unknown, S, ContinueOf<M>> | NoReply<S, ContinueOf<M>>>(
    change: (state: S, context: DurableContext<M, App, S>) => A,
  ): Promise<A extends { readonly kind: 'reply'; readonly value: infer R } ? R : undefined>
}

/** The parts of a durable machine's turn that an action may use. */
declare module '../../runtime/words/app-context.ts' {
  interface MachineTurn extends Omit<DurableContext, OfMessages> {}
}

/** A machine brings its own alarms and steps. */
type OfMessages = 'setAlarm' | 'cancelAlarm' | 'addContinue' | 'cancelContinue'

/** The context of a call to a durable server. */
export interface DurableCallContext<M = DurableMessages, App = AppContext, R = unknown, S = unknown>
  extends DurableContext<M, App, S> {
  /** The current call. */
  readonly from: CallContext<M, App, R>['from']
}

type DurableHandlers<Sent, M, S, App> = Handlers<Sent, M, S, DurableContext<M, App, S>>
type DurableOwnHandlers<Sent, M, S, App> = OwnHandlers<Sent, M, S, DurableContext<M, App, S>>

interface DurableCallbacks<M, S, Arg, App, F extends Fields>
  extends Defines<M, S, Arg, App>,
    Notices<M, S, DurableContext<M, App, S>> {
  /** The kind of its processes in `ps()`, `tree()` and telemetry. */
  readonly kind?: string
  /** The version of its state, a whole number from 1 (the default). */
  readonly version?: number
  /**
   * Makes a state of this version from one of an older `from`. It is pure, and the result is
   * written with the next turn. If it throws, the actor is blocked.
   */
  readonly migrate?: (state: unknown, from: number) => S
  /**
   * Makes the state of an actor without a row. An entity gets its id, a worker its `arg`. The row
   * is written with the first turn that changes something.
   */
  readonly init: (arg: Arg, context: DurableContext<M, App, S>) => Init<S, ContinueOf<M>>
  /**
   * When steps and alarms that failed are tried again: all of them, and some by their names. By
   * default after 1 s, doubling to 60 s, less up to 20 %, for ever.
   */
  readonly retry?: RetryPolicies<NameIn<ContinuesOf<M>>, NameIn<AlarmsOf<M>>>
  /**
   * The tries of a step or an alarm have ended: a turn that consumes it. `context.step` is its name
   * with `/failed`. Without this function, and if it throws, the step or the alarm is parked: the
   * actor goes on, `blocked()` lists it, and `unblock` lets it run again.
   */
  readonly onFailed?: (
    state: S,
    failed: Failed<M>,
    context: DurableContext<M, App, S>,
  ) => Result<S, ContinueOf<M>>
  /**
   * Makes what is volatile (a connection, a cache) each time the actor wakes, after its state was
   * read.
   */
  readonly wake?: (state: S, context: DurableContext<M, App, S>) => void | Promise<void>
  /**
   * The fields by which `list` and `counts` find actors of this kind. Pure. A throw refuses the
   * turn with `INVALID_ARGUMENT`; the error is its cause. Their type is the third of
   * `DurableServer`, and `list` takes no other fields.
   */
  readonly index?: (state: S) => F & Fields
  /**
   * Whether an entity ends in this state, if its kind has `keepMs`: with the first turn that leaves
   * it in such a state without a recorded step. Pure.
   */
  readonly isFinal?: (state: S) => boolean
  /**
   * Whether volatile work of this state runs: the entity does not rest until it has ended. Pure.
   */
  readonly isBusy?: (state: S) => boolean
  /**
   * Returns the state that crash reports, `sys.getStatus` and the prompt show, as in a GenServer.
   * The state is that of the last durable turn, `undefined` without one.
   */
  readonly formatStatus?: (status: StatusParts<S | undefined>) => StatusParts
}

/** The index of a server whose fields are not named: nothing can be sought by it. */
export type NoFields = Readonly<Record<never, never>>

declare const kindTypes: unique symbol

/** A kind in a tree, typed by its server: `app.entity(orders)` infers from it. */
export type EntityKind<M, S, F = Fields> = {
  readonly id: string
  readonly [kindTypes]?: { readonly messages: M; readonly state: S; readonly fields: F }
}

/**
 * A server whose state is durable: a GenServer, and alarms, an index and versions. A GenServer
 * without them fits too. A turn is one message handled; its new state, reply, messages, steps,
 * alarms and writes take effect together or not at all. The state is changed when a handler returns
 * another object.
 */
export type DurableServer<
  M extends DurableMessages,
  S,
  F extends Fields = NoFields,
  Arg = string,
  App = AppContext,
> = DurableCallbacks<M, S, Arg, App, F> &
  Declared<
    M,
    'calls',
    {
      readonly [N in keyof CallsOf<M>]: (
        state: S,
        payload: PayloadOf<CallsOf<M>[N]>,
        context: DurableCallContext<M, App, ReplyOf<CallsOf<M>[N]>, S>,
      ) => CallResult<ReplyOf<CallsOf<M>[N]>, S, ContinueOf<M>>
    }
  > &
  Declared<M, 'casts', DurableHandlers<CastsOf<M>, M, S, App>> &
  Declared<M, 'infos', DurableHandlers<InfosOf<M>, M, S, App>> &
  Declared<M, 'continues', DurableOwnHandlers<ContinuesOf<M>, M, S, App>> &
  Declared<M, 'alarms', DurableOwnHandlers<AlarmsOf<M>, M, S, App>> &
  WithSchemas<M>
