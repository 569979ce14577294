/**
 * The door between the XState actors of one machine and the world outside: what they ask for, and
 * the parts of XState's actors that are used here and that its types do not show. Types only.
 */
import type {
  ActionExecutor,
  ActorSystem,
  ActorSystemInfo,
  AnyActorLogic,
  AnyActorRef,
  AnyMachineSnapshot,
  EventObject,
} from 'xstate'
import type { Ref } from '../words/address.ts'

/** An action as XState hands it to its executor. */
export type Action = Parameters<ActionExecutor>[0]

/** The parts of XState's actors that its types do not show. */
export interface Actor extends AnyActorRef {
  logic: AnyActorLogic
  _snapshot: AnyMachineSnapshot
  _parent?: Actor
  readonly systemId: string | undefined
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
