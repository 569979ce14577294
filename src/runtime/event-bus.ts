/**
 * The bus behind telemetry. What it tells has happened already: a listener that throws, or answers a promise that
 * rejects, is told to the log, and keeps neither the teller from going on nor the other listeners from hearing it.
 */
import { EventEmitter } from 'eventemitter3'
import type { Logger } from './logger.ts'
import { callOutside } from './outside-code.ts'

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
