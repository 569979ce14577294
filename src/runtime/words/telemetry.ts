/**
 * The event bus of a System: events of processes, for metrics, traces and logs. It costs nothing
 * without listeners: an event object is made only if its event has a listener. Other layers
 * declare their events in `SystemEvents`.
 */

import { EventEmitter } from 'eventemitter3'
import type { ResultCode } from '../../errors.ts'
import type { SystemEvents } from '../words/app-context.ts'
import { Heard } from './hearing.ts'
import type { Logger } from './logger.ts'
import { atOnce, callOutside, type Outside } from './outside-code.ts'

// The events of `sys.trace`. Only types.

/** One line of a trace. */
export interface TraceEvent {
  /** A received message, a sent reply, or a step: the effect of an event on a state machine. */
  readonly direction: 'in' | 'out' | 'step'
  /** `call add`, `cast reset`, `reply` …; for a step, the type of its event. */
  readonly what: string
  /** The payload of the message; for a step, `{ event, from, to }` with state values. */
  readonly payload: unknown
}

// The bus of telemetry. Its events have happened already: a listener that throws or rejects is
// logged, and stops neither the emitter nor the other listeners.

/** A bus, typed by its events. */
export type TypedBus<Events extends object> = EventEmitter<Events>

type Listener = (...values: unknown[]) => unknown

/**
 * An event bus whose listeners cannot disturb the emitter. They are called with the bus as `this`.
 */
export class EventBus extends EventEmitter {
  readonly #logger: Logger
  readonly #outside: Outside
  readonly heard = new Heard()

  constructor(logger: Logger, outside: Outside = atOnce) {
    super()
    this.#logger = logger
    this.#outside = outside
  }

  override on(event: string | symbol, listener: Listener, context?: unknown): this {
    this.#note(event, true)
    return super.on(event, listener, context)
  }

  override addListener(event: string | symbol, listener: Listener, context?: unknown): this {
    return this.on(event, listener, context)
  }

  override once(event: string | symbol, listener: Listener, context?: unknown): this {
    this.#note(event, true)
    return super.once(event, listener, context)
  }

  #note(event: string | symbol, isHeard: boolean): void {
    if (event === 'call.done' || event === 'turn.done') this.heard[event].isAll = isHeard
  }

  override emit(event: string | symbol, ...values: unknown[]): boolean {
    const listeners = this.listeners(event)
    for (const listener of listeners) {
      // Removes a listener of `once`, and no other.
      this.removeListener(event, listener, undefined, true)
      this.#callListener(event, listener, values)
    }
    return listeners.length > 0
  }

  override listenerCount(event: string | symbol): number {
    const count = super.listenerCount(event)
    if (count === 0) this.#note(event, false)
    return count
  }

  #callListener(event: string | symbol, listener: Listener, values: unknown[]): void {
    callOutside(
      () => this.#outside(() => listener.apply(this, values)),
      (reason) => this.#logger.error(`a listener of ${String(event)} threw`, { reason }),
    )
  }
}

/** The process of an event. `at` is in ms since 1970. */
export interface ProcessFacts {
  readonly at: number
  /** The instance that the process belongs to; `undefined` outside of any. */
  readonly instance: string | undefined
  readonly pid: number
  readonly name: string | undefined
  readonly kind: string
  readonly label: string | undefined
}

// The events of reports, as SASL's.

/** A process above another one: it started it, or started who did. */
export interface Ancestor {
  readonly pid: number
  readonly name: string | undefined
  readonly label: string | undefined
}

/** A message as logs and reports show it: `call add`, and its payload. */
export interface ShownMessage {
  readonly what: string
  readonly payload: unknown
}

/** The visible inside of a process: its `formatStatus` gets and returns this. */
export interface StatusParts<S = unknown> {
  /** The state of a server; `undefined` for a bare process. */
  readonly state: S
  /**
   * In a crash report the message that was handled last; else the message that is logged or traced.
   * The `what` of a traced answer is `reply`.
   */
  readonly lastMessage?: ShownMessage | undefined
  /** In a crash report why it ended. */
  readonly reason?: unknown
}

/** The report of a crash. */
export type CrashFacts = ProcessFacts &
  StatusParts & {
    readonly reason?: unknown
    /** Nearest first. */
    readonly ancestors: readonly Ancestor[]
    /** The number of messages that waited. */
    readonly mailbox: number
  }

