/**
 * Tasks under a supervisor, as OTP's `Task.Supervisor`: a dynamic supervisor whose children are functions. It ends its
 * tasks when it ends, and says how many run. Whoever awaits a task owns it none the less.
 */
import { KeelsonError } from '../../errors.ts'
import { call, madeThrough } from '../process/messaging.ts'
import type { Process } from '../process/process.ts'
import { processOf } from '../process/process.ts'
import type { Shutdown } from '../process/shutdown.ts'
import { Wait } from '../process/wait.ts'
import type { Context, System, Target } from '../server/gen-server.ts'
import type { StartResult } from '../server/start-options.ts'
import { type ChildContext, type ChildSpec, expectKnown } from '../supervision/child-spec.ts'
import {
  type DynamicSupervisorMessages,
  type DynamicSupervisorOptions,
  dynamicSupervisor,
  startDynamicChild,
  startDynamicSupervisor,
  terminateDynamicChild,
} from '../supervision/dynamic-supervisor.ts'
import type { Restart } from '../supervision/restart-policy.ts'
import type { ChildInfo } from '../supervision/supervised-children.ts'
import type { Ref } from '../words/address.ts'
import {
  type OwnedTask,
  startOwned,
  type Task,
  type TaskContext,
  type TaskFunction,
} from './owned-task.ts'
import { taskEnded } from './task-gathering.ts'

/** What a task supervisor understands: what a dynamic supervisor does. */
export type TaskSupervisorMessages = DynamicSupervisorMessages

/** How a task supervisor treats its tasks, and is itself treated as a child; `maxChildren` bounds the tasks that run. */
export type TaskSupervisorOptions = DynamicSupervisorOptions

/** How a task is a child. */
export interface TaskChildOptions {
  /** `temporary` by default: it is not run again. A `transient` one is run until it ends in order. */
  readonly restart?: Restart | undefined
  /** 5,000 ms by default. */
  readonly shutdown?: Shutdown | undefined
  /** How logs and the tree name it. */
  readonly label?: string | undefined
}

/** A task supervisor as a child of another supervisor. Throws `CONFIG` with `details.path`. */
export const taskSupervisor = (id: string, options: TaskSupervisorOptions = {}): ChildSpec =>
  dynamicSupervisor(id, options)

/** Starts one: under nobody when given a System, linked when given a context. */
export const startTaskSupervisor = (
  where: System | Context,
  options: TaskSupervisorOptions = {},
): Promise<Ref<TaskSupervisorMessages>> => startDynamicSupervisor(where, options)

/** A task as a child of a supervisor that is written down. Nobody is sent what it returns. Throws `CONFIG` with `details.path`. */
export const taskChild = (
  id: string,
  run: (context: TaskContext) => unknown,
  options: TaskChildOptions = {},
): ChildSpec => {
  expectKnown(id, options, taskChildKeys)
  const { restart = 'temporary', shutdown, label = id } = options
  return {
    id,
    restart,
    shutdown,
    start: (context) => ({ ok: true, ref: context.spawnLink(run, { kind: 'task', label }) }),
  }
}

const taskChildKeys = new Set(['restart', 'shutdown', 'label'])

/** Starts `run` under a task supervisor; nobody is sent what it returns. Full: `'max_children'` is the reason. */
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
 * Starts a task of this process under `supervisor`, linked to both. Rejects with `EXITED` (`details.reason` is
 * `'max_children'` when it is full) or `NO_PROCESS`.
 */
const async = <R>(
  context: TaskOwner,
  supervisor: Target<TaskSupervisorMessages>,
  run: TaskFunction<R>,
): Promise<Task<Awaited<R>>> => startSupervised(context, supervisor, run, true)

/** The same without a link to this process: a crash of the task is only news to it, and its own end spares the task. */
const asyncNolink = <R>(
  context: TaskOwner,
  supervisor: Target<TaskSupervisorMessages>,
  run: TaskFunction<R>,
): Promise<Task<Awaited<R>>> => startSupervised(context, supervisor, run, false)

/** The tasks that run. */
const children = (supervisor: Ref<TaskSupervisorMessages>): Promise<Ref[]> =>
  madeThrough(supervisor, call(supervisor, 'whichChildren').then(refsOf))

const refsOf = (listed: readonly ChildInfo[]): Ref[] => listed.flatMap(({ ref }) => ref ?? [])

/** Functions of task supervisors, OTP's `Task.Supervisor`. */
export const TaskSupervisor = {
  async,
  asyncNolink,
  startChild,
  children,
  terminateChild: terminateDynamicChild,
} as const

/** The context of whoever is to own a task. */
export type TaskOwner = Context

/**
 * Starts something under a task supervisor with `start`, which runs in the supervisor and may refuse by answering
 * nothing. Rejects with `EXITED` when the supervisor refuses.
 */
export const startUnder = async (
  owner: TaskOwner,
  supervisor: Target<TaskSupervisorMessages>,
  start: (context: ChildContext) => Ref | undefined,
): Promise<void> => {
  const result = await startDynamicChild(owner.to(supervisor), {
    id: 'task',
    restart: 'temporary',
    start: (context) => {
      const ref = start(context)
      return ref === undefined ? { ignore: true } : { ok: true, ref }
    },
  })
  if (result.ok === false && result.ignore === undefined) throw taskEnded(result.reason)
}

const startSupervised = <R>(
  context: TaskOwner,
  supervisor: Target<TaskSupervisorMessages>,
  run: TaskFunction<R>,
  isLinked: boolean,
): Promise<OwnedTask<Awaited<R>>> => {
  const owner = processOf(context)
  const wait = new Wait<OwnedTask<Awaited<R>>>(owner)
  let task: OwnedTask<Awaited<R>> | undefined
  // It begins when its owner has it, who goes on first (in Elixir, the owner sends it what to run).
  let begin = (): void => undefined
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  const runOnceBegun: TaskFunction<R> = (child) =>
    begun.then(() => (task?.process?.alive ? run(child) : undefined)) as R
  startUnder(context, supervisor, (child) => {
    if (!owner.alive) return undefined
    task = startOwned(owner, (body) => child.spawnLink(body, { kind: 'task' }), runOnceBegun)
    linkTo(owner, isLinked ? task.process : undefined)
    return task.ref
  }).then(
    () => {
      if (task === undefined) wait.reject(notStarted(owner))
      else wait.resolve(task)
      begin()
    },
    (error: unknown) => wait.reject(error),
  )
  return wait.promise
}

const linkTo = (owner: Process, process: Process | undefined): void => {
  if (process !== undefined) owner.link(process)
}

const notStarted = (owner: Process): KeelsonError =>
  new KeelsonError('EXITED', 'the owner of the task has ended', {
    details: { reason: owner.reason },
  })
