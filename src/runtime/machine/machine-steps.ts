/**
 * One machine, turn by turn, apart from its process. A turn is one event with its immediate
 * consequences in the machine and in the actors inside it. It only computes: its effects are a
 * list. The host makes the new state safe, and then does them.
 *
 *     const steps = new MachineSteps(planOf(machine, options), host)
 *     const turn = steps.begin(input)         // or steps.restore(saved)
 *     if (turn.changed) await commit(steps.saved())
 *     for (const effect of turn.effects) effect.run()
 *
 * `saved()` is the whole state as one plain value: contexts, actors inside, timers with absolute
 * times, postponed events, and the effects that are recorded and not done. `restore` gives back
 * exactly that: its effects are those, under the same names, and the starts of the actors that ran.
 * A turn that throws has let nothing out; the machine is then of no further use. A host that cannot
 * commit a turn calls `end()` and restores the state before it in another `MachineSteps`.
 */
import type { AnyActorRef, AnyMachineSnapshot, EventObject } from 'xstate'
import { processOf } from '../process/process.ts'
import type { Context } from '../server/gen-server.ts'
import { addressOf, name, type Ref } from '../words/address.ts'
import { type Beginning, machineActor } from './machine-actors.ts'
import { isInternal } from './machine-check.ts'
import type { Actor, Arrival, Deed, Door } from './machine-door.ts'
import { type Effect, Effects } from './machine-effects.ts'
import { failure, isCallback } from './machine-logic.ts'
import { fromPlain, toPlain } from './machine-plain.ts'
import type { MachinePlan } from './machine-plan.ts'
import { isSameValue, PostponedEvents, type Waiting } from './machine-queue.ts'
import { checkedSaved, reviveActors, savedState } from './machine-saved.ts'
import { actorAt, type Delayed, MachineTimers, pathOf, type TimersHost } from './machine-timers.ts'
import type { SavedAction, SavedMachine } from './machine-words.ts'

/** The host of a machine: a process. */
export interface StepsHost extends TimersHost {
  readonly context: Context
  /** The beginning of the names of the steps of a new machine: different for each. */
  run(): string
  /** An event outside of a turn: to be given to `arrived` in a separate turn. */
  arrived(arrival: Arrival): void
  /** Whether the first snapshot event of an actor inside has a separate turn, after its start. */
  readonly tellsLater: boolean
  /** `what`, a promise, begins. Returns the function for its end; `undefined`: it may not begin. */
  works(what: string): (() => void) | undefined
  /** Does an action that is part of the present turn. @throws what it throws */
  inTurn(run: () => void): void
  /** Asynchronous work of the machine failed. */
  failed(error: unknown): void
  emitted(event: EventObject): unknown
  logged(...values: unknown[]): void
  /** Sends an event to a process, as an effect. */
  send(target: Ref, event: EventObject): void
  /** The machine has handled an event. */
  stepped(before: AnyMachineSnapshot, event: EventObject, after: AnyMachineSnapshot): void
  /** No state of the machine names the event. A throw fails the turn. */
  unknown(event: EventObject): void
  /** The event should be postponed, and there is no room. */
  full(waiting: Waiting): void
  /** A saved action that cannot be done in this version. */
  lost(action: SavedAction): void
}

/** The outcome of one turn. */
export interface Turn {
  readonly snapshot: AnyMachineSnapshot
  /** Whether anything changed that `saved` holds. */
  readonly changed: boolean
  /** The work that is left, in order. */
  readonly effects: readonly Effect[]
  /** The user's event that was handled; not one that was postponed. */
  readonly handled: Waiting | undefined
}

