/**
 * The logic of the actors inside a machine: promises, callbacks, observables, transition functions,
 * other machines. XState's own logic computes their state. Their starts and clean-ups, and what a
 * callback hears, are effects. A failure of an effect comes back to the actor as an event.
 */
import type { AnyActorLogic, AnyActorRef, EventObject } from 'xstate'
import { isThenable } from '../words/outside-code.ts'
import {
  type Actor,
  type Deed,
  type Door,
  isStopped,
  kindOf,
  parentOf,
  relayTo,
} from './machine-door.ts'

/** The type of the event by which an actor inside learns that its effect failed. */
export const failure = 'xstate.keelson.failure'

const stopped = 'xstate.stop'

type Failing = EventObject & { readonly error?: unknown }
type State = { readonly status: string; readonly input?: unknown }

/** The logic of `actor`, with its ways out replaced. */
export const doored = (actor: Actor, door: Door): AnyActorLogic => {
  const { logic } = actor
  const kind = kindOf(logic)
  const own = kind === 'callback' ? callback(actor, door) : outgoing(actor, door, kind)
  const transition = (state: State, event: Failing, scope: never): State => {
    let after: State | undefined
    try {
      if (event.type === failure) throw event.error
      after = own.transition(state, event, scope)
      return after
    } finally {
      // By a throw, too: XState then keeps the error.
      if (after !== state) door.changed()
    }
  }
  const mark = kind === 'callback' ? { [onlyHears]: true } : undefined
  return Object.assign(Object.create(logic), own, { transition }, mark)
}

const onlyHears = Symbol('events for it are effects')

/** Whether `actor` computes nothing by its events: a callback, which hears them as effects. */
export const hearsOnly = ({ logic }: Actor): boolean => onlyHears in logic

type Ways = {
  readonly start?: (state: State, scope: never) => void
  readonly transition: (state: State, event: EventObject, scope: never) => State
}

/** Machines and transition functions only compute; other logic starts and is cleaned up outside. */
const outgoing = (actor: Actor, door: Door, kind: string): Ways => {
  const logic: Ways = actor.logic
  if (kind === 'machine' || logic.start === undefined) return logic
  const { start } = logic
  const work = new ActorWork(actor, door, kind === 'promise')
  return {
    // The state may have changed until the start is done, so it is read then.
    start: (_, scope) => work.begin(() => start(actor.getSnapshot(), scope)),
    transition: (state, event, scope) => {
      if (event.type !== stopped) return logic.transition(state, event, scope)
      return work.end(state, () => logic.transition(state, event, scope))
    },
  }
}

type Listener = (event: EventObject) => unknown

/** A callback as XState defines it. Its events are effects, and its promises are watched. */
const callback = (actor: Actor, door: Door): Ways => {
  const begun: unknown = actor.logic.config
  const listeners = new Set<Listener>()
  const work = new ActorWork(actor, door, false)
  let cleanUp: unknown
  let isCleaningUp = false
  const sendBack = (event: EventObject): void => {
    const parent = parentOf(actor)
    const { status }: State = actor.getSnapshot()
    if ((status === 'stopped' && !isCleaningUp) || parent === undefined) return
    relayTo(actor, parent, event)
  }
  const receive = (listener: Listener): void => void listeners.add(listener)
  return {
    start: ({ input }, scope: { self: AnyActorRef; system: unknown; emit: unknown }) =>
      work.begin(() => {
        const { self, system, emit } = scope
        const given = { input, self, system, emit, sendBack, receive }
        cleanUp = typeof begun === 'function' && begun(given)
        return cleanUp
      }),
    transition: (state, event) => {
      if (event.type === stopped)
        return work.end(state, () => {
          isCleaningUp = true
          try {
            return typeof cleanUp === 'function' && cleanUp()
          } finally {
            isCleaningUp = false
          }
        })
      const run = (): void => {
        for (const listener of listeners) watch(listener(event), door)
      }
      door.effect({ kind: 'hear', actor, event, run })
      return state
    },
  }
}

/** Watches what asynchronous code answers: its failure ends the process. */
const watch = (answer: unknown, door: Door): void => {
  if (isThenable(answer)) answer.then(undefined, (error: unknown) => door.failed(error))
}

/** The start and the clean-up of one actor. One that was never begun is not cleaned up. */
class ActorWork {
  readonly #actor: Actor
  readonly #door: Door
  readonly #isPromise: boolean
  /** There once the work has begun. */
  #ended: (() => void) | undefined

  constructor(actor: Actor, door: Door, isPromise: boolean) {
    this.#actor = actor
    this.#door = door
    this.#isPromise = isPromise
    const ended = (): void => this.#ended?.()
    actor.subscribe({ complete: ended, error: ended })
  }

  begin(work: () => unknown): void {
    this.#effect('start', () => {
      if (isStopped(this.#actor)) return
      this.#ended = this.#door.works(this.#actor, this.#isPromise)
      if (this.#ended !== undefined) watch(work(), this.#door)
    })
  }

  end(state: State, work: () => unknown): State {
    this.#effect('clean', () => {
      if (this.#ended !== undefined) watch(work(), this.#door)
    })
    return { ...state, status: 'stopped' }
  }

  #effect(kind: Deed['kind'], run: () => void): void {
    this.#door.effect({ kind, actor: this.#actor, run })
  }
}
