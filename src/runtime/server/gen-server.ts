/**
 * The types of a server: the messages that it understands (`Messages`), its handlers (`GenServer`),
 * what they may use (`Context`, `System`), and the result of a start. Only types; `server-loop.ts`
 * runs them.
 */
import type { Clock } from '../../clock.ts'
import type { Via } from '../names/via.ts'
import type { CallOptions, PositionOption } from '../process/call-options.ts'
import type { Answered } from '../process/messaging.ts'
import type { ProcessInfo, ProcessSummary } from '../process/process-info.ts'
import type { Messages, Name, Part, Ref } from '../words/address.ts'
import type { AppContext } from '../words/app-context.ts'
import type { ExitMessage } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import type { Logger } from '../words/logger.ts'
import type { Fired, Timer } from '../words/message-timer.ts'
import type {
  CallsOf,
  CastsOf,
  ContinueOf,
  ContinuesOf,
  GivenOf,
  InfosOf,
  NameIn,
  PayloadOf,
  ReplyOf,
  Section,
  With,
} from '../words/messages.ts'
import type { DownMessage, Monitor } from '../words/monitor.ts'
import type { StatusParts, Telemetry } from '../words/telemetry.ts'
import type { Acceptance } from './acceptance.ts'
import type { WithSchemas } from './message-schemas.ts'
import type { Ignore, NoReply, Ok, Reply, Stop, StopReply } from './next-step.ts'
import type { SpawnOptions, StartArguments, StartResult } from './start-options.ts'

type Awaitable<T> = T | Promise<T>

/** The result of a call's handler. */
export type CallResult<R, S, C> = Awaitable<
  Reply<R, S, C> | NoReply<S, C> | Stop<S> | StopReply<R, S>
>
/** The result of every other handler. */
export type Result<S, C> = Awaitable<NoReply<S, C> | Stop<S>>
/** The result of `init`: the state, bare or with a next step; or a refusal to start. */
export type Init<S, C> = Awaitable<S | Ok<S, C> | Ignore | Stop<never>>

// The server.

/** The section `K` of a server: needed if `M` declares messages there, else empty. */
export type Declared<M, K extends string, Handlers> = keyof Section<M, K> extends never
  ? { readonly [P in K]?: Readonly<Record<string, `its Messages have no ${K}`>> }
  : { readonly [P in K]: Handlers }

/** Handlers of calls: `(state, payload, context) => …`, with `context.from`. */
export type CallHandlers<M, S, App> = {
  readonly [N in keyof CallsOf<M>]: (
    state: S,
    payload: PayloadOf<CallsOf<M>[N]>,
    context: CallContext<M, App, ReplyOf<CallsOf<M>[N]>>,
  ) => CallResult<ReplyOf<CallsOf<M>[N]>, S, ContinueOf<M>>
}

/** Handlers of casts or infos: `(state, payload, context) => …`. */
export type Handlers<Sent, M, S, C> = {
  readonly [N in keyof Sent]: (
    state: S,
    payload: PayloadOf<Sent[N]>,
    context: C,
  ) => Result<S, ContinueOf<M>>
}

/** Handlers of what a server sends itself, which no schema parses: continues and alarms. */
export type OwnHandlers<Sent, M, S, C> = {
  readonly [N in keyof Sent]: (
    state: S,
    payload: GivenOf<Sent[N]>,
    context: C,
  ) => Result<S, ContinueOf<M>>
}

declare const definition: unique symbol

/** The types of a server, by which `worker` and `entity` infer them. Types only. */
export interface Defines<M, S, Arg, App> {
  readonly [definition]?: { messages: M; state: S; argument: Arg; app: App }
}

type Callback<Sent, M, S, C> = (state: S, message: Sent, context: C) => Result<S, ContinueOf<M>>

/** The callbacks for what is no message of the server's own. `C`: its context. */
export interface Notices<M, S, C> {
  /** A message that `infos` does not declare. By default it is logged. */
  readonly info?: Callback<UnknownInfo, M, S, C>
  /**
   * An exit signal arrived, from a link or sent by hand, while this server traps exits. By default
   * it is logged.
   */
  readonly exit?: Callback<ExitMessage, M, S, C>
  /** A monitored process ended. By default it is logged. */
  readonly down?: Callback<DownMessage, M, S, C>
  /** The timeout of the last answer ran out. */
  readonly timeout?: (state: S, context: C) => Result<S, ContinueOf<M>>
  /**
   * Runs last: when the server stops or throws, or (trapping exits) when its parent ends. A throw
   * replaces the reason.
   */
  readonly terminate?: (state: S, reason: ExitReason, context: C) => void | Promise<void>
}

