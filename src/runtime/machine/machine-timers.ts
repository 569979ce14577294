/**
 * The delayed events of one machine and of the actors inside it: XState's scheduler as a table of
 * absolute times. A host arms a timer for each. A cancelled event never arrives.
 */

import type { EventObject } from 'xstate'
import { KeelsonError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import { type Actor, childrenOf, isOfOneMachine, parentOf } from './machine-door.ts'
import type { SavedTimer } from './machine-words.ts'

/** One delayed event. */
export interface Delayed {
  readonly key: string
  readonly id: string
  readonly source: Actor
  readonly target: Actor
  readonly event: EventObject
  /** When it is due, in ms since 1970. */
  readonly dueAt: number
}

/** An order of XState: a delayed event, no more that of an id, or none of `source`. */
export type TimerOrder =
  | Omit<Delayed, 'key'>
  | { readonly source: Actor; readonly id: string | undefined; readonly target?: undefined }

/** Time, for timers. */
export interface TimersHost {
  now(): number
  /** Lets `delayed` come back in `ms`. */
  arm(delayed: Delayed, ms: number): void
  /** It need not come back. */
  disarm(delayed: Delayed): void
}

/** The timers of one machine. */
export class MachineTimers {
  readonly #host: TimersHost
  readonly #waiting = new Map<string, Delayed>()
  /** Grows with each change. */
  version = 0

  constructor(host: TimersHost) {
    this.#host = host
  }

  /** The order to send `event` to `target` in `delay` ms; at once without a number, as in XState. */
  order(source: Actor, target: Actor, event: EventObject, delay: number, id: string): TimerOrder {
    if (delay === Number.POSITIVE_INFINITY) return { source, id }
    return { id, source, target, event, dueAt: this.#host.now() + Math.max(0, delay || 0) }
  }

  /**
   * Does what XState asked for. A timer replaces a waiting one with the same id and source, as
   * gen_statem does: two timers of one id could not be distinguished.
   */
  obey(order: TimerOrder): void {
    const { source, id } = order
    if (id !== undefined) this.#cancel(this.#waiting.get(keyOf(source, id)))
    else
      for (const each of [...this.#waiting.values()]) if (each.source === source) this.#cancel(each)
    if (order.target !== undefined) this.#add(order)
  }

  #add(given: Omit<Delayed, 'key'>): void {
    const { id, source, dueAt } = given
    const delayed = { ...given, key: keyOf(source, id) }
    this.#host.arm(delayed, Math.max(0, dueAt - this.#host.now()))
    this.#waiting.set(delayed.key, delayed)
    this.version++
  }

  #cancel(delayed: Delayed | undefined): void {
    if (delayed === undefined) return
    this.take(delayed)
    this.#host.disarm(delayed)
  }

  /**
   * Whether `delayed` is still valid now that its time has come: it may have been cancelled since.
   */
  take(delayed: Delayed): boolean {
    if (this.#waiting.get(delayed.key) !== delayed) return false
    this.version++
    return this.#waiting.delete(delayed.key)
  }

  /**
   * The waiting events, earliest first. Those of an actor that is not in the saved state are left
   * out: it is being stopped, or runs outside of `root`.
   */
  saved(root: Actor): SavedTimer[] {
    const found: SavedTimer[] = []
    for (const { id, source, target, event, dueAt } of this.#waiting.values()) {
      const [from, to] = [placeOf(source, root), placeOf(target, root)]
      if (from === undefined || to === undefined) continue
      found.push({ id, source: from, target: to, event, dueAt })
    }
    return found.sort((one, other) => one.dueAt - other.dueAt)
  }

  /**
   * Resumes saved timers with their remaining time. Overdue ones fire at once, in the order of
   * their deadlines.
   */
  restore(saved: readonly SavedTimer[], root: Actor): void {
    const inOrder = [...saved].sort((one, other) => one.dueAt - other.dueAt)
    for (const { id, source, target, event, dueAt } of inOrder) {
      const [from, to] = [actorAt(source, root), actorAt(target, root)]
      if (from === undefined || to === undefined) continue
      this.#add({ id, source: from, target: to, event, dueAt })
    }
  }
}

/**
 * A saved machine keeps delayed events for its own actors: no other one is found again.
 * @throws KeelsonError `INVALID_ARGUMENT` if `target` is outside of the machine of `source`
 */
export const checkInside = (source: Actor, target: Actor, { type }: EventObject): void => {
  if (isOfOneMachine(target, source)) return
  const instead = 'raise an event of its own with the delay, and send then'
  throw new KeelsonError(
    'INVALID_ARGUMENT',
    `a machine that is saved keeps no delayed ${type} for ${target.id}: ${instead}`,
  )
}

const keyOf = (source: Actor, id: string): string => `${source.sessionId} ${id}`

/**
 * The keys under which states hold the actors from `root` to `actor`; `undefined` when it is not
 * inside.
 */
export const pathOf = (actor: Actor, root: Actor): string[] | undefined => {
  const path: string[] = []
  for (let at: Actor | undefined = actor; at !== root; at = parentOf(at)) {
    if (at === undefined) return undefined
    path.unshift(placeIn(childrenOf(parentOf(at)), at))
  }
  return path
}

/** XState keeps a child that `spawnChild` started without an id under another key than its id. */
const placeIn = (children: Readonly<Record<string, Actor>>, child: Actor): string => {
  if (ownOf(children, child.id) === child) return child.id
  return Object.keys(children).find((key) => ownOf(children, key) === child) ?? child.id
}

/** Its path, if it is in the state of `root`: one that is being stopped is not. */
export const placeOf = (actor: Actor, root: Actor): string[] | undefined => {
  const path = pathOf(actor, root)
  return path !== undefined && actorAt(path, root) === actor ? path : undefined
}

/** The actor inside `root` at the keys of `path`. */
export const actorAt = (path: readonly string[], root: Actor): Actor | undefined => {
  let actor: Actor | undefined = root
  for (const key of path) {
    actor = ownOf(childrenOf(actor), key)
    if (actor === undefined) return undefined
  }
  return actor
}
