/**
 * The effects of a machine: pending external effects, performed once the new state is safe. An action, an
 * emitted event and an event for another process have a saved form, so that they can be done after
 * a restart. Starts and clean-ups of actors inside have none: actors that run are started again.
 */
import type { AnyActorRef, AnyStateMachine, EventObject } from 'xstate'
import { isThenable } from '../words/outside-code.ts'
import { forwardsTo } from './machine-actors.ts'
import { isMachine } from './machine-check.ts'
import { type Actor, type Deed, isStopped, parentOf, stateOf, stop } from './machine-door.ts'
import type { StepsHost } from './machine-host.ts'
import { type ActionNames, actorLogic } from './machine-names.ts'
import { liveEvent, storable } from './machine-saved.ts'
import { actorAt, pathOf } from './machine-timers.ts'
import type { SavedAction } from './machine-words.ts'

/** One effect of a turn. */
export interface Effect {
  /** The name of its step: the same at each try, also after a restart. */
  readonly step: string
  /** Whether it has a saved form, and is part of the saved state until it is done. */
  readonly isRecorded: boolean
  /**
   * Does it. A throw of the machine's own effect leaves it in the saved state, and it can be tried
   * again, and so does that of a send. Another throw of an actor inside becomes an error event of
   * that actor. A promise is not awaited: its rejection ends the process.
   */
  run(): void
}

/** The means of the effects. */
interface EffectsHost {
  readonly root: Actor
  readonly outside: StepsHost
  /** Does `run`, the work of `effect`, which is done unless it throws. */
  during(effect: Effect, run: () => void): void
  /** Whether emitted events are heard. */
  readonly hears: boolean
  /** An effect of the actor inside failed. */
  broke(actor: Actor, error: unknown): void
}

/** An effect that is still to be done. */
export interface Owed extends Effect {
  readonly deed: Deed
  /** The saved form, if it comes from one. */
  readonly saved: SavedAction | undefined
}

/** The effects that one machine has still to do. */
export class Effects {
  readonly #names: ActionNames
  readonly #host: EffectsHost
  readonly #owed = new Set<Owed>()
  readonly #starts = new WeakMap<AnyActorRef, string>()
  readonly #broken = new WeakSet<Actor>()
  /** The actors whose work goes on. Some of them are in no state: they are to stop, or are orphans. */
  readonly #begun = new Set<Actor>()
  #acting: string | undefined

  constructor(names: ActionNames, host: EffectsHost) {
    this.#names = names
    this.#host = host
  }

  /** The step for which `actor` acts: that of its start, or the present one. */
  stepOf(actor: AnyActorRef): string | undefined {
    return this.#starts.get(actor) ?? this.#acting
  }

  /** The step that started `actor`. */
  startOf(actor: AnyActorRef): string | undefined {
    return this.#starts.get(actor)
  }

  /** A restored actor was started by `step`, and its next start belongs to the same. */
  startedBy(actor: Actor, step: string | undefined): void {
    if (step !== undefined) this.#starts.set(actor, step)
  }

  /**
   * The work of `actor` begins: of a promise, the host may refuse it. Returns the function for its
   * end.
   */
  works(actor: Actor, isPromise: boolean): (() => void) | undefined {
    const ended = isPromise ? this.#host.outside.works(`promise ${actor.src}`) : () => {}
    if (ended === undefined) return undefined
    this.#begun.add(actor)
    return () => {
      this.#begun.delete(actor)
      ended()
    }
  }

  /** Adds `deed` of the step `given`. */
  add(deed: Deed, given: string): Owed {
    const isStart = deed.kind === 'start'
    const step = (isStart ? this.#starts.get(deed.actor) : undefined) ?? given
    if (isStart) this.#starts.set(deed.actor, step)
    return this.#added(deed, step, undefined)
  }

  #added(deed: Deed, step: string, saved: SavedAction | undefined): Owed {
    const { kind, actor } = deed
    const { root, hears } = this.#host
    const isRecorded =
      kind === 'action' || kind === 'send' || (kind === 'emit' && hears && actor === root)
    const run = (): void => {
      if (this.#owed.has(owed)) this.#host.during(owed, () => this.#run(owed))
    }
    const owed: Owed = { step, isRecorded, deed, saved, run }
    this.#owed.add(owed)
    return owed
  }

  #run(owed: Owed): void {
    const { deed, step } = owed
    const { actor, kind } = deed
    const isOwn = actor === this.#host.root || isStopped(actor) || kind === 'send'
    const isDue = kind === 'clean' || kind === 'observe' || !this.#broken.has(actor)
    try {
      if (isDue) this.#watch(this.#act(step, deed))
    } catch (error) {
      if (isOwn) throw error
      // XState, too, does nothing more for an actor whose action threw.
      this.#broken.add(actor)
      this.#host.broke(actor, error)
    }
    this.#owed.delete(owed)
  }

