/**
 * The XState actors of one machine: its root and all actors inside it. XState computes them, but
 * none of its effects is done here. Each effect (an action, a start, a clean-up, an emitted event,
 * a send to another process) goes to `Door.effect`.
 */
import {
  type ActionArgs,
  type ActorLogic,
  type AnyActorRef,
  type AnyStateMachine,
  createActor,
  type EventObject,
  type MachineContext,
  type ParameterizedObject,
  type Snapshot,
} from 'xstate'
import { configError, KeelsonError } from '../../errors.ts'
import type { Context } from '../server/gen-server.ts'
import { isRef, type Ref } from '../words/address.ts'
import type { MachineTurn } from '../words/app-context.ts'
import { callOutside, isThenable } from '../words/outside-code.ts'
import {
  type Action,
  type Actor,
  type Arrival,
  type Door,
  type InnerActor,
  inner,
} from './machine-door.ts'
import { doored } from './machine-logic.ts'

/** The facts that functions of the machine read through `self`. */
export interface Facts {
  readonly context: Context
  /** The name of the step for which `actor` acts; `undefined` when it does not. */
  stepOf(actor: AnyActorRef): string | undefined
}

const facts = Symbol('the process that runs the machine')

/** Begins with `input`, or where a saved snapshot left off. */
export type Beginning = { readonly input: unknown } | { readonly snapshot: unknown }

/**
 * The actor of `machine`, not started. All its requests go through `door`. Throws `CONFIG` when
 * this version of XState is built in another way.
 */
export const machineActor = (
  machine: AnyStateMachine,
  beginning: Beginning,
  door: Door,
  known: Facts,
): Actor => {
  let root: InnerActor | undefined
  const actor: AnyActorRef = createActor(machine, {
    ...(beginning as { input: never }),
    id: machine.id,
    logger: (...values: unknown[]) => door.logged(...values),
    // The first inspection event comes before an actor computes its first state.
    inspect: ({ type, actorRef }) => {
      if (type !== '@xstate.actor' || root !== undefined || !isWhole(actorRef)) return
      root = actorRef
      replaceSystem(root, door, known)
      adopt(root, root, door)
    },
  })
  if (root !== actor) throw new KeelsonError('CONFIG', 'this version of xstate is not supported')
  root.subscribe({ error: (error) => door.broke(error) })
  return Object.assign(root, notOfProcesses)
}

/** Whether an actor of XState has the parts that are used here. */
const isWhole = (actor: unknown): actor is InnerActor =>
  typeof actor === 'object' && actor !== null && '_actorScope' in actor && '_snapshot' in actor

/**
 * Methods of the machine's actor that a process replaces. They throw: a call without effect would
 * be worse.
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

const replaceSystem = (root: InnerActor, door: Door, known: Facts): void => {
  const { system } = root._actorScope
  system.scheduler = door.scheduler
  // XState counts from 0 in each Node process, and a child without an id is kept under this one.
  system._bookId = () => door.newId()
  system._sendInspectionEvent = ({ type, actorRef }) => {
    if (type === '@xstate.actor' && isWhole(actorRef)) adopt(actorRef, root, door)
  }
  system._relay = (source, target, event) => {
    const arrival = { source, target, event }
    if (inner(target)._actorScope?.system !== system) sendOutside(arrival, root, door)
    else if (door.isComputing) door.sent(arrival)
    else door.arrived(arrival)
  }
  Object.assign(system, { [facts]: known })
}

const sendOutside = ({ source, target, event }: Arrival, root: Actor, door: Door): void => {
  const ref = forwardsTo(target)
  const run = (): void => (ref === undefined ? inner(target)._send(event) : door.send(ref, event))
  if (door.isComputing) door.effect({ kind: 'send', actor: source ?? root, target, event, run })
  else run()
}

/** Replaces the ways out of one actor, before it computes anything. */
const adopt = (actor: InnerActor, root: Actor, door: Door): void => {
  const scope = actor._actorScope
  const execute = scope.actionExecutor
  // XState's executor decides when an action's turn is; the replacement decides what is done then.
  scope.actionExecutor = (action) =>
    execute({ ...action, exec: () => executed(actor, action, door) })
  scope.emit = (event) => {
    // An actor that is done forgets its listeners, and actions of this step may add others.
    const before = listenersTo(event, actor)
    const all = () => new Set([...before, ...listenersTo(event, actor)])
    const run = () => (actor === root ? door.emitted(event) : emit(all(), event, door))
    if (door.isComputing) door.effect({ kind: 'emit', actor, event, run })
    else run()
  }
  if (actor === root) return
  actor.logic = doored(actor, door)
  watchSubscribers(actor, door, keepOrder(actor, door))
}

