/**
 * Tasks under a supervisor, as OTP's `Task.Supervisor`: a dynamic supervisor whose children are
 * functions. It ends its tasks when it ends, and counts them. A task that is awaited still has its
 * owner.
 */

import { config, noMore, readOptions } from '../../check.ts'
import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { call, madeThrough } from '../process/messaging.ts'
import type { Process } from '../process/process.ts'
import { expectOf, processOf } from '../process/process.ts'
import type { Shutdown } from '../process/shutdown.ts'
import { Wait } from '../process/wait.ts'
import type { AnyContext, System, Target } from '../server/gen-server.ts'
import type { StartResult } from '../server/start-options.ts'
import type { ChildContext, ChildSpec } from '../supervision/child-spec.ts'
import {
  type DynamicSupervisorMessages,
  type DynamicSupervisorOptions,
  dynamicSupervisor,
  startAlone,
  startDynamicChild,
  terminateDynamicChild,
} from '../supervision/dynamic-supervisor.ts'
import type { RestartOption } from '../supervision/restart-policy.ts'
import type { ChildInfo } from '../supervision/supervised-children.ts'
import { addressOf, type Ref } from '../words/address.ts'
import { endOf, reasonDetails } from '../words/exit-reason.ts'
import {
  type OwnedTask,
  startOwned,
  type Task,
  type TaskContext,
  type TaskFunction,
} from './owned-task.ts'
import { taskEnded } from './task-gathering.ts'

/** The messages of a task supervisor: those of a dynamic supervisor. */
export type TaskSupervisorMessages = DynamicSupervisorMessages

/** The options of a task supervisor, also as a child. `maxChildren` bounds the running tasks. */
export type TaskSupervisorOptions = DynamicSupervisorOptions

/** The options of a task as a child. */
export interface TaskChildOptions {
  /**
   * `temporary` by default: it is not run again. A `transient` task runs again until it ends in
   * order.
   */
  readonly restart?: RestartOption | undefined
  /** 5,000 ms by default. */
  readonly shutdown?: Shutdown | undefined
  /** Its name in logs and in the tree. */
  readonly label?: string | undefined
}

/** A task supervisor as a child of another supervisor. Throws `CONFIG` with `details.path`. */
export const taskSupervisor = (
  id: string,
  options: TaskSupervisorOptions = noOptions,
  ...surplus: []
): ChildSpec<TaskSupervisorMessages> => {
  noMore(surplus, 'taskSupervisor(id, { name, … })')
  return dynamicSupervisor(id, options)
}

/** Starts one: without a parent for a System, linked for a context. */
export const startTaskSupervisor = (
  where: System | AnyContext,
  options: TaskSupervisorOptions = noOptions,
  ...surplus: []
): Promise<Ref<TaskSupervisorMessages>> =>
  startAlone(where, options, surplus, 'startTaskSupervisor(where, { name, … })')

/**
 * A task as a child in a specification. Its return value is dropped. Throws `CONFIG` with
 * `details.path`.
 */
export const taskChild = (
  id: string,
  run: (context: TaskContext) => unknown,
  options: TaskChildOptions = noOptions,
  ...surplus: []
): ChildSpec => {
  noMore(surplus, 'Task.childSpec(id, run, { restart, … })')
  const {
    restart = 'temporary',
    shutdown,
    label = id,
  } = readOptions(options, taskChildKeys, config(id))
  return {
    id,
    restart,
    shutdown,
    start: (context) => ({ ok: true, ref: context.spawnLink(run, { kind: 'task', label }) }),
  }
}

const taskChildKeys = ['restart', 'shutdown', 'label']

/**
 * Starts `run` under a task supervisor. Its return value is dropped. If the supervisor is full, the
 * reason is `'max_children'`.
 */
const startChild = (
  supervisor: Ref<TaskSupervisorMessages>,
  run: (context: TaskContext) => unknown,
  options?: TaskChildOptions,
): Promise<StartResult> => madeThrough(supervisor, startedChild(supervisor, run, options))

