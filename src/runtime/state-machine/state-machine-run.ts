/**
 * One machine in one process. XState's pure transition function computes a step; then its actions
 * are done in order, with the new snapshot in place. Any throw here ends the process.
 */
import type {
  ActionExecutor,
  AnyActorRef,
  AnyMachineSnapshot,
  AnyStateMachine,
  EventObject,
} from 'xstate'
import { KeelsonError } from '../../errors.ts'
import { processOf } from '../process/process.ts'
import type { Context } from '../server/gen-server.ts'
import { isThenable } from '../words/outside-code.ts'
import { announce, type TraceEvent } from '../words/telemetry.ts'
import { MachineActor } from './state-machine-actor.ts'
import { checkedSaved, savedMachine } from './state-machine-saved.ts'
import { type Delayed, MachineTimers } from './state-machine-timers.ts'
import type { SavedMachine } from './state-machine-words.ts'

type Action = Parameters<ActionExecutor>[0]

/** An event sent to the machine by itself or by an actor inside it. */
export interface Arrival {
  readonly event: EventObject
  /** The actor that had the sender's id when the event was sent. */
  readonly child: AnyActorRef | undefined
}

/** The process as a run uses it. */
export interface RunHost {
  readonly context: Context<{ infos: { timer: (delayed: Delayed) => void } }>
  /** Puts an arrival into the mailbox, which never refuses it. */
  deliver(arrival: Arrival): void
  /** An action's promise was rejected. */
  failed(error: unknown): void
  emitted(event: EventObject): void
  /** The machine made a step, for a trace. */
  stepped(make: () => TraceEvent): void
}

/** The machine of one process. */
export class MachineRun {
  readonly #machine: AnyStateMachine
  readonly #host: RunHost
  readonly #timers: MachineTimers
  readonly #actor: MachineActor
  #snapshot: AnyMachineSnapshot | undefined = undefined
  #listensForEnd = false

  constructor(machine: AnyStateMachine, host: RunHost) {
    this.#machine = machine
    this.#host = host
    this.#timers = new MachineTimers(host.context)
    this.#actor = new MachineActor(machine.id, {
      context: host.context as unknown as Context<never>,
      scheduler: this.#timers,
      arrived: (event) => host.deliver({ event, child: this.#child(childOf(event)) }),
      snapshot: () => this.#current(),
      emitted: (event) => host.emitted(event),
      logged: (...values) => this.#log(values),
    })
  }