/** The report of a supervisor about a child, with OTP's words. */
export type SupervisorReport = ProcessFacts & {
  /**
   * The child ended by itself (and not in order, unless it is permanent), could not be started, or
   * did not end as its supervisor asked it to.
   */
  readonly errorContext: 'child_terminated' | 'start_error' | 'shutdown_error'
  readonly reason: unknown
  readonly child: {
    readonly id: string
    /** `undefined` if it was not started. */
    readonly pid: number | undefined
    readonly restart: string
    readonly shutdown: string | number
    readonly kind: string
  }
}

/** The events of the runtime. */
export interface TelemetryEvents {
  'process.started': (event: ProcessFacts & { readonly parent: number | undefined }) => void
  'process.exited': (event: ProcessFacts & { readonly reason: unknown }) => void
  /** A process failed: it threw, or stopped for a reason that is not orderly. */
  'process.crashed': (event: CrashFacts) => void
  'supervisor.report': (event: SupervisorReport) => void
  /**
   * A supervisor restarted a child. `id` is the child's id, `restarts` the number of its restarts
   * so far.
   */
  'process.restarted': (
    event: ProcessFacts & {
      readonly supervisor: number
      readonly id: string
      readonly reason: unknown
      readonly restarts: number
    },
  ) => void
  /** A supervisor spent its intensity and ends. */
  'supervisor.gave_up': (
    event: ProcessFacts & { readonly id: string; readonly reason: unknown },
  ) => void
  /**
   * A child with a back-off ended, or was not started again. It starts in `waitMs`; `row` is the
   * number of its restarts in a row.
   */
  'supervisor.backed_off': (
    event: ProcessFacts & {
      readonly id: string
      readonly reason: unknown
      readonly waitMs: number
      readonly row: number
    },
  ) => void
  /** A mailbox is half full. Emitted once until it is at most a quarter full. */
  'mailbox.high': (
    event: ProcessFacts & { readonly depth: number; readonly mailboxMax: number },
  ) => void
  /**
   * A call has its outcome, `tookMs` after it was made. The process is the one that was called: a
   * call that found none emits nothing.
   */
  'call.done': (
    event: ProcessFacts & {
      readonly message: string
      readonly result: ResultCode
      readonly tookMs: number
    },
  ) => void
  // Of a System that `systemMonitor` watches.
  /**
   * A handler ran for `tookMs` without an `await`. `message` is `call add`, or `undefined` for the
   * start of a process and a request of `sys`.
   */
  'handler.slow': (
    event: ProcessFacts & { readonly message: string | undefined; readonly tookMs: number },
  ) => void
  /**
   * A handler's promise has been pending for `pendingMs`. `message` is `call add`, `init` or
   * `terminate`. Emitted once for each.
   */
  'handler.pending': (
    event: ProcessFacts & { readonly message: string; readonly pendingMs: number },
  ) => void
  /** A mailbox is long. Emitted once until it is half as long. */
  'mailbox.long': (
    event: ProcessFacts & { readonly depth: number; readonly mailboxMax: number },
  ) => void
  /** A turn of the event loop began `delayMs` late: the longest delay since the last look. */
  'loop.delayed': (event: { readonly at: number; readonly delayMs: number }) => void
  /**
   * A state machine handled an event. `from` and `to` are state values; equal when it stayed.
   * `label` is the machine's id.
   */
  'machine.transition': (
    event: ProcessFacts & {
      readonly event: { readonly type: string }
      readonly from: unknown
      readonly to: unknown
      readonly status: string
    },
  ) => void
}

declare module '../words/app-context.ts' {
  interface SystemEvents extends TelemetryEvents {}
}

/** An event bus. `docs/events.md` lists the events with their units. */
export type Telemetry<Events extends object = SystemEvents> = TypedBus<Events>

/** Emits the result of `facts`, if the event has a listener. */
export const announce = <N extends keyof TelemetryEvents>(
  to: { readonly events: Telemetry },
  name: N,
  facts: () => Parameters<TelemetryEvents[N]>[0],
): void => {
  if (to.events.listenerCount(name) === 0) return
  const bus = to.events as EventBus
  bus.emit(name, facts())
}

/** A new bus without listeners. `logger` gets the failures of listeners, which `outside` calls. */
export const createTelemetry = (logger: Logger, outside?: Outside): EventBus & Telemetry =>
  new EventBus(logger, outside) as EventBus & Telemetry

/** The bus of `system`, typed for events of your own beside those of Keelson. */
export const telemetry = <Events extends object>(system: {
  readonly events: Telemetry
}): Telemetry<SystemEvents & Events> => system.events as unknown as Telemetry<SystemEvents & Events>