/**
 * In XState an actor that starts or stops does so while its parent waits. Here its effects wait.
 * Returns whether it is starting.
 */
const keepOrder = (actor: InnerActor, door: Door): (() => boolean) => {
  const [start, stop] = [actor.start.bind(actor), actor._stop.bind(actor)]
  let isStarting = false
  const own = {
    start: () => {
      // XState also starts an actor that runs, which does nothing.
      const isFirst = actor._processingStatus === 0
      isStarting = true
      start()
      isStarting = false
      if (isFirst) door.started(actor)
      return actor
    },
    _stop: () => {
      if (actor._processingStatus !== 1 || door.stops(actor, stop)) stop()
      return actor
    },
  }
  Object.assign(actor, own)
  return () => isStarting
}

type Callback = (value?: unknown) => unknown
type Observer = {
  readonly next?: Callback
  readonly error?: Callback
  readonly complete?: Callback
}

/**
 * The work of subscribers is an effect, and their failure ends the process. XState would end Node.
 */
const watchSubscribers = (actor: Actor, door: Door, isStarting: () => boolean): void => {
  const subscribe = actor.subscribe.bind(actor)
  const guarded = (callback: Callback | undefined) => (value?: unknown) => {
    const run = (): void => callOutside(() => callback?.(value), door.failed)
    if (door.isComputing) door.effect({ kind: 'observe', actor, run })
    else run()
  }
  const watched = (
    given: Observer | Callback | undefined,
    error?: Callback,
    complete?: Callback,
  ) => {
    // For `syncSnapshot` XState itself subscribes.
    if (isStarting()) return subscribe(given as Observer)
    const { next, ...rest } = typeof given === 'object' ? given : { next: given, error, complete }
    const observer = {
      next: guarded(next?.bind(given)),
      error: guarded(rest.error?.bind(given)),
      complete: guarded(rest.complete?.bind(given)),
    }
    return subscribe(observer)
  }
  Object.assign(actor, { subscribe: watched })
}

/** XState's own actions change the state of actors, but for `log`. */
const isBuiltIn = (type: string): boolean => type.startsWith('xstate.') && type !== 'xstate.log'

const executed = (actor: Actor, action: Action, door: Door): void => {
  const { type, exec, info, params } = action
  const isMissing = type === 'xstate.spawnChild' && !startsActor(params)
  if (exec === undefined || isMissing)
    throw configError(type, `an implementation in ${actor.id}`, 'none')
  if (isBuiltIn(type)) exec(info, params)
  else if (isOfTurn(exec)) door.inTurn(() => exec(info, params))
  else {
    const run = (): unknown => exec(info, params)
    door.effect({ kind: type === 'xstate.log' ? 'log' : 'action', actor, action, run })
  }
}

const startsActor = (params: unknown): boolean =>
  typeof params === 'object' && params !== null && 'actorRef' in params && !!params.actorRef

const ofTurn = Symbol('an action that is part of its turn')

const isOfTurn = (action: unknown): boolean => typeof action === 'function' && ofTurn in action

