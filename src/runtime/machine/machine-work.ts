/**
 * The work that is left of one step of a machine, in XState's order: effects, and events to the
 * actors inside or to the machine itself. An event waits for the effects before it that may send
 * events too. An actor handles no event until everything of its last one is done.
 */
import { type Actor, type Arrival, parentOf } from './machine-door.ts'
import type { Effect, Owed } from './machine-effects.ts'
import { hearsOnly } from './machine-logic.ts'
import type { TimerOrder } from './machine-timers.ts'

/**
 * `isAlone`: the event begins a turn, as one that did not wait does. `timer`: a delayed event is set or
 * cancelled. `end`: the place where an actor is done with its last event, and takes the next one.
 */
export type Item =
  | { readonly kind: 'effect'; readonly effect: Owed }
  | { readonly kind: 'event'; readonly arrival: Arrival; readonly isAlone?: true }
  | { readonly kind: 'timer'; readonly order: TimerOrder }
  | { readonly kind: 'stop'; readonly actor: Actor; readonly run: () => void }
  | { readonly kind: 'end'; readonly actor: Actor }

/** An item that computes. */
export type Computing = Extract<Item, { kind: 'event' | 'stop' }>

/** The rules of the machine that the work is of. */
export interface Rules {
  /** Whether a later event waits until `effect` is done, as it does for what starts or hears. */
  holdsUp(effect: Owed): boolean
  /** Computes an item. Returns the items that come of it. */
  compute(item: Computing): readonly Item[]
  /** Sets or cancels timers. */
  obey(order: TimerOrder): void
}

/** Work of one step, and of the events that it sent. */
export class Work {
  /** The number of the turn that last computed a part of it. */
  turn: number
  #items: Item[]
  /** The events that wait for the `end` of their actor. */
  readonly #queued = new WeakSet<Item>()

  constructor(turn: number, items: readonly Item[], queued: readonly Item[] = []) {
    this.turn = turn
    for (const item of queued) this.#queued.add(item)
    this.#items = [...items]
  }

  /** Whether `effect` is part of it. */
  has(effect: Effect): boolean {
    return this.#items.some((item) => item.kind === 'effect' && item.effect === effect)
  }

  /** Whether `item` waits for the `end` of its actor. */
  queues(item: Item): boolean {
    return this.#queued.has(item)
  }

  /** All items, in order. */
  get items(): readonly Item[] {
    return this.#items
  }

  /** Whether it has nothing left but places. */
  get isDone(): boolean {
    return this.#items.every(({ kind }) => kind === 'end')
  }

  /** Whether events or timers are left. */
  get hasEvents(): boolean {
    return this.#items.some(isInside)
  }

  /** Whether the work of an actor inside is still to begin, or one is still to hear an event. */
  get isStarting(): boolean {
    return this.effects.some(sends)
  }

  /** Whether an effect that comes before any event is recorded, and tried again when it throws. */
  get isRecorded(): boolean {
    return this.effects.some((effect) => effect.isRecorded)
  }

  /** The effects that come before any event. */
  get effects(): readonly Owed[] {
    const first = this.#items.findIndex(isInside)
    const before = first < 0 ? this.#items : this.#items.slice(0, first)
    return before.flatMap((item) => (item.kind === 'effect' ? [item.effect] : []))
  }

  /** The effect that is next, if no event comes before it. */
  get head(): Effect | undefined {
    const first = this.#items.find(({ kind }) => kind !== 'end')
    return first?.kind === 'effect' ? first.effect : undefined
  }

  /** Whether the event that is computed next begins a turn. */
  get isAlone(): boolean {
    return isAlone(this.#next)
  }

  get #next(): Item | undefined {
    return this.#items.find(({ kind }) => kind === 'event' || kind === 'stop')
  }

  /** `item` comes after all of it. */
  add(item: Item): void {
    this.#items.push(item)
  }

  /** Takes out the event that is computed next, if it begins a turn. Returns whether it does. */
  dropAlone(): boolean {
    const next = this.#next
    if (!isAlone(next)) return false
    this.#items = this.#items.filter((item) => item !== next)
    return true
  }

  /** `effect` is done, and `items` came of it. */
  done(effect: Effect, items: readonly Item[]): void {
    const at = this.#items.findIndex((item) => item.kind === 'effect' && item.effect === effect)
    if (at >= 0) this.#items.splice(at, 1, ...items)
  }

  /** `actor` has failed: it handles and sends nothing more. */
  drop(actor: Actor): void {
    const isFrom = (item: Item): boolean => item.kind === 'event' && item.arrival.source === actor
    this.#items = this.#items.filter((item) => !isOf(item, actor) && !isFrom(item))
  }