const startedChild = async (
  supervisor: Ref<TaskSupervisorMessages>,
  run: (context: TaskContext) => unknown,
  options: TaskChildOptions | undefined,
): Promise<StartResult> => startDynamicChild(supervisor, taskChild('task', run, options))

/**
 * Starts a task of this process under `supervisor`, linked to both. Rejects with `EXITED`
 * (`details.reason` is `'max_children'` when it is full) or `NO_PROCESS`.
 */
const async = <R>(
  context: TaskOwner,
  supervisor: Target<TaskSupervisorMessages>,
  run: TaskFunction<R>,
): Promise<Task<Awaited<R>>> => startSupervised(context, supervisor, run, { isLinked: true })

/**
 * The same without a link to this process: neither ends with the other. A crash of the task is its
 * outcome.
 */
const asyncNolink = <R>(
  context: TaskOwner,
  supervisor: Target<TaskSupervisorMessages>,
  run: TaskFunction<R>,
): Promise<Task<Awaited<R>>> => startSupervised(context, supervisor, run, { isLinked: false })

/** The running tasks. */
const children = (supervisor: Ref<TaskSupervisorMessages>): Promise<Ref[]> =>
  madeThrough(supervisor, call(supervisor, 'whichChildren').then(refsOf))

const refsOf = (listed: readonly ChildInfo[]): Ref[] =>
  listed.flatMap(({ ref, status }) => (ref && status === 'running' ? ref : []))

/** Functions of task supervisors, OTP's `Task.Supervisor`. */
export const TaskSupervisor = {
  async,
  asyncNolink,
  startChild,
  children,
  terminateChild: terminateDynamicChild,
} as const

/** The context of the owner of a task. */
export type TaskOwner = AnyContext

/**
 * Runs `start` in a task supervisor. It may refuse by returning nothing. Rejects with `EXITED` when
 * the supervisor refuses.
 */
export const startUnder = async (
  owner: TaskOwner,
  supervisor: Target<TaskSupervisorMessages>,
  start: (context: ChildContext) => Ref | undefined,
): Promise<void> => {
  const ref = owner.to(supervisor)
  const process = addressOf<Process>(ref).resolve()
  if (process !== undefined) expectOf(processOf(owner).kernel, process)
  const result = await startDynamicChild(ref, {
    id: 'task',
    restart: 'temporary',
    start: (context) => {
      const ref = start(context)
      return ref === undefined ? { ignore: true } : { ok: true, ref }
    },
  })
  if (result.ok === false && result.ignore === undefined) throw taskEnded(result.reason)
}

/** Starts a task of this process under `supervisor`, and links the two if asked to. */
export const startSupervised = <R>(
  context: TaskOwner,
  supervisor: Target<TaskSupervisorMessages>,
  run: TaskFunction<R>,
  { isLinked, label }: { readonly isLinked: boolean; readonly label?: string | undefined },
): Promise<OwnedTask<Awaited<R>>> => {
  const owner = processOf(context)
  const wait = new Wait<OwnedTask<Awaited<R>>>(owner)
  let task: OwnedTask<Awaited<R>> | undefined
  // It begins when its owner has it, and the owner runs first (in Elixir, the owner sends the
  // function).
  let begin = (): void => undefined
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  const runOnceBegun: TaskFunction<R> = (child) =>
    begun.then(() => (task?.process?.alive ? run(child) : undefined)) as R
  startUnder(context, supervisor, (child) => {
    if (!owner.alive) return undefined
    task = startOwned(owner, (body) => child.spawnLink(body, { kind: 'task', label }), runOnceBegun)
    if (isLinked && task.process !== undefined) owner.link(task.process)
    return task.ref
  }).then(
    () => {
      if (task === undefined) wait.reject(notStarted(owner))
      else wait.resolve(task)
      begin()
    },
    (error: unknown) => {
      // If its owner ended, it would wait for its begin for ever.
      task?.process?.end(['shutdown', owner.reason])
      wait.reject(error)
    },
  )
  return wait.promise
}

const notStarted = (owner: Process): KeelsonError =>
  new KeelsonError('EXITED', 'the owner of the task has ended', {
    details: reasonDetails(endOf(owner)),
  })
