/**
 * The types of a state machine: its process's events, its answers, its options, and its saved form.
 * All of them are inferred from the types of the XState machine. Types only.
 */
import type {
  AnyStateMachine,
  ContextFrom,
  EmittedFrom,
  EventFrom,
  InputFrom,
  OutputFrom,
  SnapshotFrom,
} from 'xstate'
import type { StandardSchema } from '../../schema.ts'
import type { Context, Defines, GenServer, UnknownInfo } from '../server/gen-server.ts'
import type { Ref } from '../words/address.ts'
import type { ExitMessage } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import type { DownMessage } from '../words/monitor.ts'
import type { StatusParts } from '../words/telemetry.ts'

/** The types of the events of `T`. */
type EventTypeOf<T extends AnyStateMachine> = EventFrom<T>['type'] & string

/** The event of `T` that has the type `K`. */
type EventNamed<T extends AnyStateMachine, K> = Extract<EventFrom<T>, { readonly type: K }>

/** The input of `T`; nothing if it declares none. */
export type InputOf<T extends AnyStateMachine> =
  Undeclared extends InputFrom<T> ? undefined : InputFrom<T>

// XState's type of an undeclared input: anything.
// biome-ignore lint/complexity/noBannedTypes: XState's own type for it.
type Undeclared = {} | null | undefined

/** A state of `T` as text: `open`, or `door.open` for a nested state. */
export type StatePath<T extends AnyStateMachine> = PathsOf<SnapshotFrom<T>['value']>

type PathsOf<V> = V extends string
  ? V
  : V extends object
    ? { [K in keyof V & string]: K | `${K}.${PathsOf<V[K]>}` }[keyof V & string]
    : never

/** The answers of a machine to `call`, by event type. */
export type Replies<T extends AnyStateMachine> = { readonly [K in EventTypeOf<T>]?: unknown }

/** The functions that answer, given the snapshot after the event. */
export type Answers<T extends AnyStateMachine, R> = {
  readonly [K in keyof R]: (snapshot: SnapshotFrom<T>, event: EventNamed<T, K>) => R[K]
}

/** The events that wait until the state value changes: by state, or as a pure function. */
export type Postpone<T extends AnyStateMachine> =
  | { readonly [S in StatePath<T>]?: readonly EventTypeOf<T>[] }
  | ((snapshot: SnapshotFrom<T>, event: EventFrom<T>) => boolean)

/** The options of a machine. All are optional. */
export type StateMachineOptions<
  T extends AnyStateMachine,
  R extends Replies<T> = Record<never, never>,
  E = EventFrom<T>,
> = NoInfer<StateMachineSettings<T>> & {
  /**
   * The answer of `StateMachine.call` for each event type that may be called. The states need not
   * name such an event.
   */
  readonly answers?: Answers<T, R> | undefined
  /**
   * The schema of the events that are sent to this machine: senders give what it takes, and the machine gets
   * the event that it makes. Each is parsed once, when the process takes it; one that waits in a saved
   * machine is not parsed again. Events of the machine itself are not parsed, nor those of `exit`, `down` and
   * `info`. A call that is refused gets `INVALID_ARGUMENT` with the issues; a refused event is logged.
   */
  readonly events?: StandardSchema<E, EventFrom<T>> | undefined
}

