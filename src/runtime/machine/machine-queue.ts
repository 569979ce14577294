/**
 * The events that a machine has taken but not handled: the postponed ones, and the ones it returns
 * to after its state changed. Like gen_statem, a change of the state value brings back all
 * postponed events, in order, before the mailbox.
 */

import type { EventObject, StateValue } from 'xstate'
import { ownOf } from '../../own-names.ts'
import { Ring } from '../queues/ring.ts'
import type { From } from '../server/gen-server.ts'

/** An event, and the call that waits for its answer. */
export interface Waiting {
  readonly event: EventObject
  readonly from: From | undefined
}

/** The queue of one machine. */
export class PostponedEvents {
  readonly #postponed = new Ring<Waiting>()
  readonly #returning = new Ring<Waiting>()
  /** Grows with each change. */
  version = 0

  /** The number of events. */
  get length(): number {
    return this.#postponed.length + this.#returning.length
  }

  /** Postpones an event. */
  postpone(waiting: Waiting): void {
    this.#postponed.push(waiting)
    this.version++
  }

  /** The state value changed: postponed events return, before events that are returning already. */
  comeBack(): void {
    if (this.#postponed.length > 0) this.#returning.prepend(this.#postponed)
  }

  /** Whether an event is returning. */
  get isReturning(): boolean {
    return this.#returning.length > 0
  }

  /** The next returning event. */
  take(): Waiting | undefined {
    const waiting = this.#returning.shift()
    if (waiting !== undefined) this.version++
    return waiting
  }

  /** All events and their callers, oldest first. */
  get all(): readonly Waiting[] {
    return this.length === 0 ? [] : [...all(this.#postponed), ...all(this.#returning)]
  }

  /**
   * Takes saved events back. They return first, because the state may have changed since they were
   * postponed; unless `postpones` every one of them still.
   */
  restore(saved: readonly Waiting[], postpones: (event: EventObject) => boolean): void {
    const queue = saved.every(({ event }) => postpones(event)) ? this.#postponed : this.#returning
    for (const waiting of saved) queue.push(waiting)
  }
}

function* all(ring: Ring<Waiting>): Iterable<Waiting> {
  for (let index = 0; index < ring.length; index++) {
    const waiting = ring.at(index)
    if (waiting !== undefined) yield waiting
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
    keys.every((key) => isSameValue(ownOf(one, key), ownOf(other, key)))
  )
}