  /**
   * Computes the events that wait for no effect, until there are none or one begins another turn; with
   * `within`, all events of that actor and of the actors inside it, and nothing else.
   */
  advance(rules: Rules, within?: Actor): void {
    let isHeld = false
    let isFirst = true
    let at = 0
    for (let item = this.#items[at]; item !== undefined; item = this.#items[at]) {
      if (within !== undefined && !isWithin(item, within)) at++
      else if (item.kind === 'effect') {
        isHeld ||= sends(item.effect) || rules.holdsUp(item.effect)
        at++
      } else if (item.kind === 'timer') {
        this.#items.splice(at, 1)
        rules.obey(item.order)
      } else if (item.kind === 'end') {
        if (isHeld) at++
        else this.#items.splice(at, 1)
      } else {
        if (isAlone(item) && !isFirst) return
        if (!this.#take(item, at, isHeld, rules)) return
        if (!this.#queued.has(item)) isFirst = false
      }
    }
  }

  /** Computes `item`, or lets it wait until its actor is done. False: it waits for an effect. */
  #take(item: Computing, at: number, isHeld: boolean, rules: Rules): boolean {
    const actor = actorOf(item)
    const isEnd = (other: Item, index: number): boolean =>
      index > at && other.kind === 'end' && other.actor === actor
    const end = this.#items.findIndex(isEnd)
    if (isHeld && (end >= 0 || !isPassive(item))) return false
    if (end < 0) this.#items.splice(at, 1, ...rules.compute(item), { kind: 'end', actor })
    else {
      this.#items.splice(this.#queueEnd(end + 1, item), 0, item)
      this.#items.splice(at, 1)
      this.#queued.add(item)
    }
    return true
  }

  /** Where `item` waits, after the events that its actor handles next. A stop comes before them. */
  #queueEnd(from: number, { kind }: Computing): number {
    let at = from
    for (let next = this.#items[at]; next && this.#queued.has(next); next = this.#items[at]) {
      if (kind === 'stop') this.#items.splice(at, 1)
      else at++
    }
    return at
  }
}

/** The first and the last of some turns. */
export type Span = readonly [first: number, last: number]

const allTurns: Span = [0, Number.POSITIVE_INFINITY]

/** The work that is left of all steps of one machine, oldest first. */
export class Works {
  #all: readonly Work[] = []

  get all(): readonly Work[] {
    return this.#all
  }

  /** The work of the turns in `span`. */
  within([first, last] = allTurns): readonly Work[] {
    return this.#all.filter(({ turn }) => turn >= first && turn <= last)
  }

  /** Keeps `work` while something of it is left. */
  keep(work: Work): void {
    if (work.isDone) this.#all = this.#all.filter((other) => other !== work)
    else if (!this.#all.includes(work)) this.#all = [...this.#all, work]
  }

  /** Whether events wait for `goOn`, of the turns in `span`. */
  isGoing(span = allTurns): boolean {
    return this.within(span).some(({ hasEvents }) => hasEvents)
  }

  /** Whether the event that `goOn` takes next begins a turn. */
  isAlone(span: Span): boolean {
    return this.within(span)[0]?.isAlone ?? false
  }

  /** Whether that event begins a turn, and waits for starts and hearings alone. They do not throw. */
  startsAlone(span: Span): boolean {
    return this.isAlone(span) && (this.within(span)[0]?.effects.every(sends) ?? false)
  }

  /** Takes that event out, if it begins a turn. Returns whether it does. */
  dropAlone(span: Span): boolean {
    const [work] = this.within(span)
    if (!work?.dropAlone()) return false
    this.keep(work)
    return true
  }

  /** The next effect of the turns in `span`, unless an event comes before it. */
  next(span = allTurns): Effect | undefined {
    return this.within(span)[0]?.head
  }

  /**
   * The last work that a later event waits for: of events that wait, or of actors inside that are still
   * to start or to hear. `isNew`: also of those after an effect that is tried again.
   */
  before(isNew: boolean): Work | undefined {
    return this.#all.findLast(
      ({ hasEvents, isStarting, isRecorded }) =>
        hasEvents || (isStarting && (isNew || !isRecorded)),
    )
  }
}

const isAlone = (item: Item | undefined): boolean => item?.kind === 'event' && item.isAlone === true

/** Whether it is work of an actor inside, which may send events: they come before later ones. */
const sends = ({ deed: { kind } }: Owed): boolean => kind === 'start' || kind === 'hear'

/** Whether `actor` has an event to handle, or to finish, among `items`. */
export const occupies = (items: readonly Item[], actor: Actor): boolean =>
  items.some((item) => isOf(item, actor))

/** Whether `actor` is in the middle of an event among `items`. */
export const ends = (items: readonly Item[], actor: Actor): boolean =>
  items.some((item) => item.kind === 'end' && item.actor === actor)

/** Whether `item` only leads to effects, so that it waits for none. */
const isPassive = (item: Computing): boolean =>
  item.kind === 'event' && hearsOnly(item.arrival.target)

/** Whether it happens inside the machine. */
const isInside = ({ kind }: Item): boolean => kind !== 'effect' && kind !== 'end'

const actorOf = (item: Computing): Actor =>
  item.kind === 'event' ? item.arrival.target : item.actor

/** Whether it computes in `actor`, or in an actor inside it. */
const isWithin = (item: Item, actor: Actor): boolean => {
  if (item.kind !== 'event' && item.kind !== 'stop') return false
  let at: Actor | undefined = actorOf(item)
  while (at !== undefined && at !== actor) at = parentOf(at)
  return at !== undefined
}

const isOf = (item: Item, actor: Actor): boolean =>
  item.kind === 'effect' || item.kind === 'timer'
    ? false
    : item.kind === 'end'
      ? item.actor === actor
      : actorOf(item) === actor