/** The options without `answers` and `events`. */
export interface StateMachineSettings<T extends AnyStateMachine> {
  /**
   * gen_statem's `postpone`: events that are kept until the state value changes, then taken before
   * the mailbox.
   */
  readonly postpone?: Postpone<T> | undefined
  /**
   * How many events may be postponed at once; 100,000 by default. Beyond it a call is rejected with
   * `POSTPONED_FULL`, and a sent event is dropped and logged.
   */
  readonly postponedMax?: number | undefined
  /**
   * The treatment of an event whose type no state of the machine names: `log` (default), `ignore`
   * (XState's way), or `exit` (gen_statem's way). An event that only the present state does not
   * handle is always ignored, as statecharts define it.
   */
  readonly unknownEvents?: 'log' | 'ignore' | 'exit' | undefined
  /**
   * Called at each start with the input and the process's context: the saved machine to continue
   * from, or `undefined` to begin with the initial state. A value instead of a function is used at
   * each start. It is called when each pending `save` of an earlier process has settled that had
   * the same name, or without one the same input.
   */
  readonly restore?:
    | SavedMachine<T>
    | ((input: InputOf<T>, context: MachineContext<T>) => Restored<T> | Promise<Restored<T>>)
    | undefined
  /**
   * Called with the saved machine and the process's context when the machine begins, and after each
   * event that changed anything in it: before the actions of that step. It is awaited. When they
   * were done, it is called again without them. A throw is a crash.
   */
  readonly save?:
    | ((saved: SavedMachine<T>, context: MachineContext<T>) => void | Promise<void>)
    | undefined
  /**
   * Called with each emitted event (`emit`). A throw is a crash. Without it, emitted events are
   * dropped.
   */
  readonly emitted?: ((event: EmittedFrom<T>, context: MachineContext<T>) => void) | undefined
  /** Whether exit signals arrive as messages, and `terminate` runs when the parent ends. */
  readonly trapExit?: boolean | undefined
  /** The event for an exit message; `undefined`, or no function: it is logged. */
  readonly exit?: ((message: ExitMessage) => EventFrom<T> | undefined) | undefined
  /** The event for a down message; `undefined`, or no function: it is logged. */
  readonly down?: ((message: DownMessage) => EventFrom<T> | undefined) | undefined
  /**
   * The event for a message that is no event of this machine; `undefined`, or no function: it is
   * logged.
   */
  readonly info?: ((message: UnknownInfo) => EventFrom<T> | undefined) | undefined
  /** Runs last, as in a GenServer. Exit actions do not run when a process ends. */
  readonly terminate?:
    | ((
        snapshot: SnapshotFrom<T>,
        reason: ExitReason,
        context: MachineContext<T>,
      ) => void | Promise<void>)
    | undefined
  /**
   * Returns the status that crash reports, `sys.getStatus` and the prompt show, as in a GenServer.
   */
  readonly formatStatus?: ((status: StatusParts<SnapshotFrom<T>>) => StatusParts) | undefined
}

/** The result of `restore`. */
export type Restored<T extends AnyStateMachine> = SavedMachine<T> | undefined

/** The context of the process that runs `T`. */
export type MachineContext<T extends AnyStateMachine> = Context<MachineMessages<T>>

/** A delayed event that is still waiting. */
export interface SavedTimer {
  /** Its id for `cancel`. */
  readonly id: string
  /**
   * Its sender and its target: ids of actors from the machine inwards; the machine itself is `[]`.
   */
  readonly source: readonly string[]
  readonly target: readonly string[]
  readonly event: { readonly type: string }
  /** When it is due, in ms since 1970. */
  readonly dueAt: number
}

/** An actor that the machine invoked or spawned. */
export interface SavedActor {
  readonly src: unknown
  readonly snapshot: unknown
  /** The step that started it (`stepOf`); a machine inside has none. */
  readonly step?: string | undefined
  readonly systemId?: string | undefined
  readonly syncSnapshot?: boolean | undefined
}

/** A part of a step that is recorded and was not done yet. */
export interface SavedAction {
  /** The name of its step: the same at each try. An event and an `end` have none. */
  readonly step: string
  /** The number of the turn that left it. Parts of several turns wait for each other. */
  readonly turn: number
  /**
   * `action`: `name` is its name in `setup`, or its place in the machine. `emit`: `event` is what is
   * emitted. `send`: `event` goes to the process `name`, of `entity` if there is one. `event`:
   * `actor` sent `event` to `target`. `start`: the place where the work of `actor` begins. `end`:
   * the place where `actor` takes its next event. `timer`: `event` is to go to `target` at `dueAt`;
   * without a target, the delayed event `name` of `actor` is cancelled. A `start`, an `end` and such a
   * `timer` have an event without a meaning.
   */
  readonly kind: 'action' | 'emit' | 'send' | 'event' | 'start' | 'end' | 'timer'
  /** Of an `event`: it waits for the `end` of its target. */
  readonly isQueued?: boolean | undefined
  /** Of an `event`: it begins a turn, as an event does that did not wait. */
  readonly isAlone?: boolean | undefined
  /** Without a name it cannot be found again: it is not repeated after a restart. */
  readonly name?: string | undefined
  readonly entity?: readonly [kind: string, id: string] | undefined
  /** The checksum of an inline action's text: another version has another. */
  readonly text?: number | undefined
  /** The actor that asked for it: keys from the machine inwards, and the logic of each. */
  readonly actor: readonly string[]
  readonly sources: readonly string[]
  readonly params?: unknown
  readonly event: { readonly type: string }
  readonly target?: readonly string[] | undefined
  readonly dueAt?: number | undefined
  /** The context that it is given, if it is not the present one of its actor. */
  readonly context?: unknown
}

