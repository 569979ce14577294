/**
 * The door between the XState actors of one machine and the world outside: what they ask for, and
 * the fence around the parts of XState's actors that its types do not show. They are named here and
 * in `machine-actors.ts`, which replaces their ways out; all other code asks the functions below.
 */
import type {
  ActionExecutor,
  ActorSystem,
  ActorSystemInfo,
  AnyActorLogic,
  AnyActorRef,
  AnyMachineSnapshot,
  AnyStateNode,
  EventObject,
} from 'xstate'
import type { Ref } from '../words/address.ts'

/** An action as XState hands it to its executor. */
export type Action = Parameters<ActionExecutor>[0]

/** An actor of XState: the machine's own, or one inside it. */
export interface Actor extends AnyActorRef {
  logic: AnyActorLogic
  readonly systemId: string | undefined
}

/** The parts of an actor that XState's types do not show. */
export interface InnerActor extends Actor {
  _snapshot: AnyMachineSnapshot
  _parent?: Actor
  readonly _syncSnapshot: boolean | undefined
  /** 0: not started, 1: running, 2: stopped. */
  readonly _processingStatus: 0 | 1 | 2
  readonly eventListeners: ReadonlyMap<string, ReadonlySet<(event: EventObject) => unknown>>
  readonly _actorScope: Scope
  _send(event: EventObject): void
  _stop(): Actor
}

/** The arguments of an actor's logic. */
export interface Scope {
  readonly system: ActorsSystem
  actionExecutor: (action: Action) => void
  emit: (event: EventObject) => void
  stopChild(child: AnyActorRef): void
}

/** The actors of one machine. */
interface ActorsSystem extends ActorSystem<ActorSystemInfo> {
  _bookId(): string
  _relay(source: Actor | undefined, target: Actor, event: EventObject): void
  _sendInspectionEvent(event: { readonly type: string; readonly actorRef?: unknown }): void
}

/** The parts of `actor` that XState's types do not show. */
export const inner = (actor: AnyActorRef): InnerActor => actor as InnerActor

/** The present state of `actor`: live, with the actors inside it. */
export const stateOf = (actor: Actor): AnyMachineSnapshot => inner(actor)._snapshot

/** `actor` goes on from another state. */
export const setState = (actor: Actor, state: AnyMachineSnapshot): void => {
  inner(actor)._snapshot = state
}

/** The actors inside `actor`, by the keys of its state. */
export const childrenOf = (actor: Actor | undefined): Readonly<Record<string, Actor>> => {
  const within: { readonly children?: Readonly<Record<string, Actor>> } | undefined =
    actor && stateOf(actor)
  return within?.children ?? {}
}

/** The actor in which `actor` runs. */
export const parentOf = (actor: Actor): Actor | undefined => inner(actor)._parent

/** Whether `actor` was started and not stopped. */
export const isRunning = (actor: Actor): boolean => inner(actor)._processingStatus === 1

/** Whether `actor` was stopped. */
export const isStopped = (actor: Actor): boolean => inner(actor)._processingStatus === 2

/** Whether the parent of `actor` is to hear of each change of it. */
export const isSynced = (actor: Actor): boolean => inner(actor)._syncSnapshot === true

/** Whether both are actors of one machine. */
export const isOfOneMachine = (one: Actor, other: Actor): boolean =>
  inner(one)._actorScope?.system === inner(other)._actorScope?.system

/** Lets `actor` handle `event` now. */
export const handleIn = (actor: Actor, event: EventObject): void => inner(actor)._send(event)

/** An event of `source` for `target` on its way through the door. */
export const relayTo = (source: Actor, target: Actor, event: EventObject): void =>
  inner(source)._actorScope.system._relay(source, target, event)

/** Stops `actor`, which its parent may still have in its state. */
export const stop = (actor: Actor): void => void inner(actor)._stop()

/** Stops the actors inside `actor`, and `actor`. */
export const stopAll = (actor: Actor): void => {
  const { _actorScope } = inner(actor)
  for (const child of Object.values(childrenOf(actor))) _actorScope.stopChild(child)
  stop(actor)
}

/** Starts a restored machine. Actors that start for the first time announce their snapshot; these did so before. */
export const startAgain = (root: Actor): void => {
  const { system } = inner(root)._actorScope
  const relay = system._relay
  system._relay = () => {}
  root.start()
  system._relay = relay
}

