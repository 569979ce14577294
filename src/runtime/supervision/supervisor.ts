/**
 * Supervisors: processes that start others and restart them. A tree is one literal of `supervisor`
 * and `worker`. Children start in order and end in reverse order. Strategies, intensity, restart
 * types, significant children and the shapes of failures are OTP's.
 */
import { config, functionOf, membersOf, oneOf, optional, or, readOptions } from '../../check.ts'
import { KeelsonError } from '../../errors.ts'
import type { Via } from '../names/via.ts'
import { guarded } from '../process/guarded.ts'
import { call } from '../process/messaging.ts'
import type { Process, StartGate } from '../process/process.ts'
import type { Shutdown } from '../process/shutdown.ts'
import type { AnyContext, System } from '../server/gen-server.ts'
import { refOf, type StartResult } from '../server/start-options.ts'
import { addressOf, type Name, type Ref } from '../words/address.ts'
import {
  type ChildContext,
  type ChildSpec,
  checked,
  expectStartable,
  fullSpec,
  intensityOptions,
  supervisorStart,
} from './child-spec.ts'
import { orphanGone } from './orphans.ts'
import type { AutoShutdown, RestartOption, Strategy } from './restart-policy.ts'
import type { ChildCount, ChildInfo } from './supervised-children.ts'
import {
  type ChildResult,
  type SupervisorArgument,
  type SupervisorMessages,
  supervisorServer,
} from './supervisor-server.ts'

/** The options of a supervisor, also as a child. */
export interface SupervisorOptions {
  readonly strategy: Strategy
  /**
   * The most restarts within `periodMs`; one more ends the supervisor with `shutdown`. 3 by
   * default.
   */
  readonly intensity?: number | undefined
  /** 5,000 by default. */
  readonly periodMs?: number | undefined
  /** `never` by default. */
  readonly autoShutdown?: AutoShutdown | undefined
  readonly name?: Name | Via | undefined
  /** `context.app` of all processes below. */
  readonly app?: unknown
  /** The instance of all processes below, in telemetry. */
  readonly instance?: string | undefined
  /** The gate at which this supervisor and all children below it wait before each start. */
  readonly startGate?: StartGate | undefined
  readonly restart?: RestartOption | undefined
  readonly shutdown?: Shutdown | undefined
  readonly significant?: boolean | undefined
}

/**
 * A supervisor with its children, as a child of another or for `startSupervisor`. Throws `CONFIG`
 * with `details.path` when its own options are wrong. Children that do not fit together are refused
 * when it starts, as in OTP: it ends with `['start_spec', reason]` and has started none.
 */
export const supervisor = (
  id: string,
  given: SupervisorOptions,
  children: readonly ChildSpec[],
): ChildSpec<SupervisorMessages> => {
  const options = readOptions(given, knownOptions, config(id))
  const argument = argumentOf(id, options, children)
  const { name, restart, shutdown, significant, instance, startGate } = options
  expectStartable(id, { name, instance })
  const start = supervisorStart(id, supervisorServer, argument, 'supervisor', options)
  const spec = { id, start, restart, shutdown, significant, startGate, children }
  return checked({ ...spec, kind: 'supervisor' })
}

/**
 * Starts a tree: without a parent for a System, linked for a context. Resolves when the whole tree
 * has started. If a part fails, it rejects with `EXITED`, and no part of it runs. `details.path` has
 * the ids from the root to that part, and the message its reason, which is the `cause` if it is an
 * Error. `details.reason` is OTP's: `['shutdown', ['failed_to_start_child', id, reason]]`.
 */
export const startSupervisor = (
  where: System | AnyContext,
  spec: ChildSpec,
): Promise<Ref<SupervisorMessages>> =>
  madeAt(
    where,
    started(where, () => spec),
  )

/** Starts the specification that `specify` returns at `where`. A throw is a rejection. */
export const started = async <M>(
  where: System | AnyContext,
  specify: () => ChildSpec,
): Promise<Ref<M>> => {
  const spec = checked(specify())
  const result = await spec.start(starterOf(where))
  if (!result.ok && (await orphanGone(result, fullSpec(spec).shutdown)))
    return started(where, specify)
  const ref = refOf(result, spec.id) as Ref<M>
  const process = addressOf<Process>(ref).resolve()
  process?.kernel.names.parts.hold(spec, process)
  return ref
}

