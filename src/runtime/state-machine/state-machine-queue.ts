/**
 * The events that a machine has taken but not handled: the postponed ones, and the ones it returns
 * to after its state changed. Like gen_statem, a change of the state value brings back all
 * postponed events, in order, before the mailbox. They count as waiting, so `mailboxMax` bounds
 * both together.
 */
import type { EventObject, StateValue } from 'xstate'
import type { Process } from '../process/process.ts'
import type { From } from '../server/gen-server.ts'

/** An event, and the call that waits for its answer. */
export interface Waiting {
  readonly event: EventObject
  readonly from: From | undefined
}

/** The queue of one machine. */
export class PostponedEvents {
  readonly #process: Process
  #postponed: Waiting[] = []
  #returning: Waiting[] = []

  constructor(process: Process) {
    this.#process = process
  }

  /** Postpones an event. */
  postpone(waiting: Waiting): void {
    this.#postponed.push(waiting)
    this.#process.aside++
  }

  /** The state value changed: postponed events return, before those that are returning already. */
  comeBack(): void {
    if (this.#postponed.length === 0) return
    this.#returning = [...this.#postponed, ...this.#returning]
    this.#postponed = []
  }

  /** Whether an event is returning. */
  get isReturning(): boolean {
    return this.#returning.length > 0
  }

  /** The next returning event. */
  take(): Waiting | undefined {
    const waiting = this.#returning.shift()
    if (waiting !== undefined) this.#process.aside--
    return waiting
  }

  /** All events, oldest first. */
  get events(): EventObject[] {
    return [...this.#returning, ...this.#postponed].map(({ event }) => event)
  }

  /** Restores saved events. */
  restore(events: readonly EventObject[]): void {
    for (const event of events) this.postpone({ event, from: undefined })
  }
}

/** Whether two state values are the same states. */
export const isSameValue = (
  one: StateValue | undefined,
  other: StateValue | undefined,
): boolean => {
  if (one === other) return true
  if (typeof one !== 'object' || typeof other !== 'object') return false
  const keys = Object.keys(one)
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => key in other && isSameValue(one[key], other[key]))
  )
}