/** Whether `logic` is a machine's, also one of another copy of XState. */
export const isMachineLogic = (logic: object): boolean => '__xstatenode' in logic

/** The function of XState that made a logic, as far as it matters here. */
type LogicKind = 'machine' | 'callback' | 'promise' | 'other'

/**
 * Which function of XState made `logic`. Code of another copy, or of a bundle, has another text, so the logic is judged by
 * its behaviour: only a promise takes its result as an event, and a callback that never began throws at an event.
 */
export const kindOf = (logic: AnyActorLogic): LogicKind => {
  if (isMachineLogic(logic)) return 'machine'
  if (!('config' in logic) || typeof logic.config !== 'function') return 'other'
  const scope = { self: {} }
  const state: unknown = logic.start && Reflect.apply(logic.getInitialSnapshot, logic, [scope])
  if (typeof state !== 'object' || state === null || 'context' in state) return 'other'
  try {
    const result = { type: 'xstate.promise.resolve', data: scope }
    const { output } = Reflect.apply(logic.transition, logic, [state, result, scope])
    return output === scope ? 'promise' : 'other'
  } catch {
    return 'callback'
  }
}

/** The states that are entered, in the order in which they were. */
export const enteredStates = ({ _nodes }: AnyMachineSnapshot): readonly AnyStateNode[] => _nodes

/** Puts the entered states of `state` into another order: XState forgets that of parallel regions. */
export const orderEntered = (
  state: AnyMachineSnapshot,
  placeOf: (node: AnyStateNode) => number,
): void => {
  const nodes = [...state._nodes].sort((one, other) => placeOf(one) - placeOf(other))
  Object.assign(state, { _nodes: nodes })
}

/** The snapshot of an observable without its subscription, which is code. */
export const withoutSubscription = (snapshot: object | undefined): object => {
  const data = { ...snapshot }
  Reflect.deleteProperty(data, '_subscription')
  return data
}

/** An event on its way to the machine or to an actor inside it. */
export interface Arrival {
  readonly source: Actor | undefined
  readonly target: Actor
  readonly event: EventObject
}

/** Something that is done outside after a turn. */
export interface Deed {
  /** `clean` also happens when the process ends, `observe` also when its actor has failed. */
  readonly kind: 'action' | 'emit' | 'send' | 'log' | 'start' | 'hear' | 'observe' | 'clean'
  /** The actor that asks for it. */
  readonly actor: Actor
  readonly action?: Action
  readonly event?: EventObject
  readonly target?: Actor
  run(): unknown
}

/** XState's scheduler of delayed events. */
interface Scheduler {
  schedule(source: Actor, target: Actor, event: EventObject, delay: number, id?: string): void
  cancel(source: Actor, id: string): void
  cancelAll(source: Actor): void
}

/** The ways out of the actors. */
export interface Door {
  readonly scheduler: Scheduler
  /** An id for an actor: no other one of this machine has it, and no saved one. */
  newId(): string
  /** Whether a turn is being computed. */
  readonly isComputing: boolean
  effect(deed: Deed): void
  /** Within a turn: an event for the machine, or for an actor inside. It comes in its order. */
  sent(arrival: Arrival): void
  /** Within a turn: an actor inside has started. It takes events when all of that is done. */
  started(actor: Actor): void
  /** Within a turn: `actor` stops by `run`. False: not before it has handled its events. */
  stops(actor: Actor, run: () => void): boolean
  /** The work of `actor` begins. Returns the function for its end; `undefined`: it may not begin. */
  works(actor: Actor, isPromise: boolean): (() => void) | undefined
  /** An action that is part of the turn itself. */
  inTurn(run: () => void): void
  /** The state of an actor inside changed. */
  changed(): void
  /** An event for any actor, outside of a turn. */
  arrived(arrival: Arrival): void
  emitted(event: EventObject): unknown
  logged(...values: unknown[]): void
  /** An event for a process. */
  send(target: Ref, event: EventObject): void
  /** Asynchronous work failed: the process ends. */
  failed(error: unknown): void
  /** The machine itself failed within a turn. */
  broke(error: unknown): void
}
