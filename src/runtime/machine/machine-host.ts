/** The process that runs a machine, as the machine sees it. Types only. */
import type { AnyMachineSnapshot, EventObject } from 'xstate'
import type { Context } from '../server/gen-server.ts'
import type { Ref } from '../words/address.ts'
import type { Arrival } from './machine-door.ts'
import type { Waiting } from './machine-queue.ts'
import type { TimersHost } from './machine-timers.ts'
import type { SavedAction } from './machine-words.ts'

/** By this a later process finds the target of a saved send. */
export type Place = Pick<SavedAction, 'name' | 'entity'>

/** The host of a machine: a process. */
export interface StepsHost extends TimersHost {
  readonly context: Context
  /** Where names are looked up for this process. */
  readonly names: object
  /** The beginning of the names of the steps of a new machine: different for each. */
  run(): string
  /** An event outside of a turn: to be given to `arrived` in a separate turn. */
  arrived(arrival: Arrival): void
  /**
   * Whether actions are steps of their own, and events go on while one is tried again. Then an
   * action holds up no event of its step, and what it sends to its own machine is a message.
   */
  readonly recordsSteps: boolean
  /** Whether the state is saved between the computation of a step and its effects. */
  readonly saves: boolean
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
  /** The place of the process of `ref`; `undefined`: a later process does not find it. */
  placeOf(ref: Ref): Place | undefined
  /** Does a saved send with a place. A throw: it is to be tried again. */
  sendAgain(action: SavedAction): void
  /** The machine has handled an event. */
  stepped(before: AnyMachineSnapshot, event: EventObject, after: AnyMachineSnapshot): void
  /** No state of the machine names the event. A throw fails the turn. */
  unknown(event: EventObject): void
  /** The event should be postponed, and there is no room. */
  full(waiting: Waiting): void
  /** A saved action that cannot be done in this version. */
  lost(action: SavedAction): void
}