interface Callbacks<M, S, Arg, App>
  extends Defines<M, S, Arg, App>,
    Notices<M, S, Context<M, App>> {
  /**
   * The kind of its processes in `ps()`, `tree()` and telemetry, unless their start names another.
   * `server` by default.
   */
  readonly kind?: string
  /**
   * Runs first. A throw, `stop` or a rejection refuses the start; `terminate` does not run then.
   */
  readonly init: (arg: Arg, context: Context<M, App>) => Init<S, ContinueOf<M>>
  /**
   * Checks of payloads. With them the server refuses an unknown message and lives on
   * (`acceptance.ts`).
   */
  readonly accepts?: Acceptance<M>
  /**
   * The checks count in an instance only, where the storage depends on the process. Elsewhere a
   * wrong call or cast ends it, as in OTP. Its own infos are checked there too.
   * @internal
   */
  readonly isOtpOutside?: boolean
  /**
   * Decides what crash reports, `sys.getStatus` and the prompt show of this server (OTP's
   * `format_status`). It gets the state, and in a crash report the last message and the reason, and
   * returns the visible parts. A part that it leaves out is not shown, except the reason. Without
   * it, fields with the name of a secret are hidden.
   */
  readonly formatStatus?: (status: StatusParts<S>) => StatusParts
}

/**
 * A server: a plain object of functions for the messages of `M`, over a state `S`, begun with
 * `Arg`. `App` types `context.app`, that of an instance by default. Annotate with this type; every
 * parameter and reply is then inferred from `M`.
 */
export type GenServer<M extends Messages, S, Arg = undefined, App = AppContext> = Callbacks<
  M,
  S,
  Arg,
  App
> &
  Declared<M, 'calls', CallHandlers<M, S, App>> &
  Declared<M, 'casts', Handlers<CastsOf<M>, M, S, Context<M, App>>> &
  Declared<M, 'infos', Handlers<InfosOf<M>, M, S, Context<M, App>>> &
  Declared<M, 'continues', OwnHandlers<ContinuesOf<M>, M, S, Context<M, App>>> &
  WithSchemas<M>

/** An info that was not declared. */
export interface UnknownInfo {
  readonly name: string
  readonly payload: unknown
}

// The world of a server.

/**
 * A call that waits for its answer. A server may keep it and answer it from a later handler, or
 * hand it to another process.
 */
export interface From<R = unknown> {
  /** The calling process, if it called from within a process (`context.to`). */
  readonly caller: Ref | undefined
  /** Answers the call. False: the caller does not wait any longer. */
  reply(value: R): boolean
  /** Rejects the caller with `error` as it is. No process crashes by it. */
  fail(error: unknown): boolean
  /**
   * Makes `target` the holder of the call: its death fails the call, with `note` in the error.
   * Constant time, no message.
   */
  handTo(target: Ref<unknown>, note?: unknown): void
}

/** The payload that `pipe` sends when its promise has settled. */
export type Settled<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: unknown }

/**
 * A process: its ref, or what is looked up at the time of use: a name, or the part of a tree that it
 * was started from.
 */
export type Target<M = unknown, S = unknown> = Ref<M, S> | Name<M> | Via<M> | Part<M, S>

/** Starts processes: a System those without a parent, a process its own, which are not linked. */
interface Starts {
  /**
   * Starts a server. The argument of its `init` comes as it is, and the options after it; `worker` has
   * it as the option `arg`. Rejects with `EXITED`; `details.reason` is that of `init`, `'ignore'`, or
   * `['already_started', ref]`.
   */
  start<T extends Messages, S, A, P>(
    server: GenServer<T, S, A, P>,
    ...rest: StartArguments<A, T>
  ): Promise<Ref<T, S>>
  /** The same, but resolves with a failure instead of rejecting. */
  startResult<T extends Messages, S, A, P>(
    server: GenServer<T, S, A, P>,
    ...rest: StartArguments<A, T>
  ): Promise<StartResult<T, S>>
  /**
   * Starts a bare process that runs `body` and then ends. It begins in a separate turn. Throws
   * `CONFLICT` when the name is taken.
   */
  spawn<T = unknown>(
    body: (context: BareContext<T & Messages>) => unknown,
    options?: SpawnOptions<T>,
  ): Ref<T>
}

