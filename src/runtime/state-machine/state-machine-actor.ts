/**
 * The `self` of a machine: a real XState actor that stands for the process. It computes nothing.
 * Events sent to it go to the process's mailbox, and the machine's requests are collected during a
 * step and done after it. XState's pure transition function is called with the scope made here.
 */
import {
  type ActionExecutor,
  Actor,
  type ActorLogic,
  type ActorScope,
  type ActorSystem,
  type ActorSystemInfo,
  type AnyActorRef,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type EventObject,
  type Snapshot,
} from 'xstate'
import { KeelsonError } from '../../errors.ts'
import type { Context } from '../server/gen-server.ts'

type Action = Parameters<ActionExecutor>[0]
type Scope = ActorScope<Snapshot<undefined>, EventObject>
/** The scope for a machine's pure functions, which use none of the actor's own types. */
type MachineScope = Parameters<AnyStateMachine['transition']>[2]

/** The actor's requests to its process. */
export interface Host {
  readonly context: Context<never>
  readonly scheduler: ActorSystem<ActorSystemInfo>['scheduler']
  /** An event was sent to the machine, by itself or by an actor inside it. */
  arrived(event: EventObject): void
  snapshot(): AnyMachineSnapshot
  emitted(event: EventObject): void
  /** `log` was done. */
  logged(...values: unknown[]): void
}

/**
 * Methods of an actor that a process replaces. They throw: a call without effect would be worse.
 */
const refuse = (instead: string) => (): never => {
  throw new KeelsonError('INVALID_ARGUMENT', `not available in a process: ${instead}`)
}
const notOfProcesses = {
  stop: refuse('end it with exit(reason), or in a final state'),
  subscribe: refuse("listen to the event 'machine.transition' of the system"),
  on: refuse("use the option 'emitted'"),
  select: refuse("listen to the event 'machine.transition' of the system"),
}

const processContext = Symbol('the context of the process that runs the machine')

/** The actor of one run, and the actions to do after the present step. */
export class MachineActor {
  readonly ref: AnyActorRef
  /** The argument for the machine's pure functions. */
  readonly scope: MachineScope
  #actions: Action[] = []
  #isComputing = false
  readonly #stop: () => void

  constructor(id: string, host: Host) {
    let given: Scope | undefined
    const logic: ActorLogic<Snapshot<undefined>, EventObject> = {
      getInitialSnapshot: (scope) => {
        given = scope
        return { status: 'active', output: undefined, error: undefined }
      },
      transition: (snapshot, event) => {
        if (event.type !== 'xstate.stop') host.arrived(event)
        return snapshot
      },
      getPersistedSnapshot: (snapshot) => snapshot,
    }
    const actor = createActor(logic, { id, logger: (...values) => host.logged(...values) })
    actor.system.scheduler = host.scheduler
    Object.assign(actor.system, { [processContext]: host.context })
    this.#stop = () => void Actor.prototype.stop.call(actor)
    // `self.getSnapshot()` in an action means the machine's.
    Object.assign(actor, { getSnapshot: () => host.snapshot(), ...notOfProcesses })
    if (given === undefined)
      throw new KeelsonError('CONFIG', 'this version of xstate is not supported')
    this.ref = actor
    this.scope = {
      ...given,
      emit: (event: EventObject) => host.emitted(event),
      defer: (work: () => void) => this.#defer(work),
      actionExecutor: (action: Action) => void this.#actions.push(action),
    } as unknown as MachineScope
    actor.start()
  }

  /**
   * The result of `compute`, and the actions that it asked for, in order. None of them is done yet.
   */
  collect<S>(compute: (scope: MachineScope) => S): {
    readonly result: S
    readonly actions: Action[]
  } {
    this.#actions = []
    this.#isComputing = true
    try {
      return { result: compute(this.scope), actions: this.#actions }
    } finally {
      this.#isComputing = false
    }
  }

  /** Stops the actors inside the machine. The actor itself takes no more events. */
  stop(children: Iterable<AnyActorRef | undefined>): void {
    for (const child of children) if (child !== undefined) this.scope.stopChild(child)
    this.#stop()
  }

  /**
   * XState defers actions that must see the new snapshot. Actions here run when there is one, so
   * nothing is deferred.
   */
  #defer(work: () => void): void {
    if (!this.#isComputing) work()
    else this.#actions.push({ type: 'deferred', exec: work } as unknown as Action)
  }
}

/**
 * The context of the process that runs the machine, for actions that use processes. `self` is
 * XState's argument of an action, in the machine or in an actor inside it. Throws
 * `INVALID_ARGUMENT` when no process of this runtime runs it.
 */
export const contextOf = (self: AnyActorRef): Context => {
  const context = (self.system as { [processContext]?: Context })[processContext]
  if (context !== undefined) return context
  throw new KeelsonError('INVALID_ARGUMENT', 'no process of this runtime runs this actor')
}

/**
 * An XState actor that passes each event to `deliver`: `sendTo` uses it to reach targets that are
 * not XState actors.
 */
export const forwardingActor = (id: string, deliver: (event: EventObject) => void): AnyActorRef => {
  const logic: ActorLogic<Snapshot<undefined>, EventObject> = {
    getInitialSnapshot: () => ({ status: 'active', output: undefined, error: undefined }),
    transition: (snapshot, event) => {
      if (event.type !== 'xstate.stop') deliver(event)
      return snapshot
    },
    getPersistedSnapshot: (snapshot) => snapshot,
  }
  return createActor(logic, { id }).start()
}
