/**
 * One machine, turn by turn, apart from its process. A turn is one event with its immediate
 * consequences in the machine and in the actors inside it. It only computes: its effects are a
 * list. The host makes the new state safe, and then does them. An event that a step sends to its own
 * machine, or to an actor inside, comes after the effects before it that start something, in a turn
 * that `goOn` begins.
 *
 *     const steps = new MachineSteps(planOf(machine, options), host)
 *     const turn = steps.begin(input)         // or steps.restore(saved)
 *     if (turn.changed) await commit(steps.saved())
 *     const { works } = steps
 *     for (let effect = works.next(); effect; effect = works.next()) effect.run()
 *     if (works.isGoing()) steps.goOn()       // another turn
 *
 * `saved()` is the whole state as one plain value: contexts, actors inside, timers with absolute
 * times, postponed events, and the effects that are recorded and not done. `restore` gives back
 * exactly that: its effects are those, under the same names, and the starts of the actors that ran.
 * A turn that throws has let nothing out; the machine is then of no further use. A host that cannot
 * commit a turn calls `end()` and restores the state before it in another `MachineSteps`.
 */
import type { AnyActorRef, AnyMachineSnapshot, EventObject } from 'xstate'
import { addressOf, name, type Ref } from '../words/address.ts'
import { type Beginning, machineActor } from './machine-actors.ts'
import { isInternal } from './machine-check.ts'
import {
  type Actor,
  type Arrival,
  type Deed,
  type Door,
  handleIn,
  isStopped,
  setState,
  startAgain,
  stateOf,
  stopAll,
} from './machine-door.ts'
import { type Effect, Effects } from './machine-effects.ts'
import type { StepsHost } from './machine-host.ts'
import { failure } from './machine-logic.ts'
import { fromPlain, toPlain } from './machine-plain.ts'
import type { MachinePlan } from './machine-plan.ts'
import { isSameValue, PostponedEvents, type Waiting } from './machine-queue.ts'
import { checkedSaved, reviveActors, savedState } from './machine-saved.ts'
import { restoredWorks, savedWorks } from './machine-saved-work.ts'
import {
  actorAt,
  checkInside,
  type Delayed,
  MachineTimers,
  pathOf,
  type TimerOrder,
} from './machine-timers.ts'
import type { SavedMachine } from './machine-words.ts'
import {
  type Computing,
  ends,
  type Item,
  occupies,
  type Rules,
  type Span,
  Work,
  Works,
} from './machine-work.ts'

/** The outcome of one turn. */
export interface Turn {
  readonly snapshot: AnyMachineSnapshot
  /** Whether anything changed that `saved` holds. */
  readonly changed: boolean
  /** The effects that are left, up to the first event that waits for them. */
  readonly effects: readonly Effect[]
  /** Whether events wait for these effects. */
  readonly hasEvents: boolean
  /** The user's event that was handled; not one that was postponed. */
  readonly handled: Waiting | undefined
}