/**
 * The context of a handler. One object for the whole process. After the death of the process,
 * a handler that is still pending has no effect, and its calls are rejected.
 */
export interface Context<M = Messages, App = AppContext> extends Starts {
  readonly self: Ref<M>
  /** The name registered for this process, if it has one. */
  readonly name: string | undefined
  /** The process that started this one, if a process did. */
  readonly parent: Ref | undefined
  readonly system: System
  /** Aborted when this process dies. Made on first use. */
  readonly signal: AbortSignal
  /** The value that the starter of this subtree has set: in an instance its `AppContext`. */
  readonly app: App
  /**
   * The same process with this one bound as the sender. Messages through it keep their order and
   * stop when this process ends.
   */
  to<T, S = unknown>(target: Target<T, S>): Ref<T, S>
  /** Starts a linked server. Rejects like `start`. */
  startLink<T extends Messages, S, A, P>(
    server: GenServer<T, S, A, P>,
    ...rest: StartArguments<A, T>
  ): Promise<Ref<T, S>>
  /** The same, but resolves with a failure instead of rejecting. */
  startLinkResult<T extends Messages, S, A, P>(
    server: GenServer<T, S, A, P>,
    ...rest: StartArguments<A, T>
  ): Promise<StartResult<T, S>>
  /** `spawn`, linked. */
  spawnLink<T = unknown>(
    body: (context: BareContext<T & Messages>) => unknown,
    options?: SpawnOptions<T>,
  ): Ref<T>
  /**
   * Links to `target`. If `target` has ended, it throws `NO_PROCESS`, or sends the exit message
   * `noproc` when this process traps exits. Throws for a name that no process has.
   */
  link(target: Target): void
  unlink(target: Target): void
  /** Watches `target`. `down` is called when it ends, with `noproc` when it is not there. */
  monitor(target: Target): Monitor
  /**
   * Removes a monitor. False: it has fired. `flush` also removes its down message from the mailbox.
   */
  demonitor(monitor: Monitor, options?: { readonly flush?: boolean }): boolean
  /** Whether exit signals arrive as messages instead of ending this process. */
  trapExit(on: boolean): void
  /** Sends an exit signal: `kill` cannot be trapped. */
  exit(target: Target, reason: ExitReason): void
  /** Registers this process. Throws `CONFLICT` when the name is taken or the process has one. */
  register(name: Name): void
  /** Releases a name, whichever process has it. Throws `NO_PROCESS` when no process has it. */
  unregister(name: Name): void
  /**
   * Sends an info. False: the mailbox is full, or the process is dead. Throws `NO_PROCESS` for a
   * name that no process has.
   */
  send<T, N extends NameIn<InfosOf<T>>>(
    target: Target<T>,
    name: N,
    ...payload: With<InfosOf<T>[N]>
  ): boolean
  /**
   * Calls a process and waits for its answer, as `call` does, with this process as the caller. The
   * call keeps its place among the messages of this process, and it rejects with `EXITED` when this
   * process ends.
   */
  call<T, N extends NameIn<CallsOf<T>>, P extends boolean = false>(
    target: Target<T>,
    name: N,
    ...rest: With<CallsOf<T>[N], [options?: CallOptions & PositionOption<P>]>
  ): Promise<Answered<ReplyOf<CallsOf<T>[N]>, P>>
  /** Sends a cast. False: the mailbox is full, or there is no such process. */
  cast<T, N extends NameIn<CastsOf<T>>>(
    target: Target<T>,
    name: N,
    ...payload: With<CastsOf<T>[N]>
  ): boolean
  /**
   * Sends a cast to this process, or to `target`, in `ms`. It ends with the process that it is for; one
   * to a name, a part or an entity is for the process that is there then.
   */
  castAfter<N extends NameIn<CastsOf<M>>>(
    ms: number,
    name: N,
    ...payload: With<CastsOf<M>[N]>
  ): Timer
  castAfter<T, N extends NameIn<CastsOf<T>>>(
    ms: number,
    name: N,
    payload: GivenOf<CastsOf<T>[N]>,
    target: Target<T>,
  ): Timer
  /** Sends an info to this process, or to `target`, in `ms`. It ends as that of `castAfter`. */
  sendAfter<N extends NameIn<InfosOf<M>>>(
    ms: number,
    name: N,
    ...payload: With<InfosOf<M>[N]>
  ): Timer
  sendAfter<T, N extends NameIn<InfosOf<T>>>(
    ms: number,
    name: N,
    payload: GivenOf<InfosOf<T>[N]>,
    target: Target<T>,
  ): Timer
  /**
   * The same, with `{ timer, payload }` as the payload: the handler can recognize a late message of
   * an old timer.
   */
  startTimer<N extends NameIn<InfosOf<M>>>(
    ms: number,
    name: N,
    ...payload: GivenOf<InfosOf<M>[N]> extends Fired<infer P>
      ? [payload: P] | (undefined extends P ? [] : never)
      : never
  ): Timer
  startTimer<T, N extends NameIn<InfosOf<T>>>(
    ms: number,
    name: N,
    payload: GivenOf<InfosOf<T>[N]> extends Fired<infer P> ? P : never,
    target: Target<T>,
  ): Timer
  /**
   * The milliseconds that were left. False: it was cancelled before, or has fired, and its message
   * may be in the mailbox.
   */
  cancelTimer(timer: Timer): number | false
  /** The milliseconds that are left. False: it has fired or was cancelled. */
  readTimer(timer: Timer): number | false
  /**
   * When `promise` settles, sends its outcome (`Settled`) to this process as the info `name`. The
   * mailbox never refuses it.
   */
  pipe<N extends NameIn<InfosOf<M>>>(promise: Promise<PipedBy<InfosOf<M>[N]>>, name: N): void
  /** Milliseconds since 1970, of the system's clock. */
  now(): number
}