/** One machine. */
export class MachineSteps {
  readonly #plan: MachinePlan
  readonly #host: StepsHost
  readonly #timers: MachineTimers
  readonly #queue = new PostponedEvents()
  readonly #effects: Effects
  readonly #door: Door
  #root!: Actor
  #run = ''
  #step = 0
  #isComputing = false
  #isHandling = false
  #inbox: EventObject[] = []
  #turned: Effect[] = []
  /** The starts of actors inside in the present turn. */
  readonly #beginning = new Map<Actor, Effect>()
  /** The actors for which a first snapshot event of the present turn was put off. */
  readonly #awaiting = new Set<Actor>()
  /** The actors inside that announced their first snapshot. */
  readonly #announced = new WeakSet<Actor>()
  /** Those of them whose event waits for its turn. */
  readonly #waiting = new WeakSet<Actor>()
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
    return this.#root._snapshot
  }

  /** Goes on from another state of the machine. */
  replace(snapshot: AnyMachineSnapshot): void {
    this.#root._snapshot = snapshot
  }

  /** Whether `replay` has an event to handle, before any other. */
  get isReturning(): boolean {
    return this.#queue.isReturning
  }

  /** Whether the first snapshot event of `actor` waits for its turn. */
  isWaiting(actor: Actor | undefined): boolean {
    return actor !== undefined && this.#waiting.has(actor)
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
    this.#step = saved.step
    const turn = this.#turn(() => {
      this.#root = this.#actor({ snapshot: saved })
      const began = (actor: Actor, step: string | undefined): void =>
        this.#effects.startedBy(actor, step)
      reviveActors(machine, this.#root, saved, (plain) => this.#revived(plain), began)
      this.#turned.push(...this.#effects.restore(this.#revived(saved.actions)))
      this.#startInSilence()
      this.#timers.restore(this.#revived(saved.timers), this.#root)
      const waiting = this.#revived(saved.postponed).map((event, at) => ({
        event,
        from: callers[at],
      }))
      this.#queue.restore(waiting, (event) => rules.postpones(this.snapshot, event))
    })
    this.#step = saved.step
    return { ...turn, changed: false }
  }

  /** Takes a user's event: handled, postponed or unknown. */
  take(waiting: Waiting): Turn {
    return this.#turn(() => this.#admit(waiting))
  }

  /** Takes the next event that returns after the state changed. */
  replay(): Turn {
    const waiting = this.#queue.take()
    return this.#turn(() => {
      if (waiting !== undefined) this.#admit(waiting)
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
    const plain = <T>(value: T, path: readonly string[]): T =>
      toPlain(value, path, (ref) => this.#isNamed(ref))
    const startOf = (actor: Actor): string | undefined => this.#effects.startOf(actor)
    return Object.assign(savedState(this.#root, { plain, startOf }), {
      run: this.#run,
      step: this.#step,
      actions: this.#effects.saved(plain),
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
    const { _actorScope, _snapshot } = this.#root
    for (const child of Object.values<Actor | undefined>(_snapshot.children)) {
      if (child !== undefined) _actorScope.stopChild(child)
    }
    this.#root._stop()
    this.#effects.cleanUp(report)
  }

  #turn(work: () => unknown, isChange = false): Turn {
    this.#beginning.clear()
    this.#awaiting.clear()
    const versions = this.#timers.version + this.#queue.version
    const before = this.#root?._snapshot
    this.#turned = []
    this.#handled = undefined
    this.#changed = isChange
    this.#step++
    this.#isComputing = true
    try {
      work()
      this.#drain()
    } finally {
      this.#isComputing = false
      this.#inbox = []
    }
    if (this.#broken !== undefined) throw this.#broken.error
    const changed =
      this.#changed ||
      (before !== undefined && before !== this.snapshot) ||
      versions !== this.#timers.version + this.#queue.version ||
      this.#turned.some(({ isRecorded }) => isRecorded)
    // The number of a step that left no trace is free again.
    if (!changed) this.#step--
    return { snapshot: this.snapshot, changed, effects: this.#turned, handled: this.#handled }
  }

  #actor(beginning: Beginning): Actor {
    const { context } = this.#host
    const stepOf = (actor: AnyActorRef): string | undefined => this.#effects.stepOf(actor)
    return machineActor(this.#plan.machine, beginning, this.#door, { context, stepOf })
  }

  /**
   * Actors that start for the first time announce their snapshot. These announced it before they
   * were saved.
   */
  #startInSilence(): void {
    const { system } = this.#root._actorScope
    const relay = system._relay
    system._relay = (source) => void (source && this.#announced.add(source))
    this.#root.start()
    system._relay = relay
  }

  #relay({ source, target, event }: Arrival): void {
    if (source && isSnapshotOf(source, event)) this.#waiting.delete(source)
    this.#root._actorScope.system._relay(source, target, event)
  }

  /** The machine handles one event after the other, as XState's mailbox does. */
  #drain(): void {
    if (this.#isHandling) return
    for (let event = this.#inbox.shift(); event !== undefined; event = this.#inbox.shift()) {
      if (isInternal(event)) this.#handle(event)
      else this.#admit({ event, from: undefined })
    }
  }

  #admit(waiting: Waiting): void {
    const { rules, postponedMax: max } = this.#plan
    const { event } = waiting
    if (rules.postpones(this.snapshot, event)) {
      if (this.#queue.length < max) this.#queue.postpone(waiting)
      else this.#host.full(waiting)
    } else if (!rules.knows(event.type)) this.#host.unknown(event)
    else {
      if (waiting.from !== undefined) this.#handled = waiting
      this.#handle(event)
    }
  }

  #handle(event: EventObject): void {
    const before = this.snapshot
    if (before.status !== 'active') return
    this.#isHandling = true
    this.#root._send(event)
    this.#isHandling = false
    if (this.#broken !== undefined) throw this.#broken.error
    this.#host.stepped(before, event, this.snapshot)
    if (!isSameValue(before.value, this.snapshot.value)) this.#queue.comeBack()
  }

  #isNamed(ref: Ref): boolean {
    return addressOf(ref).directory === processOf(this.#host.context).kernel.names
  }

  #revived<T>(plain: T): T {
    return fromPlain(plain, (text) => this.#host.context.to(name(text)))
  }

  #makeDoor(): Door {
    const isComputing = (): boolean => this.#isComputing
    return {
      scheduler: this.#timers,
      get isComputing() {
        return isComputing()
      },
      effect: (deed) => void this.#effect(deed),
      comesLater: (arrival) => this.#comesLater(arrival),
      works: (what) => this.#host.works(what),
      inTurn: (run) => this.#host.inTurn(run),
      changed: () => {
        this.#changed = true
      },
      toMachine: (event) => {
        this.#inbox.push(event)
        this.#drain()
      },
      arrived: (arrival) => this.#host.arrived(arrival),
      emitted: (event) => this.#host.emitted(event),
      logged: (...values) => this.#host.logged(...values),
      send: (target, event) => this.#host.send(target, event),
      failed: (error) => this.#host.failed(error),
      broke: (error) => {
        this.#broken = { error }
      },
    }
  }

  #effect(deed: Deed): Effect {
    const step = `${this.#run}/${this.#step}/${this.#turned.length}`
    const effect = this.#effects.add(deed, step)
    this.#turned.push(effect)
    if (deed.kind === 'start') this.#beginning.set(deed.actor, effect)
    return effect
  }

  /**
   * As in XState, whose actors begin their work before they announce their first snapshot. The
   * target handles what it gets after that event in the same order.
   */
  #comesLater({ source, target, event }: Arrival): boolean {
    if (!this.#host.tellsLater) return false
    const isFirst = source && isSnapshotOf(source, event) && !this.#announced.has(source)
    const first = isFirst ? source : undefined
    if (first) this.#announced.add(first)
    const start = first && this.#beginning.get(first)
    if (!start && !this.#awaiting.has(target)) return false
    this.#awaiting.add(target)
    if (first) this.#waiting.add(first)
    const run = (): void => this.#host.arrived({ source, target, event, isLater: true })
    const told = this.#effect({ kind: 'hear', actor: source ?? this.#root, event, run })
    if (!start || isCallback(Object.getPrototypeOf(first?.logic))) return true
    // Such an actor sends itself the messages that it finds at its start, and handles them after
    // its first snapshot.
    this.#turned.pop()
    this.#turned.splice(this.#turned.indexOf(start), 0, told)
    return true
  }

  #makeEffects(): Effects {
    const root = (): Actor => this.#root
    const host = this.#host
    return new Effects(this.#plan.names, {
      get root() {
        return root()
      },
      hears: this.#plan.hears,
      emitted: (event) => host.emitted(event),
      send: (text, event) => host.send(host.context.to(name(text)), event),
      broke: (actor, error) => {
        const event = { type: failure, error }
        host.arrived({ source: actor, target: actor, event })
      },
      failed: (error) => host.failed(error),
      lost: (action) => host.lost(action),
    })
  }
}

const isSnapshotOf = ({ id }: Actor, { type }: EventObject): boolean =>
  type === `xstate.snapshot.${id}`