/** One machine. */
export class MachineSteps {
  /** The work that is left, of each turn. */
  readonly works = new Works()
  readonly #plan: MachinePlan
  readonly #host: StepsHost
  readonly #timers: MachineTimers
  readonly #queue = new PostponedEvents()
  readonly #effects: Effects
  readonly #door: Door
  readonly #rules: Rules = {
    holdsUp: ({ deed }) => !this.#host.recordsSteps && ['action', 'observe'].includes(deed.kind),
    compute: (item) => this.#madeBy(() => this.#handleItem(item)),
    obey: (order) => this.#timers.obey(order),
  }
  #root!: Actor
  #run = ''
  #step = 0
  /** The number of ids that were made, for actors and for timers. */
  #ids = 0
  #isComputing = false
  /** The work of the present turn, and the parts of it that are computed within it. */
  #open: Work[] = []
  /** The items that the present computation has made. */
  #made: Item[] = []
  /** The number of effects of the present turn. */
  #count = 0
  /** The work of the effect that is being done, and the events that it has sent. */
  #running: { readonly work: Work; readonly effect: Effect; readonly sent: Item[] } | undefined
  #changed = false
  #handled: Waiting | undefined
  #broken: { readonly error: unknown } | undefined

  constructor(plan: MachinePlan, host: StepsHost) {
    this.#plan = plan
    this.#host = host
    this.#timers = new MachineTimers(host)
    this.#door = this.#makeDoor()
    this.#effects = this.#makeEffects()
  }

  /** The present state. */
  get snapshot(): AnyMachineSnapshot {
    return stateOf(this.#root)
  }

  /** Goes on from another state of the machine. */
  replace(snapshot: AnyMachineSnapshot): void {
    setState(this.#root, snapshot)
  }

  /** Whether `replay` has an event to handle, before any other. */
  get isReturning(): boolean {
    return this.#queue.isReturning
  }

  /** The callers of the postponed events, oldest first. */
  get callers(): readonly Waiting['from'][] {
    return this.#queue.all.map(({ from }) => from)
  }

  /** The first turn of a new machine. Its state is always a change. */
  begin(input: unknown): Turn {
    this.#run = this.#host.run()
    return this.#turn(() => {
      this.#root = this.#actor({ input })
      this.#root.start()
      this.#made.push({ kind: 'end', actor: this.#root })
    }, true)
  }

  /**
   * The first turn of a restored machine; `callers` wait for the postponed events. Throws
   * `INVALID_ARGUMENT` when `given` is not a saved state of this version of the machine.
   */
  restore(given: SavedMachine, callers: readonly Waiting['from'][] = []): Turn {
    const { machine, rules } = this.#plan
    const saved = checkedSaved(machine, given)
    this.#run = saved.run
    this.#step = -1
    let works: readonly Work[] = []
    const turn = this.#turn(() => {
      this.#root = this.#actor({ snapshot: saved })
      const began = (actor: Actor, step: string | undefined): void =>
        this.#effects.startedBy(actor, step)
      reviveActors(machine, this.#root, saved, (plain) => this.#revived(plain), began)
      startAgain(this.#root)
      const actions = this.#revived(saved.actions)
      works = restoredWorks(actions, this.#made, { root: this.#root, effects: this.#effects })
      this.#timers.restore(this.#revived(saved.timers), this.#root)
      const waiting = this.#revived(saved.postponed).map((event, at) => ({
        event,
        from: callers[at],
      }))
      this.#queue.restore(waiting, (event) => rules.postpones(this.snapshot, event))
    })
    this.#step = saved.step
    for (const work of works) this.works.keep(work)
    return { ...turn, changed: false }
  }

  /** Takes a user's event: handled, postponed or unknown. */
  take(waiting: Waiting): Turn {
    return this.#turn(() => this.#take(waiting))
  }

  #take(waiting: Waiting): void {
    this.#admit(waiting)
    this.#made.push({ kind: 'end', actor: this.#root })
  }

  /** Takes a user's event after `work`. It begins a turn. */
  takeAfter(work: Work, event: EventObject): Turn {
    const arrival = { source: undefined, target: this.#root, event }
    work.add({ kind: 'event', arrival, isAlone: true })
    return this.#turn(() => {}, true, work)
  }

  /** Takes the events that waited for effects, of the turns in `span`: they become one turn. */
  goOn(span?: Span): Turn {
    const works = this.works.within(span)
    for (const work of works) work.turn = this.#step + 1
    return this.#turn(() => works[0]?.advance(this.#rules), true, works[0])
  }

  /** Takes the next event that returns after the state changed. */
  replay(): Turn {
    const waiting = this.#queue.take()
    return this.#turn(() => {
      if (waiting !== undefined) this.#take(waiting)
    }, waiting !== undefined)
  }

  /** Takes the event of a timer, if the timer is still valid. */
  due(delayed: Delayed): Turn {
    const isValid = this.#timers.take(delayed)
    return this.#turn(() => {
      if (isValid) this.#relay(delayed)
    }, isValid)
  }

  /** Takes an event that an actor inside sent outside of a turn. */
  arrived(arrival: Arrival): Turn {
    return this.#turn(() => this.#relay(arrival))
  }

  /** Takes such an event of `before`, from which this machine's state was restored, too. */
  arrivedIn(before: MachineSteps, { source, target, event }: Arrival): Turn {
    const from = source && this.#same(before, source)
    const to = this.#same(before, target)
    const isGone = to === undefined || (source !== undefined && from === undefined)
    return this.#turn(() => isGone || this.#relay({ source: from, target: to, event }))
  }

  /** The actor that sent such an event in `before` fails with `error`, as by its own throw. */
  failedIn(before: MachineSteps, { source, target }: Arrival, error: unknown): Turn {
    const actor = this.#same(before, source ?? target)
    if (actor === this.#root) throw error
    const event = { type: failure, error }
    return this.#turn(() => actor && this.#relay({ source: actor, target: actor, event }))
  }

  /** The actor that an actor of `before` is here: at the same place, begun by the same step. */
  #same(before: MachineSteps, actor: Actor): Actor | undefined {
    const found = actorAt(pathOf(actor, before.#root) ?? [], this.#root)
    const isSame = found && this.#effects.startOf(found) === before.#effects.startOf(actor)
    return isSame ? found : undefined
  }

  /**
   * The whole state. Throws `INVALID_ARGUMENT` when a part of it cannot be saved: an actor of
   * unnamed logic, a ref without a name, a value that contains itself.
   */
  saved(): SavedMachine {
    const known = {
      isNamed: (ref: Ref) => addressOf(ref).directory === this.#host.names,
      pathOf: (actor: Actor) => pathOf(actor, this.#root),
    }
    const plain = <T>(value: T, path: readonly string[]): T => toPlain(value, path, known)
    const startOf = (actor: Actor): string | undefined => this.#effects.startOf(actor)
    return Object.assign(savedState(this.#root, { plain, startOf }), {
      run: this.#run,
      step: this.#step,
      actions: savedWorks(this.works.all, {
        root: this.#root,
        effects: this.#effects,
        plain,
        keepsOrder: !this.#host.recordsSteps,
      }),
      timers: plain(this.#timers.saved(this.#root), ['timers']),
      postponed: plain(
        this.#queue.all.map(({ event }) => event),
        ['postponed'],
      ),
    })
  }

  /** Ends the actors inside. `report` gets the errors of their clean-ups. */
  end(report: (error: unknown) => void): void {
    this.#isComputing = true
    this.#made = []
    stopAll(this.#root)
    this.#effects.cleanUp(report)
  }

  #turn(compute: () => unknown, isChange = false, left?: Work): Turn {
    const versions = this.#timers.version + this.#queue.version
    const before = this.#root && stateOf(this.#root)
    this.#count = 0
    this.#handled = undefined
    this.#changed = isChange
    this.#step++
    const { effects, hasEvents } = this.#compute(compute, left)
    const changed =
      this.#changed ||
      (before !== undefined && before !== this.snapshot) ||
      versions !== this.#timers.version + this.#queue.version ||
      hasEvents ||
      effects.some(({ isRecorded }) => isRecorded)
    // The number of a step that left no trace is free again.
    if (!changed) this.#step--
    return { snapshot: this.snapshot, changed, effects, hasEvents, handled: this.#handled }
  }

  #compute(compute: () => unknown, left: Work | undefined): Work {
    this.#isComputing = true
    try {
      const work = left ?? new Work(this.#step, this.#madeBy(compute))
      work.turn = this.#step
      this.#open = [work]
      if (left) compute()
      else work.advance(this.#rules)
      this.works.keep(work)
      return work
    } finally {
      this.#isComputing = false
      this.#open = []
    }
  }

  #madeBy(compute: () => unknown): readonly Item[] {
    const before = this.#made
    const made: Item[] = []
    this.#made = made
    try {
      compute()
    } finally {
      this.#made = before
    }
    if (this.#broken !== undefined) throw this.#broken.error
    return made
  }

  #handleItem(item: Computing): void {
    if (item.kind === 'stop') item.run()
    else {
      const { target, event } = item.arrival
      if (target !== this.#root) {
        if (!isStopped(target)) handleIn(target, event)
      } else if (isInternal(event)) this.#handle(event)
      else this.#admit({ event, from: undefined })
    }
  }

  #actor(beginning: Beginning): Actor {
    const { context } = this.#host
    const stepOf = (actor: AnyActorRef): string | undefined => this.#effects.stepOf(actor)
    return machineActor(this.#plan.machine, beginning, this.#door, { context, stepOf })
  }

  #relay(arrival: Arrival): void {
    this.#made.push({ kind: 'event', arrival })
  }

  #admit(waiting: Waiting): void {
    const { rules, postponedMax: max } = this.#plan
    const { event } = waiting
    if (rules.postpones(this.snapshot, event)) {
      if (this.#queue.length < max) this.#queue.postpone(waiting)
      else this.#host.full(waiting)
    } else {
      if (!rules.knows(event.type)) this.#host.unknown(event)
      if (waiting.from !== undefined) this.#handled = waiting
      // An event that no state names still lets `always` transitions be tried.
      this.#handle(event)
    }
  }

  #handle(event: EventObject): void {
    const before = this.snapshot
    if (before.status !== 'active') return
    handleIn(this.#root, event)
    if (this.#broken !== undefined) throw this.#broken.error
    this.#host.stepped(before, event, this.snapshot)
    if (!isSameValue(before.value, this.snapshot.value)) this.#queue.comeBack()
  }

  #revived<T>(plain: T): T {
    return fromPlain(plain, {
      actorAt: (path) => actorAt(path, this.#root),
      to: (text) => this.#host.context.to(name(text)),
    })
  }

  #makeDoor(): Door {
    const isComputing = (): boolean => this.#isComputing
    return {
      scheduler: {
        schedule: (source, target, event, delay, id = this.#newId('~')) => {
          if (this.#host.saves) checkInside(source, target, event)
          this.#ordered(this.#timers.order(source, target, event, delay, id))
        },
        cancel: (source, id) => this.#ordered({ source, id }),
        cancelAll: (source) => this.#ordered({ source, id: undefined }),
      },
      newId: () => this.#newId('x:'),
      get isComputing() {
        return isComputing()
      },
      effect: (deed) => void this.#effect(deed),
      sent: (arrival) => this.#relay(arrival),
      started: (actor) => void this.#made.push({ kind: 'end', actor }),
      stops: (actor, run) => this.#stops(actor, run),
      works: (actor, isPromise) => this.#effects.works(actor, isPromise),
      inTurn: (run) => this.#host.inTurn(run),
      changed: () => {
        this.#changed = true
      },
      arrived: (arrival) => this.#arrived(arrival),
      emitted: (event) => this.#host.emitted(event),
      logged: (...values) => this.#host.logged(...values),
      send: (target, event) => this.#host.send(target, event),
      failed: (error) => this.#host.failed(error),
      broke: (error) => {
        this.#broken = { error }
      },
    }
  }

  /** An id that no other step of this machine makes, before a restart or after it. */
  #newId(prefix: string): string {
    return `${prefix}${this.#step}/${this.#ids++}`
  }

  /** Timers that are due in one instant come in the order in which XState sets them. */
  #ordered(order: TimerOrder): void {
    if (this.#isComputing) this.#made.push({ kind: 'timer', order })
    else this.#timers.obey(order)
  }

  #effect(deed: Deed): void {
    const step = `${this.#run}/${this.#step}/${this.#count++}`
    this.#made.push({ kind: 'effect', effect: this.#effects.add(deed, step) })
  }

  /** Whether `actor` stops at once. It first handles the events that were sent before. */
  #stops(actor: Actor, run: () => void): boolean {
    // It is in no saved state, so the events that were sent to it before do not wait.
    if (this.#host.saves && !this.#open.some(({ items }) => ends(items, actor))) {
      const work = new Work(this.#step, this.#made)
      this.#open.push(work)
      work.advance(this.#rules, actor)
      this.#open.pop()
      this.#made.splice(0, this.#made.length, ...work.items)
    }
    const isBusy = occupies([...this.#open.flatMap(({ items }) => items), ...this.#made], actor)
    if (isBusy) this.#made.push({ kind: 'stop', actor, run })
    return !isBusy
  }

  /** An event outside of a turn. If an effect sends it at once, it comes in its order. */
  #arrived(arrival: Arrival): void {
    const { work, sent } = this.#running ?? {}
    if (!work || (this.#host.recordsSteps && !work.hasEvents)) this.#host.arrived(arrival)
    else sent?.push({ kind: 'event', arrival })
  }

  #during(effect: Effect, run: () => void): void {
    const work = this.works.all.find((other) => other.has(effect))
    if (work === undefined) return void run()
    const running = { work, effect, sent: [] }
    this.#running = running
    try {
      run()
    } finally {
      this.#running = undefined
    }
    work.done(effect, running.sent)
    this.works.keep(work)
  }

  #makeEffects(): Effects {
    const root = (): Actor => this.#root
    return new Effects(this.#plan.names, {
      get root() {
        return root()
      },
      outside: this.#host,
      hears: this.#plan.hears,
      during: (effect, run) => this.#during(effect, run),
      broke: (actor, error) => {
        const { work, effect, sent } = this.#running ?? {}
        work?.drop(actor)
        const arrival = { source: actor, target: actor, event: { type: failure, error } }
        // An action is not repeated after it: the failure is recorded in its place.
        if (this.#host.recordsSteps && effect?.isRecorded)
          sent?.push({ kind: 'event', arrival, isAlone: true })
        else this.#arrived(arrival)
      },
    })
  }
}
