/**
 * What a machine sees as `self`: a real XState actor that stands for the process. It computes nothing: what is sent to it
 * goes to the process's mailbox, and what the machine asks it to do is collected while a step is computed and done after.
 * The scope here is the one that XState's pure transition function is called with.
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
/** The scope as a machine's pure functions take it; they use nothing of the actor's own types. */
type MachineScope = Parameters<AnyStateMachine['transition']>[2]

/** What the actor asks of the process that it stands for. */
export interface Host {
  readonly context: Context<never>
  readonly scheduler: ActorSystem<ActorSystemInfo>['scheduler']
  /** Something was sent to the machine, by itself or by an actor inside it. */
  arrived(event: EventObject): void
  snapshot(): AnyMachineSnapshot
  emitted(event: EventObject): void
  /** `log` was done. */
  logged(...values: unknown[]): void
}

/** The ways of an actor that a process has others for: better an error than a call without effect. */
const refuse = (instead: string) => (): never => {
  throw new KeelsonError('INVALID_ARGUMENT', `a machine in a process has no such way: ${instead}`)
}
const notOfProcesses = {
  stop: refuse('end it with exit(reason), or in a final state'),
  subscribe: refuse("listen to the event 'machine.transition' of the system"),
  on: refuse("use the option 'emitted'"),
  select: refuse("listen to the event 'machine.transition' of the system"),
}

const processContext = Symbol('the context of the process that runs the machine')

/** The actor of one run, and what is to be done after the step at hand. */
export class MachineActor {
  readonly ref: AnyActorRef
  /** Hand this to the machine's pure functions. */
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
    // What `self.getSnapshot()` in an action is about is the machine.
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

  /** What `compute` answers, and the actions that it asked for, in their order; none of them is done yet. */
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

  /** Stops the actors inside the machine; the actor itself takes nothing any more. */
  stop(children: Iterable<AnyActorRef | undefined>): void {
    for (const child of children) if (child !== undefined) this.scope.stopChild(child)
    this.#stop()
  }

  /** XState defers what must see the new snapshot: the actions are done when there is one, so then nothing waits. */
  #defer(work: () => void): void {
    if (!this.#isComputing) work()
    else this.#actions.push({ type: 'deferred', exec: work } as unknown as Action)
  }
}

/**
 * The context of the process that runs the machine: for actions that use processes. `self` is what XState hands to an
 * action, in the machine or in an actor inside it. Throws `INVALID_ARGUMENT` when no process of this runtime runs it.
 */
export const contextOf = (self: AnyActorRef): Context => {
  const context = (self.system as { [processContext]?: Context })[processContext]
  if (context !== undefined) return context
  throw new KeelsonError('INVALID_ARGUMENT', 'no process of this runtime runs this actor')
}

/** An XState actor that gives each event to `deliver`: how `sendTo` reaches what is no XState actor. */
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
