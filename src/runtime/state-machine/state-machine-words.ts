/**
 * The words of a state machine: which events a machine's process understands, what it answers, how it may be run, and
 * what of it is saved. Everything is inferred from the types of the XState machine. Types only.
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
import type { Context, GenServer, UnknownInfo } from '../server/gen-server.ts'
import type { Ref } from '../words/address.ts'
import type { ExitMessage } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import type { DownMessage } from '../words/monitor.ts'

/** The types of the events of `T`. */
export type EventTypeOf<T extends AnyStateMachine> = EventFrom<T>['type'] & string

/** The event of `T` that has the type `K`. */
export type EventNamed<T extends AnyStateMachine, K> = Extract<EventFrom<T>, { readonly type: K }>

/** What `T` is started with; nothing when it declares no input. */
export type InputOf<T extends AnyStateMachine> =
  Undeclared extends InputFrom<T> ? undefined : InputFrom<T>

// What XState gives an input that nobody declared: anything.
// biome-ignore lint/complexity/noBannedTypes: XState's own word for it.
type Undeclared = {} | null | undefined

/** A state of `T` as a text: `open`, or `door.open` for a state within one. */
export type StatePath<T extends AnyStateMachine> = PathsOf<SnapshotFrom<T>['value']>

type PathsOf<V> = V extends string
  ? V
  : V extends object
    ? { [K in keyof V & string]: K | `${K}.${PathsOf<V[K]>}` }[keyof V & string]
    : never

/** What a machine answers to `call`, by the types of the events that may be called. */
export type Replies<T extends AnyStateMachine> = { readonly [K in EventTypeOf<T>]?: unknown }

/** The functions that answer: of the snapshot that the event left. */
export type Answers<T extends AnyStateMachine, R> = {
  readonly [K in keyof R]: (snapshot: SnapshotFrom<T>, event: EventNamed<T, K>) => R[K]
}

/** Which events wait until the state value changes: by the states in which they do, or as a pure function. */
export type Postpone<T extends AnyStateMachine> =
  | { readonly [S in StatePath<T>]?: readonly EventTypeOf<T>[] }
  | ((snapshot: SnapshotFrom<T>, event: EventFrom<T>) => boolean)

/** How a machine is run. All of it is optional. */
export type StateMachineOptions<
  T extends AnyStateMachine,
  R extends Replies<T> = Record<never, never>,
> = NoInfer<StateMachineSettings<T>> & {
  /** What `StateMachine.call` is answered, for each type of event that may be called. No state need name such an event. */
  readonly answers?: Answers<T, R> | undefined
}

/** The options but `answers`, which are about the machine alone. */
export interface StateMachineSettings<T extends AnyStateMachine> {
  /** gen_statem's `postpone`: events that are kept until the state value changes, then taken before what waits. */
  readonly postpone?: Postpone<T> | undefined
  /**
   * What becomes of an event whose type no state of the machine names: `log` (default), `ignore` (XState's way), or
   * `exit` (gen_statem's way). An event that only the present state has no use for is ignored always: charts say so.
   */
  readonly unknownEvents?: 'log' | 'ignore' | 'exit' | undefined
  /** Where to continue, asked at each start: `undefined` begins anew. A value is continued from at each start. */
  readonly restore?:
    | SavedMachine<T>
    | ((input: InputOf<T>) => Restored<T> | Promise<Restored<T>>)
    | undefined
  /** Called with what `restore` takes after each event that changed something, and awaited before the next. A throw is a crash. */
  readonly save?: ((saved: SavedMachine<T>) => void | Promise<void>) | undefined
  /** Takes what the machine emits (`emit`). A throw is a crash. Without it nobody listens. */
  readonly emitted?: ((event: EmittedFrom<T>, context: MachineContext<T>) => void) | undefined
  /** Whether exit signals come as messages, and `terminate` runs when the parent ends. */
  readonly trapExit?: boolean | undefined
  /** The event for an exit message; `undefined`, or no function: it is logged. */
  readonly exit?: ((message: ExitMessage) => EventFrom<T> | undefined) | undefined
  /** The event for a down message; `undefined`, or no function: it is logged. */
  readonly down?: ((message: DownMessage) => EventFrom<T> | undefined) | undefined
  /** The event for a message that is no event of this machine; `undefined`, or no function: it is logged. */
  readonly info?: ((message: UnknownInfo) => EventFrom<T> | undefined) | undefined
  /** The last thing that runs, as in a GenServer. Exit actions do not run when a process ends. */
  readonly terminate?:
    | ((
        snapshot: SnapshotFrom<T>,
        reason: ExitReason,
        context: MachineContext<T>,
      ) => void | Promise<void>)
    | undefined
}

/** What `restore` may answer. */
export type Restored<T extends AnyStateMachine> = SavedMachine<T> | undefined

/** The context of the process that runs `T`. */
export type MachineContext<T extends AnyStateMachine> = Context<MachineMessages<T>>

/** A delayed event that has not happened yet. */
export interface SavedTimer {
  /** What `cancel` knows it by. */
  readonly id: string
  /** Who asked for it and who gets it: ids of actors from the machine inwards; the machine itself is `[]`. */
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
  readonly systemId?: string | undefined
  readonly syncSnapshot?: boolean | undefined
}

/** A machine as plain data: fit for JSON when its context is. */
export interface SavedMachine<T extends AnyStateMachine = AnyStateMachine> {
  /** The machine's id. */
  readonly machine: string
  readonly status: 'active' | 'done' | 'error' | 'stopped'
  readonly value: SnapshotFrom<T>['value']
  readonly context: ContextFrom<T>
  readonly output?: OutputFrom<T> | undefined
  readonly tags: readonly string[]
  readonly historyValue: Readonly<Record<string, readonly { readonly id: string }[]>>
  readonly children: Readonly<Record<string, SavedActor>>
  /** What `after`, delayed `raise` and delayed `sendTo` have still to do, earliest first. */
  readonly timers: readonly SavedTimer[]
  /** Events that wait for another state, oldest first. */
  readonly postponed: readonly EventFrom<T>[]
}

declare const machine: unique symbol

/** What the process of `T` understands. Client functions are the only way in. */
export interface MachineMessages<
  T extends AnyStateMachine = AnyStateMachine,
  R = Record<never, never>,
> {
  readonly [machine]?: readonly [T, R]
  casts: { event: (event: EventFrom<T>) => void }
  calls: {
    event: (event: EventFrom<T>) => unknown
    snapshot: () => SavedMachine<T>
    output: () => OutputFrom<T>
  }
  infos: {
    timer: (timer: never) => void
    arrived: (arrival: never) => void
    failed: (failure: never) => void
  }
  continues: { replay: () => void }
}

/** The server of `T`. */
export type MachineServer<T extends AnyStateMachine, R = Record<never, never>> = GenServer<
  MachineMessages<T, R>,
  SnapshotFrom<T>,
  InputOf<T>
>

/** The messages of a server that `StateMachine.server` made: for `name<…>` and `Ref<…>`. */
export type MessagesOf<S> =
  S extends MachineServer<infer T, infer R> ? MachineMessages<T, R> : never

/** The handle of a process that runs the machine of the server `S`. */
export type MachineRef<S> = Ref<MessagesOf<S>>

/** What a client function needs to know of a ref. */
export type MachineOf<M> = M extends { readonly [machine]?: readonly [infer T, unknown] }
  ? Extract<T, AnyStateMachine>
  : never

/** What the process behind a ref answers. */
export type RepliesOf<M> = M extends { readonly [machine]?: readonly [unknown, infer R] }
  ? R
  : never
