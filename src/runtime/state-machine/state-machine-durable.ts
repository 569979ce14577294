/**
 * A state machine as a durable server, for `entity` and durable workers. Its durable state is the
 * saved machine. An actor without a row has the state `undefined`: its machine begins with its first
 * event, so that a look leaves no row.
 */

import type {
  AnyStateMachine,
  AnyStateNode,
  AnyTransitionDefinition,
  EventFrom,
  EventObject,
  SnapshotFrom,
} from 'xstate'
import { plainJson } from '../../bytes/json.ts'
import { noMore } from '../../check.ts'
import type { Retry } from '../../clock.ts'
import { noOptions } from '../../own-names.ts'
import type { StandardSchema } from '../../schema.ts'
import {
  checkedEvent,
  inlineLogic,
  isMachine,
  nodesOf,
  showByName,
} from '../machine/machine-check.ts'
import { expectKnownCopy } from '../machine/machine-copy.ts'
import { checksum } from '../machine/machine-names.ts'
import { planOf } from '../machine/machine-plan.ts'
import { runs } from '../machine/machine-saved.ts'
import type {
  Answers,
  InputOf,
  MachineMessages,
  Replies,
  SavedMachine,
  StateMachineSettings,
} from '../machine/machine-words.ts'
import { processOf } from '../process/process.ts'
import type { CallContext, Context, Defines } from '../server/gen-server.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import type { StatusParts } from '../words/telemetry.ts'
import {
  DurableMachineProcess,
  type DurableOwn,
  type FailedStep,
  type News,
  type State,
} from './state-machine-durable-process.ts'
import type { Options } from './state-machine-host.ts'
import { eventSchemas, hooksOf, unasked } from './state-machine-server.ts'

/** The messages of a durable machine. Use the client functions to send them. */
export interface DurableMachineMessages<
  T extends AnyStateMachine,
  R = Record<never, never>,
  E = EventFrom<T>,
> extends Omit<MachineMessages<T, R, E>, 'infos' | 'continues'> {
  infos: { arrived: (arrival: never) => void; failed: (failure: never) => void }
  continues: { effects: (turns: never) => void; nextEvent: (turns: never) => void }
  alarms: { timer: (dueAt: never) => void; children: (ms: never) => void }
}

/** The values of index fields. */
type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>

/** The options of a durable machine. All are optional. */
export type DurableMachineOptions<
  T extends AnyStateMachine,
  R extends Replies<T> = Record<never, never>,
  F extends Fields = Fields,
  E = EventFrom<T>,
> = NoInfer<DurableMachineSettings<T>> & {
  /** As in `StateMachineOptions`. */
  readonly answers?: Answers<T, R> | undefined
  /** As in `StateMachineOptions`. */
  readonly events?: StandardSchema<E, EventFrom<T>> | undefined
  /** The fields by which `list` and `counts` find machines of this kind. Pure. */
  readonly index?: ((saved: SavedMachine<T>) => F) | undefined
}

/** The options without `answers`, `events` and `index`. */
export interface DurableMachineSettings<T extends AnyStateMachine>
  extends Omit<StateMachineSettings<T>, 'restore' | 'save' | 'terminate' | 'formatStatus'> {
  /** The input of the machine of an actor with this id. */
  readonly input?: ((id: string) => InputOf<T>) | undefined
  /** The version of the machine, a whole number from 1 (the default). */
  readonly version?: number | undefined
  /**
   * Makes a saved machine of this version from one of an older `from`. A machine of another shape
   * with the same version leaves its actors blocked.
   */
  readonly migrate?: ((saved: unknown, from: number) => SavedMachine<T>) | undefined
  /** When an effect that threw is tried again. After its last try it is parked until `unblock`. */
  readonly retry?: Retry | undefined
  /** Runs last, as in a GenServer, unless the machine has not begun. */
  readonly terminate?:
    | ((
        snapshot: SnapshotFrom<T>,
        reason: ExitReason,
        context: Context<DurableMachineMessages<T>>,
      ) => void | Promise<void>)
    | undefined
  /** Returns the status that crash reports, `sys.getStatus` and the prompt show. */
  readonly formatStatus?:
    | ((status: StatusParts<SavedMachine<T> | undefined>) => StatusParts)
    | undefined
}

/** A durable server that runs `T`. */
export interface DurableMachine<
  T extends AnyStateMachine,
  R = Record<never, never>,
  F extends Fields = Fields,
  E = EventFrom<T>,
> extends Defines<DurableMachineMessages<T, R, E>, SavedMachine<T> | undefined, string, never> {
  readonly kind: string
  readonly version: number
  /** The structural hash of the machine. */
  readonly shape: string
  readonly index: (state: SavedMachine<T> | undefined) => F
  // The handlers are for the runtime, and not for users.
  readonly init: never
  readonly casts: never
  readonly calls: never
  readonly infos: never
  readonly continues: never
  readonly alarms: never
}

/**
 * The durable server that runs `machine`, for `entity` and for `worker` with `durable`. Throws
 * `CONFIG` with `details.path` when an option or an implementation is missing or wrong.
 */
export const durable = <
  T extends AnyStateMachine,
  R extends Replies<T> = Record<never, never>,
  F extends Fields = Record<never, never>,
  E = EventFrom<T>,
