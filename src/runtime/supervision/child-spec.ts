/**
 * Child specifications: how a supervisor starts, restarts and ends a child. They are data, so a
 * whole tree is one literal, and wrong data is refused where it is written.
 */
import { config, or, readOptions, wholeFrom } from '../../check.ts'
import { configError, isKeelsonError, KeelsonError } from '../../errors.ts'
import { partOf } from '../names/parts.ts'
import type { StartGate } from '../process/process.ts'
import { type Shutdown, shutdownMsDefault } from '../process/shutdown.ts'
import type { AnyContext, GenServer, System } from '../server/gen-server.ts'
import { readStartOptions, startKeys } from '../server/start-check.ts'
import type { StartOptions, StartResult } from '../server/start-options.ts'
import type { Messages, Part } from '../words/address.ts'
import { shapeFault } from './child-fault.ts'
import { type Backoff, type Restart, type RestartOption, restartPlan } from './restart-policy.ts'

/**
 * The context of a start function. It starts the child with `startLinkResult` or `spawnLink`, or
 * returns `{ ignore: true }`.
 */
export type ChildContext = Pick<AnyContext, 'startLinkResult' | 'spawnLink' | 'app'> & {
  readonly system: System
}

/**
 * A child of a supervisor. `worker` and `supervisor` make one, and so does a literal with its own
 * start function. `M` and `S`: the messages and the state of its process.
 */
export interface ChildSpec<M = unknown, S = unknown> extends Part<M, S> {
  readonly start: (context: ChildContext) => StartResult<M, S> | Promise<StartResult<M, S>>
  /** `permanent` by default. */
  readonly restart?: RestartOption | undefined
  /** 5,000 ms for workers, `infinity` for supervisors by default. */
  readonly shutdown?: Shutdown | undefined
  /** Its end may end the supervisor (`autoShutdown`). Not with `permanent`. */
  readonly significant?: boolean | undefined
  /** `worker` by default. */
  readonly kind?: 'worker' | 'supervisor' | undefined
  /** The gate at which it waits before each start. By default that of its supervisor's children. */
  readonly startGate?: StartGate | undefined
  /** The children of a supervisor, for views. Its start does not read them here. */
  readonly children?: readonly ChildSpec[] | undefined
}

/** The options of a worker. */
export interface WorkerOptions<M = unknown> extends StartOptions<M> {
  readonly restart?: RestartOption | undefined
  readonly shutdown?: Shutdown | undefined
  /** The same as `shutdown` with a number. */
  readonly shutdownMs?: number | undefined
  readonly significant?: boolean | undefined
}

/**
 * The specification of a server as a child. Its argument, name and options are checked against the
 * server's types. Throws `CONFIG` with `details.path` for wrong options.
 */
export const worker = <M extends Messages, S, A, P>(
  id: string,
  server: GenServer<M, S, A, P>,
  ...[arg, options = {}]: [A] extends [undefined]
    ? [arg?: A, options?: WorkerOptions<M>]
    : [arg: A, options?: WorkerOptions<M>]
): ChildSpec<M, S> => {
  const read: WorkerOptions<M> = readOptions(options, workerKeys, config(id))
  const { restart, shutdown, shutdownMs, significant, ...start } = read
  expectStartable(id, start)
  const started = { label: String(start.name ?? id), ...start }
  const launch = (context: ChildContext): Promise<StartResult<M, S>> =>
    context.startLinkResult(server as GenServer<M, S, unknown, P>, arg, started)
  return checked({ id, start: launch, restart, shutdown: shutdown ?? shutdownMs, significant })
}

/** The start of a supervisor. None of its messages may be refused: they decide about processes. */
export const supervisorStart = <M extends Messages, S, A, P>(
  id: string,
  server: GenServer<M, S, A, P>,
  argument: A,
  kind: string,
  options: Pick<StartOptions, 'name' | 'app' | 'instance' | 'startGate'>,
) => {
  const { name, instance, startGate } = options
  const started = {
    name: name as StartOptions<M>['name'],
    label: String(name ?? id),
    kind,
    mailboxMax: Number.POSITIVE_INFINITY,
    instance,
    startGate,
    ...('app' in options && { app: options.app }),
  }
  return (context: ChildContext): Promise<StartResult<M, S>> =>
    context.startLinkResult(server as GenServer<M, S, unknown, P>, argument, started)
}

const workerKeys = [...startKeys, 'restart', 'shutdown', 'shutdownMs', 'significant']

/** A specification with all defaults. */
export type FullChildSpec = {
  readonly [K in 'id' | 'start' | 'shutdown' | 'significant' | 'kind']-?: Exclude<
    ChildSpec[K],
    undefined
  >
} & {
  readonly restart: Restart
  readonly backoff: Backoff | undefined
  readonly startGate: StartGate | undefined
  /** The identity of the part that it is made from. */
  readonly part: object
}

/** The specification with OTP's defaults. `childFault` has checked it. */
export const fullSpec = (spec: ChildSpec): FullChildSpec => {
  const { id, start, significant = false, kind = 'worker', startGate } = spec
  const { type: restart, backoff } = restartPlan(spec.restart)
  const shutdown = spec.shutdown ?? (kind === 'supervisor' ? 'infinity' : shutdownMsDefault)
  const part = partOf(spec)
  return { id, start, restart, backoff, significant, kind, shutdown, startGate, part }
}

/**
 * The specification itself, after a check of its shape. Throws `CONFIG` with `details.path`. The
 * supervisor checks at its start whether it fits its siblings and the supervisor.
 */
export const checked = <T extends ChildSpec>(spec: T): T => {
  const fault = shapeFault(spec)
  if (fault === undefined) return spec
  const path = fault.field === 'id' ? 'id' : `${spec.id}.${fault.field}`
  throw configError(path, fault.expected, fault.found)
}

/** How many restarts a supervisor allows in which time, with OTP's defaults. */
export const intensityOptions = {
  intensity: or(wholeFrom(0), 3),
  periodMs: or(wholeFrom(1), 5_000),
}

/** Throws `CONFIG` unless a start with `options` would be accepted. */
export const expectStartable = (path: string, options: object): void => {
  try {
    readStartOptions(options)
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    const { path: key, ...details } = error.details
    throw new KeelsonError('CONFIG', `${path}: ${error.message}`, {
      details: { ...details, path: key === undefined ? path : `${path}.${key}` },
    })
  }
}
