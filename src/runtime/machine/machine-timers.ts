/**
 * The delayed events of one machine and of the actors inside it: XState's scheduler as a table of
 * absolute times. A host arms a timer for each. A cancelled event never arrives.
 */
import type { ActorSystem, ActorSystemInfo, EventObject } from 'xstate'
import type { Actor } from './machine-door.ts'
import type { SavedTimer } from './machine-words.ts'

type Scheduler = ActorSystem<ActorSystemInfo>['scheduler']

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

/** Time, for timers. */
export interface TimersHost {
  now(): number
  /** Lets `delayed` come back in `ms`. */
  arm(delayed: Delayed, ms: number): void
  /** It need not come back. */
  disarm(delayed: Delayed): void
}

/** The prefix of generated ids: such a timer cannot be cancelled by name. */
const anonymous = '~'

/** The timers of one machine. */
export class MachineTimers implements Scheduler {
  readonly #host: TimersHost
  readonly #waiting = new Map<string, Delayed>()
  #made = 0
  /** Grows with each change. */
  version = 0

  constructor(host: TimersHost) {
    this.#host = host
  }

  /**
   * Sends `event` to `target` in `delay` ms. It replaces a waiting timer with the same id and
   * source, as gen_statem does: two timers of one id could not be distinguished.
   */
  schedule(
    source: Actor,
    target: Actor,
    event: EventObject,
    delay: number,
    id = `${anonymous}${++this.#made}`,
  ): void {
    this.cancel(source, id)
    if (delay === Number.POSITIVE_INFINITY) return
    this.#add({ id, source, target, event, dueAt: this.#host.now() + Math.max(0, delay) }, delay)
  }

  #add(given: Omit<Delayed, 'key'>, ms: number): void {
    const delayed = { ...given, key: keyOf(given.source, given.id) }
    this.#host.arm(delayed, ms)
    this.#waiting.set(delayed.key, delayed)
    this.version++
  }

  cancel(source: Actor, id: string): void {
    const delayed = this.#waiting.get(keyOf(source, id))
    if (delayed === undefined) return
    this.take(delayed)
    this.#host.disarm(delayed)
  }

  cancelAll(source: Actor): void {
    for (const delayed of [...this.#waiting.values()]) {
      if (delayed.source === source) this.cancel(source, delayed.id)
    }
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
   * The waiting events, earliest first. Events to an actor outside of `root` cannot be saved and
   * are left out.
   */
  saved(root: Actor): SavedTimer[] {
    const found: SavedTimer[] = []
    for (const { id, source, target, event, dueAt } of this.#waiting.values()) {
      const [from, to] = [pathOf(source, root), pathOf(target, root)]
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
    const now = this.#host.now()
    const inOrder = [...saved].sort((one, other) => one.dueAt - other.dueAt)
    for (const { id, source, target, event, dueAt } of inOrder) {
      const [from, to] = [actorAt(source, root), actorAt(target, root)]
      if (from === undefined || to === undefined) continue
      if (id.startsWith(anonymous)) this.#made = Math.max(this.#made, Number(id.slice(1)))
      this.#add({ id, source: from, target: to, event, dueAt }, Math.max(0, dueAt - now))
    }
  }
}

const keyOf = (source: Actor, id: string): string => `${source.sessionId} ${id}`

/** The ids from `root` to `actor`; `undefined` when it is not inside. */
export const pathOf = (actor: Actor, root: Actor): string[] | undefined => {
  const path: string[] = []
  for (let at: Actor | undefined = actor; at !== root; at = at._parent) {
    if (at === undefined) return undefined
    path.unshift(at.id)
  }
  return path
}

/** The actor inside `root` at the ids of `path`. */
export const actorAt = (path: readonly string[], root: Actor): Actor | undefined => {
  let actor: Actor | undefined = root
  for (const id of path) {
    const within: { readonly children?: Record<string, Actor> } = actor.getSnapshot()
    actor = within.children?.[id]
    if (actor === undefined) return undefined
  }
  return actor
}
