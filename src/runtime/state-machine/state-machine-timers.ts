/**
 * The delayed events of one machine and of the actors inside it: XState's scheduler on the
 * process's own timers. An event arrives in a turn of the process. A cancelled event never arrives,
 * and none outlives the process.
 */
import type {
  ActorSystem,
  ActorSystemInfo,
  AnyActorRef,
  AnyMachineSnapshot,
  EventObject,
} from 'xstate'
import type { Context } from '../server/gen-server.ts'
import type { Timer } from '../words/message-timer.ts'
import type { SavedTimer } from './state-machine-words.ts'

type Scheduler = ActorSystem<ActorSystemInfo>['scheduler']

/** One delayed event. */
export interface Delayed {
  readonly key: string
  readonly id: string
  readonly source: AnyActorRef
  readonly target: AnyActorRef
  readonly event: EventObject
  timer: Timer | undefined
}

type TimerContext = Context<{ infos: { timer: (delayed: Delayed) => void } }>

/** The prefix of generated ids: such a timer cannot be cancelled by name. */
const anonymous = '~'

/** The timers of one run. */
export class MachineTimers implements Scheduler {
  readonly #context: TimerContext
  readonly #waiting = new Map<string, Delayed>()
  #made = 0

  constructor(context: TimerContext) {
    this.#context = context
  }

  /**
   * Sends `event` to `target` in `delay` ms. It replaces a waiting timer with the same id and
   * source, as gen_statem does: two timers of one id could not be told apart.
   */
  schedule(
    source: AnyActorRef,
    target: AnyActorRef,
    event: EventObject,
    delay: number,
    id = `${anonymous}${++this.#made}`,
  ): void {
    this.cancel(source, id)
    if (delay === Number.POSITIVE_INFINITY) return
    const key = keyOf(source, id)
    const delayed: Delayed = { key, id, source, target, event, timer: undefined }
    delayed.timer = this.#context.sendAfter(delay, 'timer', delayed)
    this.#waiting.set(key, delayed)
  }

  cancel(source: AnyActorRef, id: string): void {
    const delayed = this.#waiting.get(keyOf(source, id))
    if (delayed === undefined) return
    this.#waiting.delete(delayed.key)
    if (delayed.timer !== undefined) this.#context.cancelTimer(delayed.timer)
  }

  cancelAll(source: AnyActorRef): void {
    for (const delayed of [...this.#waiting.values()]) {
      if (delayed.source === source) this.cancel(source, delayed.id)
    }
  }

  /**
   * Whether `delayed` is still valid now that its message has arrived: it may have been cancelled
   * in the queue.
   */
  take(delayed: Delayed): boolean {
    return this.#waiting.get(delayed.key) === delayed && this.#waiting.delete(delayed.key)
  }

  /**
   * The waiting events, earliest first. Events to an actor outside of `root` cannot be saved and
   * are left out.
   */
  saved(root: AnyActorRef): SavedTimer[] {
    const now = this.#context.now()
    const found: SavedTimer[] = []
    for (const { id, source, target, event, timer } of this.#waiting.values()) {
      const [from, to] = [pathOf(source, root), pathOf(target, root)]
      if (from === undefined || to === undefined) continue
      const left = timer === undefined ? false : this.#context.readTimer(timer)
      found.push({ id, source: from, target: to, event, dueAt: now + (left || 0) })
    }
    return found.sort((one, other) => one.dueAt - other.dueAt)
  }

  /**
   * Resumes saved timers with their remaining time. Overdue ones fire at once, in the order of
   * their deadlines.
   */
  restore(saved: readonly SavedTimer[], root: AnyActorRef, snapshot: AnyMachineSnapshot): void {
    const now = this.#context.now()
    const inOrder = [...saved].sort((one, other) => one.dueAt - other.dueAt)
    for (const { id, source, target, event, dueAt } of inOrder) {
      const [from, to] = [actorAt(source, root, snapshot), actorAt(target, root, snapshot)]
      if (from === undefined || to === undefined) continue
      const known = id.startsWith(anonymous) ? undefined : id
      this.schedule(from, to, event, Math.max(0, dueAt - now), known)
    }
  }
}

const keyOf = (source: AnyActorRef, id: string): string => `${source.sessionId} ${id}`

/** The ids from `root` to `actor`; `undefined` when it is not inside. */
const pathOf = (actor: AnyActorRef, root: AnyActorRef): string[] | undefined => {
  const path: string[] = []
  for (let at: AnyActorRef | undefined = actor; at !== root; at = at._parent) {
    if (at === undefined) return undefined
    path.unshift(at.id)
  }
  return path
}

const actorAt = (
  path: readonly string[],
  root: AnyActorRef,
  snapshot: AnyMachineSnapshot,
): AnyActorRef | undefined => {
  let actor: AnyActorRef | undefined = root
  let children: Record<string, AnyActorRef | undefined> = snapshot.children
  for (const id of path) {
    actor = children[id]
    if (actor === undefined) return undefined
    children = (actor.getSnapshot() as Partial<AnyMachineSnapshot>).children ?? {}
  }
  return actor
}