/**
 * An action of a durable machine that is part of the turn of its transition: it runs while the turn
 * is computed, and what it asks of `turn` (`writes`, `rows`, `journal`, `cast` …) becomes durable
 * with the new state, or not at all. It is synchronous and decides by its arguments: a turn that is
 * handled again runs it again, and a look at an unborn machine does not run it. A throw fails the
 * turn, as a throw of `assign` does. In a machine that is not durable it throws `INVALID_ARGUMENT`.
 */
export const inTurn = <
  C extends MachineContext,
  E extends EventObject,
  V extends EventObject,
  P extends ParameterizedObject['params'] | undefined,
>(
  act: (given: ActionArgs<C, E, V>, turn: MachineTurn, params: P) => void,
): ((given: ActionArgs<C, E, V>, params: P) => void) => {
  const action = (given: ActionArgs<C, E, V>, params: P): void => {
    const turn = factsOf(given.self).context as MachineTurn
    const answer: unknown = act(given, turn, params)
    if (!isThenable(answer)) return
    answer.then(undefined, () => {})
    throw new KeelsonError('INVALID_ARGUMENT', 'an action in a turn is not asynchronous')
  }
  return Object.assign(action, { [ofTurn]: true })
}

type Listeners = ReadonlySet<(event: EventObject) => unknown>

/** The listeners to `event`, in sets that change with them. */
const listenersTo = ({ type }: EventObject, { eventListeners }: InnerActor): Listeners[] =>
  [eventListeners.get(type), eventListeners.get('*')].filter((found) => found !== undefined)

/** Notifies the listeners of an actor inside. A failure of one ends the process. */
const emit = (listeners: Iterable<Listeners>, event: EventObject, door: Door): void => {
  for (const listener of [...listeners].flatMap((found) => [...found]))
    callOutside(() => listener(event), door.failed)
}

const forwards = Symbol('the process that gets the events')

/**
 * A process as an XState actor that passes its events on, for `sendTo`. In a machine the process
 * that runs it sends them; elsewhere `deliver` does.
 */
export const forwardingActor = (ref: Ref, deliver: (event: EventObject) => void): AnyActorRef => {
  const logic: ActorLogic<Snapshot<undefined>, EventObject> = {
    getInitialSnapshot: () => ({ status: 'active', output: undefined, error: undefined }),
    transition: (snapshot, event) => {
      if (event.type !== 'xstate.stop') deliver(event)
      return snapshot
    },
    getPersistedSnapshot: (snapshot) => snapshot,
  }
  return Object.assign(createActor(logic, { id: ref.toString() }).start(), { [forwards]: ref })
}

/** The process to which a forwarding actor sends. */
export const forwardsTo = (actor: AnyActorRef): Ref | undefined =>
  forwards in actor && isRef(actor[forwards]) ? actor[forwards] : undefined

/**
 * The context of the process that runs the machine, for actions that use processes. `self` is
 * XState's argument of an action, in the machine or in an actor inside it. Throws
 * `INVALID_ARGUMENT` when no process of this runtime runs it.
 */
export const contextOf = (self: AnyActorRef): Context => factsOf(self).context

/**
 * The name of the step for which an action acts: a key for effects that must not happen twice. It
 * is the same at each try of that action, also after a restart, and different for each action of
 * each step. `self` is XState's argument. Read it before the action's first `await`. In a promise,
 * a callback or an observable that the machine runs, it is the same as long as that actor lives,
 * restarts included. Throws `INVALID_ARGUMENT` when `self` does not act.
 */
export const stepOf = (self: AnyActorRef): string => {
  const step = factsOf(self).stepOf(self)
  if (step !== undefined) return step
  throw new KeelsonError('INVALID_ARGUMENT', `${self.id} does not act: no step is under way`)
}

const factsOf = (self: { readonly system: object }): Facts => {
  const found = (self?.system as { [facts]?: Facts } | undefined)?.[facts]
  if (found !== undefined) return found
  throw new KeelsonError('INVALID_ARGUMENT', 'no process of this runtime runs this actor')
}