>(
  machine: T,
  options: DurableMachineOptions<T, R, F, E> = noOptions,
  ...surplus: []
): DurableMachine<T, R, F, E> => {
  noMore(surplus, 'StateMachine.durable(machine, { … })')
  const plan = planOf(machine, options, ['input', 'version', 'index', 'migrate', 'retry'])
  expectKnownCopy(machine)
  showByName(machine)
  const { input, version = 1, index, migrate, retry, terminate } = options
  const machines = new WeakMap<object, DurableMachineProcess>()
  const of = (context: DurableOwn): DurableMachineProcess => {
    // The first context is that of the process. A step has one for each of its tries.
    const process = processOf(context)
    const found =
      machines.get(process) ?? new DurableMachineProcess(plan, options as Options, input, context)
    machines.set(process, found)
    return found
  }
  const found = {
    kind: 'machine',
    machine,
    version,
    shape: shapeOf(machine),
    ...(migrate && { migrate }),
    ...(retry && { retry }),
    ...(index && { index: (saved: State) => (saved === undefined ? {} : index(saved)) }),
    eventOf,
    isBusy: (state: State) => state !== undefined && runs(state),
    isFinal: (state: State) => state?.status === 'done',
    init: (_: unknown, context: DurableOwn) => of(context).init(),
    wake: (state: State, context: DurableOwn) => of(context).wake(state),
    ...handlersOf(of),
    ...eventSchemas(options.events),
    ...hooksOf(options, of),
    ...(terminate && {
      terminate: (_: State, reason: ExitReason, context: DurableOwn) => {
        const { snapshot } = of(context)
        return snapshot && terminate(snapshot as never, reason, context as never)
      },
    }),
  }
  return found as unknown as DurableMachine<T, R, F, E>
}

/** The type of the event that a message brings, and the actor inside that sent it. */
const eventOf = (message: string, payload: Partial<EventObject & News>): string | undefined => {
  if (message === 'event') return payload.type
  // `onError` of `arrived` has other news.
  const { arrival } = message === 'arrived' ? payload : {}
  return arrival && `${arrival.event.type} of ${(arrival.source ?? arrival.target).id}`
}

type Asked = DurableOwn & Pick<CallContext, 'from'>

const handlersOf = (of: (context: DurableOwn) => DurableMachineProcess): object => ({
  casts: {
    event: (state: State, event: unknown, context: DurableOwn) =>
      of(context).take(state, unasked(event)),
  },
  calls: {
    event: (state: State, event: unknown, context: Asked) =>
      of(context).take(state, { event: checkedEvent(event), from: context.from }),
    snapshot: (state: State, _: unknown, context: DurableOwn) => of(context).look(state),
    output: (state: State, _: unknown, context: DurableOwn) => of(context).output(state),
    waitFor: (state: State, _: unknown, context: Asked) => of(context).watch(state, context.from),
    subscribe: (state: State, _: unknown, context: Asked) => of(context).watch(state, context.from),
  },
  infos: {
    arrived: (state: State, news: never, context: DurableOwn) => of(context).arrived(state, news),
    failed: (state: State, failure: never, context: DurableOwn) =>
      of(context).failed(state, failure),
  },
  refused: {
    arrived: (state: State, refusal: never, context: DurableOwn) =>
      of(context).refused(state, refusal),
  },
  continues: {
    effects: (state: SavedMachine, turns: never, context: DurableOwn) =>
      of(context).effects(state, turns, 'effects'),
    nextEvent: (state: SavedMachine, turns: never, context: DurableOwn) =>
      of(context).effects(state, turns, 'nextEvent'),
  },
  triedOnce: {
    nextEvent: (state: SavedMachine, failed: FailedStep, context: DurableOwn) =>
      of(context).dropped(state, failed),
  },
  alarms: {
    timer: (state: State, dueAt: number, context: DurableOwn) => of(context).due(state, dueAt),
    children: (state: State, ms: number, context: DurableOwn) => of(context).guard(state, ms),
  },
})

/**
 * The shape of `machine` and of the machines that it can start, as a short text: a saved state fits a
 * machine of the same shape. A machine with other states, targets, guards, delays or actors inside
 * has another shape. Its actions are not part of it.
 */
export const shapeOf = (machine: AnyStateMachine): string => {
  const seen = new Set<AnyStateMachine>()
  const texts: string[] = []
  const add = (found: AnyStateMachine): void => {
    if (seen.has(found)) return
    seen.add(found)
    texts.push(plainJson(nodesOf(found).map(nodeShape)))
    for (const [name, actor] of Object.entries(found.implementations.actors)) {
      texts.push(name)
      if (isMachine(actor)) add(actor)
    }
    for (const logic of inlineLogic(found)) if (isMachine(logic)) add(logic)
  }
  add(machine)
  return checksum(texts.join('\n')).toString(16).padStart(8, '0')
}

const nodeShape = (node: AnyStateNode): unknown => [
  node.id,
  node.type,
  node.history,
  node.config.initial === undefined ? [] : targets(node.initial),
  [...node.transitions].map(([type, list]) => [type, list.map(transitionShape)]),
  (node.always ?? []).map(transitionShape),
  node.invoke.map(({ id, src }) => [id, String(src)]),
]

const transitionShape = (found: AnyTransitionDefinition): unknown => [
  targets(found),
  nameOf(found.guard),
  found.reenter,
]

const targets = ({ target }: { readonly target?: readonly AnyStateNode[] | undefined }): unknown =>
  target?.map(({ id }) => id)

/** A guard by its name. One without a name is only there. */
const nameOf = (guard: unknown): unknown => {
  if (guard === undefined || typeof guard === 'string') return guard
  const isThing = typeof guard === 'object' || typeof guard === 'function'
  const isNamed = isThing && guard !== null && 'type' in guard
  return isNamed && typeof guard.type === 'string' ? guard.type : 'inline'
}