/** The promise of an operation at `where`: guarded if a process began it, as it is otherwise. */
export const madeAt = <T>(where: System | AnyContext, promise: Promise<T>): Promise<T> =>
  isContext(where) ? guarded(promise) : promise

const isContext = (where: System | AnyContext): where is AnyContext =>
  typeof where === 'object' && where !== null && 'startLinkResult' in where

/**
 * Adds a child, started last. A failure is `[reason, spec]`, `'already_present'` or
 * `['already_started', ref]`; for a wrong specification its fault, such as `['bad_combination',
 * [['auto_shutdown', 'never'], ['significant', true]]]`.
 */
export const startChild = <M, S>(
  supervisor: Ref<SupervisorMessages>,
  spec: ChildSpec<M, S>,
): Promise<StartResult<M, S>> =>
  call(supervisor, 'startChild', spec, patiently) as Promise<StartResult<M, S>>

/**
 * Ends a child without restarting it. A temporary child is forgotten; any other keeps its place.
 */
export const terminateChild = (
  supervisor: Ref<SupervisorMessages>,
  id: string,
): Promise<ChildResult> => call(supervisor, 'terminateChild', id, patiently)

/**
 * Starts a child that is not running. A failure is the reason of its start, `'running'`,
 * `'restarting'` or `'not_found'`.
 */
export const restartChild = (
  supervisor: Ref<SupervisorMessages>,
  id: string,
): Promise<StartResult<unknown>> => call(supervisor, 'restartChild', id, patiently)

/** Forgets a child that is not running. */
export const deleteChild = (
  supervisor: Ref<SupervisorMessages>,
  id: string,
): Promise<ChildResult> => call(supervisor, 'deleteChild', id, patiently)

/** Information that every supervisor gives about its children. */
type Listing = { calls: { whichChildren: () => ChildInfo[]; countChildren: () => ChildCount } }

/** The children, newest first (of a dynamic supervisor: oldest first). */
export const whichChildren = (supervisor: Ref<Listing>): Promise<ChildInfo[]> =>
  call(supervisor, 'whichChildren', undefined, patiently)

/** The number of children. */
export const countChildren = (supervisor: Ref<Listing>): Promise<ChildCount> =>
  call(supervisor, 'countChildren', undefined, patiently)

/**
 * A supervisor may be busy as long as its children take to start and end. OTP waits without limit,
 * too.
 */
export const patiently = { timeoutMs: Number.POSITIVE_INFINITY }

/** The starter of `where`. Throws `INVALID_ARGUMENT` for anything but a System or a context. */
const starterOf = (where: System | AnyContext): ChildContext => {
  if (isContext(where)) return where
  if (typeof where === 'object' && where !== null && 'startResult' in where) return outside(where)
  throw new KeelsonError('INVALID_ARGUMENT', 'where to start: expected a System or a context')
}

/** The starter of processes without a supervisor. */
const outside = (system: System): ChildContext => ({
  system,
  app: undefined,
  startLinkResult: system.startResult.bind(system),
  spawnLink: system.spawn.bind(system),
})

const knownOptions = [
  'strategy',
  'intensity',
  'periodMs',
  'autoShutdown',
  'name',
  'app',
  'instance',
  'startGate',
  'restart',
  'shutdown',
  'significant',
]

const argumentOptions = membersOf({
  strategy: oneOf('one_for_one', 'one_for_all', 'rest_for_one'),
  autoShutdown: or(oneOf('never', 'any_significant', 'all_significant'), 'never'),
  startGate: optional(functionOf<StartGate>()),
  ...intensityOptions,
})

const argumentOf = (
  id: string,
  options: SupervisorOptions,
  children: readonly ChildSpec[],
): SupervisorArgument => {
  const { startGate, ...argument } = argumentOptions(options, config(id))
  return { ...argument, children }
}