  #act(step: string, deed: Deed): unknown {
    const before = this.#acting
    this.#acting = step
    try {
      return deed.run()
    } finally {
      this.#acting = before
    }
  }

  #watch(answer: unknown): void {
    if (isThenable(answer))
      answer.then(undefined, (error: unknown) => this.#host.outside.failed(error))
  }

  /** Stops all actors, and does only the clean-ups that are owed. `report` gets the errors. */
  cleanUp(report: (error: unknown) => void): void {
    for (const actor of this.#begun) stop(actor)
    for (const { deed } of this.#owed) {
      if (deed.kind !== 'clean') continue
      try {
        this.#watch(deed.run())
      } catch (error) {
        report(error)
      }
    }
    this.#owed.clear()
  }

  /** The saved form of a recorded effect, which is to be at `path`. */
  saved(
    owed: Owed,
    path: readonly string[],
    plain: <T>(value: T, path: readonly string[]) => T,
  ): Omit<SavedAction, 'turn'> {
    const { params, event, context, ...rest } = this.#record(owed)
    const value = (name: string, given: unknown) =>
      given === undefined ? {} : { [name]: plain(given, [...path, name]) }
    return {
      ...rest,
      event: plain(event, [...path, 'event']),
      ...value('params', params),
      ...value('context', context),
    }
  }

  #record({
    step,
    saved,
    deed: { kind, actor, action, event, target },
  }: Owed): Omit<SavedAction, 'turn'> {
    if (saved !== undefined) {
      const { context, ...rest } = saved
      return context === stateOf(actor).context ? rest : saved
    }
    const path = pathOf(actor, this.#host.root) ?? []
    const sources = this.#sourcesOf(actor)
    const where = { step, actor: path, sources: sources ?? [] }
    if (action === undefined || kind !== 'action') {
      const ref = target && forwardsTo(target)
      const named = ref && this.#host.outside.placeOf(ref)
      return { ...where, kind: kind as 'emit' | 'send', ...named, event: event as EventObject }
    }
    const { info, params, type, exec } = action
    const isThere = actorAt(path, this.#host.root) === actor
    const isPresent = isThere && stateOf(actor).context === info.context
    const machine: AnyStateMachine = stateOf(actor).machine
    return {
      ...where,
      kind: 'action',
      ...(sources === undefined ? {} : this.#names.nameOf(machine, type, exec)),
      event: storable(info.event),
      ...(params === undefined ? {} : { params }),
      ...(isPresent ? {} : { context: info.context }),
    }
  }

  /** The logic of each actor from the machine to `actor`; `undefined` if one has no name. */
  #sourcesOf(actor: Actor): string[] | undefined {
    const sources: string[] = []
    for (let at: Actor | undefined = actor; at !== this.#host.root; at = parentOf(at)) {
      if (at === undefined || typeof at.src !== 'string') return undefined
      sources.unshift(at.src)
    }
    return sources
  }

  /** A saved effect as an effect of the restored machine, unless this version does not have it. */
  restore(action: SavedAction, kind: 'action' | 'emit' | 'send'): Owed | undefined {
    const { step, event, name } = action
    const actor = this.#nearest(action.actor)
    const run = this.#repeat(action, actor)
    if (run === undefined) {
      this.#host.outside.lost({ ...action, name })
      return undefined
    }
    // The context of its actor may be another one by the time it is saved again.
    const context = kind === 'action' ? { context: stateOf(actor).context } : {}
    return this.#added({ kind, actor, event, run }, step, { ...context, ...action })
  }

  #repeat(action: SavedAction, self: Actor): (() => unknown) | undefined {
    const { kind, name, event, params } = action
    const { outside, root } = this.#host
    if (kind === 'emit') return () => outside.emitted(event)
    if (name === undefined) return undefined
    if (kind === 'send') return () => outside.sendAgain(action)
    let machine: unknown = stateOf(root).machine
    for (const src of action.sources) machine = isMachine(machine) && actorLogic(machine, src)
    if (!isMachine(machine)) return undefined
    const code = this.#names.find(machine, { name, text: action.text })
    const given = {
      context: action.context ?? stateOf(self).context,
      event: liveEvent(event, machine, self),
      self,
      system: self.system,
    }
    return code && (() => code(given, params))
  }

  /** The actor at `path`, or the one that it was in if it has ended. */
  #nearest(path: readonly string[]): Actor {
    return actorAt(path, this.#host.root) ?? this.#nearest(path.slice(0, -1))
  }
}