type PipedBy<F> = Extract<GivenOf<F>, { readonly ok: true }> extends Settled<infer T> ? T : unknown

/** The context of any process, whatever its messages and its `app`. */
export type AnyContext = Context<Messages, unknown>

/** A message as a bare process receives it. */
export type Received =
  | { readonly kind: 'call'; readonly name: string; readonly payload: unknown; readonly from: From }
  | { readonly kind: 'cast' | 'info'; readonly name: string; readonly payload: unknown }
  | ({ readonly kind: 'exit' } & ExitMessage)
  | ({ readonly kind: 'down' } & DownMessage)

/** The context of a bare process. */
export interface BareContext<M = Messages, App = AppContext> extends Context<M, App> {
  /**
   * The next message; `undefined` if none arrives within `timeoutMs` (0: if none waits). One
   * `receive` at a time.
   */
  receive(timeoutMs?: number): Promise<Received | undefined>
  /**
   * Waits for `ms` of the system's clock, which a test may move, while messages queue up. Rejects
   * with `EXITED` when the process ends, like `receive`.
   */
  sleep(ms: number): Promise<void>
}

/** The context of a call. */
export interface CallContext<M = Messages, App = AppContext, R = unknown> extends Context<M, App> {
  /** The current call. Read it before the handler's first `await`, and keep it to answer later. */
  readonly from: From<R>
}

/** A page of processes. */
export interface ProcessQuery {
  /** Only processes with a higher pid: that of the last one of the page before. */
  readonly after?: number
  /** The most processes; 500 by default. */
  readonly limit?: number
}

/**
 * A world of processes. It owns their names, clock, timers, order and log. Two systems share
 * nothing.
 */
export interface System extends Starts {
  readonly clock: Clock
  readonly events: Telemetry
  readonly logger: Logger
  /** A ref that looks the name up at each use. */
  to<T, S = unknown>(name: Name<T> | Via<T> | Part<T, S>): Ref<T, S>
  whereis<T, S = unknown>(name: Name<T> | Via<T> | Part<T, S>): Ref<T, S> | undefined
  /** All processes. Very many hold up the event loop: `inspectProcesses` has pages. */
  processes(): ProcessInfo[]
  /** One page of processes in the order of their pids. A page of 500 takes about a millisecond. */
  inspectProcesses(query?: ProcessQuery): ProcessSummary[]
  /** `undefined` when there is no such process. */
  info(target: Target): ProcessInfo | undefined
  /** Ends the process at once with the reason `killed`. It cannot trap this. */
  kill(target: Target): void
  /** Sends an exit signal that comes from no process. */
  exit(target: Target, reason: ExitReason): void
  /**
   * Calls `onDown` once when `target` ends, or at once with `noproc` when it is not there. Returns
   * a function that cancels this.
   */
  monitor(target: Target, onDown: (reason: ExitReason) => void): () => void
  /**
   * Ends all processes: first those without a starter, in reverse order, each within its shutdown
   * time; then the others.
   */
  stop(reason?: ExitReason): Promise<void>
}