/** A machine as plain data; it can be JSON if its context can. */
export interface SavedMachine<T extends AnyStateMachine = AnyStateMachine> {
  /** The machine's id. */
  readonly machine: string
  /** Identifies this machine from its birth on: the beginning of the names of its steps. */
  readonly run: string
  /** The number of its last step. */
  readonly step: number
  /** The actions and the events that are still to be done, in order. */
  readonly actions: readonly SavedAction[]
  readonly status: 'active' | 'done' | 'error' | 'stopped'
  readonly value: SnapshotFrom<T>['value']
  readonly context: ContextFrom<T>
  readonly output?: OutputFrom<T> | undefined
  readonly tags: readonly string[]
  readonly historyValue: Readonly<Record<string, readonly { readonly id: string }[]>>
  /**
   * The states by their numbers in the machine, in the order of their entries, if that is another
   * order: of parallel states, whose `always` transitions are taken in it.
   */
  readonly entered?: readonly number[] | undefined
  readonly children: Readonly<Record<string, SavedActor>>
  /** The waiting events of `after`, delayed `raise` and delayed `sendTo`, earliest first. */
  readonly timers: readonly SavedTimer[]
  /** Events that were taken and not handled: they wait for another state. Oldest first. */
  readonly postponed: readonly EventFrom<T>[]
}

declare const machine: unique symbol

/** The messages of the process of `T`. Use the client functions to send them. */
export interface MachineMessages<
  T extends AnyStateMachine = AnyStateMachine,
  R = Record<never, never>,
  E = EventFrom<T>,
> {
  readonly [machine]?: readonly [T, R, E]
  casts: { event: (event: E) => void }
  calls: {
    event: (event: E) => unknown
    snapshot: () => SavedMachine<T>
    output: () => OutputFrom<T>
    waitFor: (predicate: (snapshot: SnapshotFrom<T>) => boolean) => SnapshotFrom<T>
    subscribe: (listener: (snapshot: SnapshotFrom<T>) => unknown) => void
  }
  infos: {
    timer: (timer: never) => void
    arrived: (arrival: never) => void
    failed: (failure: never) => void
  }
  continues: { replay: () => void }
}

/** The server of `T`. `E`: the events as they are sent, which a schema may make others of. */
export type MachineServer<
  T extends AnyStateMachine,
  R = Record<never, never>,
  E = EventFrom<T>,
> = GenServer<MachineMessages<T, R, E>, SnapshotFrom<T>, InputOf<T>>

/**
 * The messages of a server that `StateMachine.server` or `StateMachine.durable` made: for `name<…>`
 * and `Ref<…>`.
 */
export type MessagesOf<S> =
  S extends Defines<infer M, infer _State, infer _Argument, infer _App> ? M : never

/** The handle of a process that runs the machine of the server `S`. */
export type MachineRef<S> = Ref<MessagesOf<S>>

/** The part of a ref's type that client functions use. */
export type MachineOf<M> = M extends { readonly [machine]?: readonly [infer T, ...unknown[]] }
  ? Extract<T, AnyStateMachine>
  : never

/** The answers of the process of a ref. */
export type RepliesOf<M> = M extends {
  readonly [machine]?: readonly [unknown, infer R, ...unknown[]]
}
  ? R
  : never

/** The events of the process of a ref, as they are sent. */
export type EventOf<M> = M extends {
  readonly [machine]?: readonly [unknown, unknown, infer E]
}
  ? E
  : never