  /** The initial snapshot; its actions are done. */
  begin(input: unknown): AnyMachineSnapshot {
    const { result, actions } = this.#actor.collect((scope) =>
      this.#machine.getInitialSnapshot(scope, input),
    )
    return this.#enter(result, actions, undefined)
  }

  /**
   * Restores a saved snapshot: starts its actors again and resumes its timers. Throws
   * `INVALID_ARGUMENT` when it belongs to another machine.
   */
  continueFrom(given: SavedMachine): AnyMachineSnapshot {
    const saved = checkedSaved(this.#machine, given)
    const { result, actions } = this.#actor.collect((scope) => {
      const snapshot = this.#machine.restoreSnapshot(saved as never, scope)
      this.#snapshot = snapshot
      return snapshot
    })
    this.#enter(result, actions, undefined)
    if (result.status !== 'active') return result
    this.#machine.start(result)
    this.#timers.restore(saved.timers, this.#actor.ref, result)
    return result
  }

  /** The snapshot after `event`; its actions are done. */
  step(before: AnyMachineSnapshot, event: EventObject): AnyMachineSnapshot {
    this.#snapshot = before
    const { result, actions } = this.#actor.collect((scope) =>
      this.#machine.transition(before, event, scope),
    )
    this.#announce(before, event, result)
    return this.#enter(result, actions, before)
  }

  /**
   * Whether an arrival is still valid. An event of a stopped actor must not count as one of its
   * successor.
   */
  isCurrent({ event, child }: Arrival): boolean {
    const id = childOf(event)
    return id === undefined || this.#child(id) === child
  }

  /**
   * Whether the event of `delayed` is for the machine and still valid. An event for an actor inside
   * is delivered to it here.
   */
  takesTimer(delayed: Delayed): boolean {
    if (!this.#timers.take(delayed)) return false
    if (delayed.target === this.#actor.ref) return true
    delayed.target.send(delayed.event)
    return false
  }

  /** The snapshot as plain data. */
  saved(snapshot: AnyMachineSnapshot, postponed: readonly EventObject[]): SavedMachine {
    const timers = this.#timers.saved(this.#actor.ref)
    return savedMachine(this.#machine, snapshot, timers, postponed)
  }

  /**
   * Does the actions of a step, with `snapshot` in place. Throws the error that ended the machine,
   * if there is one.
   */
  #enter(
    snapshot: AnyMachineSnapshot,
    actions: readonly Action[],
    before: AnyMachineSnapshot | undefined,
  ): AnyMachineSnapshot {
    this.#snapshot = snapshot
    this.#listenForEnd(snapshot)
    for (const action of withoutStillborn(actions, before)) this.#do(action)
    if (snapshot.status === 'error') throw snapshot.error
    return snapshot
  }

  #do({ type, exec, info, params }: Action): void {
    if (exec === undefined) {
      throw new KeelsonError(
        'CONFIG',
        `the action ${type} of ${this.#machine.id} has no implementation`,
        {
          details: { path: type, expected: 'an implementation', found: undefined },
        },
      )
    }
    const answer: unknown = exec(info, params)
    if (isThenable(answer)) answer.then(undefined, (error: unknown) => this.#host.failed(error))
  }

  /** The actors inside end with the process. */
  #listenForEnd({ children }: AnyMachineSnapshot): void {
    if (this.#listensForEnd || Object.keys(children).length === 0) return
    this.#listensForEnd = true
    this.#host.context.signal.addEventListener('abort', () => this.#end(), { once: true })
  }

  #end(): void {
    try {
      this.#actor.stop(Object.values(this.#snapshot?.children ?? {}))
    } catch (error) {
      const { system, self } = this.#host.context
      system.logger.error(`an actor inside ${self} did not stop`, { reason: error })
    }
  }

  #current(): AnyMachineSnapshot {
    if (this.#snapshot !== undefined) return this.#snapshot
    throw new KeelsonError('INVALID_ARGUMENT', 'the machine has no snapshot yet')
  }

  #child(id: string | undefined): AnyActorRef | undefined {
    return id === undefined ? undefined : this.#snapshot?.children[id]
  }

  #log(values: readonly unknown[]): void {
    const { system, self, name } = this.#host.context
    system.logger.info(`${name ?? self}: ${values.map(String).join(' ')}`, { values })
  }

  #announce(before: AnyMachineSnapshot, event: EventObject, after: AnyMachineSnapshot): void {
    const [from, to] = [before.value, after.value]
    this.#host.stepped(() => ({
      direction: 'step',
      what: event.type,
      payload: { event, from, to },
    }))
    announce(this.#host.context.system, 'machine.transition', () => ({
      ...processOf(this.#host.context).facts(),
      kind: 'state machine',
      label: this.#machine.id,
      event,
      from,
      to,
      status: after.status,
    }))
  }
}

/**
 * The actions without starts of actors that the same step stops. XState does the same: such an
 * actor must not run in between.
 */
const withoutStillborn = (
  actions: readonly Action[],
  before: AnyMachineSnapshot | undefined,
): readonly Action[] => {
  const isStop = ({ type }: Action): boolean => type === 'xstate.stopChild'
  if (!actions.some(isStop)) return actions
  const old = new Set<unknown>(Object.values(before?.children ?? {}))
  const isStillborn = (action: Action): boolean => isStop(action) && !old.has(action.params)
  return [...actions.filter(isStillborn), ...actions.filter((action) => !isStillborn(action))]
}

/** The id of the actor inside that an event comes from. */
const childOf = (event: EventObject & { readonly actorId?: unknown }): string | undefined => {
  if (!event.type.startsWith('xstate.')) return undefined
  if (typeof event.actorId === 'string') return event.actorId
  const prefix = 'xstate.snapshot.'
  return event.type.startsWith(prefix) ? event.type.slice(prefix.length) : undefined
}
