/**
 * The event bus of a System: what happens to processes, for metrics, traces and logs. Free when nobody listens: an event
 * object is made only for an event that has a listener. Other layers add events of their own through `telemetry`.
 */

import { EventEmitter } from 'eventemitter3'
import type { Logger } from './logger.ts'
import { callOutside } from './outside-code.ts'

// What `sys.trace` shows. Only types.

/** One line of a trace. */
export interface TraceEvent {
  /** A message that came in, a reply that went out, or a step: what a state machine made of an event. */
  readonly direction: 'in' | 'out' | 'step'
  /** `call add`, `cast reset`, `reply` …; of a step the type of its event. */
  readonly what: string
  /** What the message carries; of a step `{ event, from, to }`, with state values. */
  readonly payload: unknown
}

// The bus behind telemetry. What it tells has happened already: a listener that throws, or answers a promise that
// rejects, is told to the log, and keeps neither the teller from going on nor the other listeners from hearing it.

/** A bus, typed by its events. */
export type TypedBus<Events extends object> = EventEmitter<Events>

type Listener = (...told: unknown[]) => unknown

/** An event bus whose listeners disturb nobody. They are called with the bus as `this`. */
export class EventBus extends EventEmitter {
  readonly #logger: Logger

  constructor(logger: Logger) {
    super()
    this.#logger = logger
  }

  override emit(event: string | symbol, ...told: unknown[]): boolean {
    const listeners = this.listeners(event) as Listener[]
    for (const listener of listeners) {
      // Takes away what was to hear one event only (`once`), and nothing else.
      this.removeListener(event, listener, undefined, true)
      this.#tell(event, listener, told)
    }
    return listeners.length > 0
  }

  #tell(event: string | symbol, listener: Listener, told: unknown[]): void {
    callOutside(
      () => listener.apply(this, told),
      (reason) => this.#logger.error(`a listener of ${String(event)} threw`, { reason }),
    )
  }
}

/** Who an event is about. `at` is in ms since 1970. */
export interface ProcessFacts {
  readonly at: number
  /** The instance that the process belongs to; `undefined` outside of any. */
  readonly instance: string | undefined
  readonly pid: number
  readonly name: string | undefined
  readonly kind: string
  readonly label: string | undefined
}

/** The events of the runtime. */
export interface TelemetryEvents {
  'process.started': (event: ProcessFacts & { readonly parent: number | undefined }) => void
  'process.exited': (event: ProcessFacts & { readonly reason: unknown }) => void
  /** A supervisor started a child again. `id` is its id there, `restarts` how often that happened so far. */
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
  /** A mailbox is half full; told once until no more than a quarter is left. */
  'mailbox.high': (
    event: ProcessFacts & { readonly depth: number; readonly mailboxMax: number },
  ) => void
  /** A state machine handled an event. `from` and `to` are state values; equal when it stayed. `label` is the machine's id. */
  'machine.transition': (
    event: ProcessFacts & {
      readonly event: { readonly type: string }
      readonly from: unknown
      readonly to: unknown
      readonly status: string
    },
  ) => void
}

/** An event bus. */
export type Telemetry<Events extends object = TelemetryEvents> = TypedBus<Events>

/** Emits what `facts` makes, if anybody listens. */
export const announce = <N extends keyof TelemetryEvents>(
  to: { readonly events: Telemetry },
  name: N,
  facts: () => Parameters<TelemetryEvents[N]>[0],
): void => {
  if (to.events.listenerCount(name) === 0) return
  const bus = to.events as unknown as EventBus
  bus.emit(name, facts())
}

/** A new bus without listeners. `logger` is told of listeners that throw. */
export const createTelemetry = (logger: Logger): Telemetry =>
  new EventBus(logger) as unknown as Telemetry

/** The bus of `system`, typed for the events of another layer besides the runtime's. */
export const telemetry = <Events extends object>(system: {
  readonly events: Telemetry
}): Telemetry<TelemetryEvents & Events> =>
  system.events as unknown as Telemetry<TelemetryEvents & Events>
