/**
 * Tasks, as OTP's `Task`: one function in a separate process, for one value. `async` links the task
 * to its owner, the process that starts it, and the owner monitors it. The owner awaits the value
 * or gets it as a message. Crashes, timeouts and shutdowns have the same effect on an owner as in
 * OTP.
 */

import { argument, readOptions } from '../../check.ts'
import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { refused } from '../process/guarded.ts'
import type { Process } from '../process/process.ts'
import { processOf } from '../process/process.ts'
import { Wait } from '../process/wait.ts'
import { isDelay, noDelay } from '../queues/timer-heap.ts'
import type { System, Target } from '../server/gen-server.ts'
import type { SpawnOptions } from '../server/start-options.ts'
import type { Ref } from '../words/address.ts'
import { Monitor } from '../words/monitor.ts'
import {
  OwnedTask,
  ownedOf,
  startOwned,
  type TaskContext,
  type TaskFunction,
  type TaskOutcome,
  type Task as TaskType,
} from './owned-task.ts'
import { gatherOutcomes, gatherValues, type TaskWaitOptions, taskEnded } from './task-gathering.ts'
import { asyncStream } from './task-stream.ts'
import {
  startSupervised,
  type TaskOwner,
  type TaskSupervisorMessages,
  taskChild,
} from './task-supervisor.ts'

/** A task whose value is a `T`. */
export type Task<T = unknown> = TaskType<T>

/** The name of a task in logs and in the tree. */
export interface TaskOptions {
  readonly label?: string | undefined
}

/** The options of `Task.run`. */
export interface TaskRunOptions extends TaskOptions {
  /** Its supervisor; none by default. */
  readonly supervisor?: Target<TaskSupervisorMessages> | undefined
  /** It is killed after this many ms. 5,000 by default. */
  readonly timeoutMs?: number | undefined
}

/**
 * Starts `run` as a task of this process, linked to it: a crash of either ends the other, unless
 * that one traps exits. If the task is not awaited, its value arrives as the info `task` with a
 * `TaskValue`, and its end as a down message with its `monitor`. The mailbox never refuses them.
 */
const async = <R>(
  context: TaskOwner,
  run: TaskFunction<R>,
  options?: TaskOptions,
): Task<Awaited<R>> =>
  startOwned(processOf(context), (body) => context.spawnLink(body, asTask(options)), run)

/** The options of the process of a task. */
const asTask = (options: TaskOptions | undefined): SpawnOptions =>
  options === undefined
    ? task
    : { ...readOptions(options, taskKeys, argument('', 'a task')), ...task }

const task = { kind: 'task' } as const
const taskKeys = ['label']

/**
 * The value of a task of this process. Rejects with `EXITED` (`details.reason`: why it ended
 * without one, `'normal'` included) or `TIMEOUT`; the task is given up then: it continues, but
 * sends nothing. A value is taken once: a second `await` times out, as in OTP. `INVALID_ARGUMENT`:
 * it is awaited already, or the wait could never end.
 */
const awaitTask = <T>(task: Task<T>, options?: TaskWaitOptions): Promise<T> =>
  gatherValues([task], options, ([outcome]) => outcome?.value as T)

type Values<Tasks extends readonly Task[]> = {
  -readonly [K in keyof Tasks]: Tasks[K] extends Task<infer T> ? T : never
}

/**
 * The values of tasks of this process, in their order, within one limit. The first failure rejects,
 * as of `await`.
 */
const awaitMany = <const Tasks extends readonly Task[]>(
  tasks: Tasks,
  options?: TaskWaitOptions,
): Promise<Values<Tasks>> =>
  gatherValues(tasks, options, (outcomes) => outcomes.map((each) => each?.value) as Values<Tasks>)

/**
 * The outcome of a task of this process, or `undefined` when the time is over first; the task then
 * continues.
 */
const yieldTask = <T>(
  task: Task<T>,
  options?: TaskWaitOptions,
): Promise<TaskOutcome<T> | undefined> => gatherOutcomes([task], options, ([outcome]) => outcome)

type Outcomes<Tasks extends readonly Task[]> = {
  -readonly [K in keyof Tasks]: Tasks[K] extends Task<infer T> ? TaskOutcome<T> | undefined : never
}

/** The outcome of each of these tasks, in their order, when all have ended or the time is over. */
const yieldMany = <const Tasks extends readonly Task[]>(
  tasks: Tasks,
  options?: TaskWaitOptions,
): Promise<Outcomes<Tasks>> =>
  gatherOutcomes(tasks, options, (outcomes) => outcomes as Outcomes<Tasks>)

/**
 * Ends a task of this process without ending this process: asks it (`shutdown`) and kills it after
 * this many ms (5,000 by default), or kills it at once. Resolves with its outcome from before its
 * end; `undefined` when it ended as asked.
 */
const shutdown = <T>(
  task: Task<T>,
  how: 'brutal_kill' | number = 5_000,
): Promise<TaskOutcome<T> | undefined> => {
  let owned: OwnedTask<T>
  try {
    owned = ownedOf(task)
    if (how !== 'brutal_kill' && !isDelay(how)) throw noDelay('the time of a shutdown', how)
    return endTask(owned, runningOf(owned.process), how)
  } catch (error) {
    return refused(error)
  }
}

/**
 * Gives up a task of this process: it continues, unlinked, and sends nothing. Returns its outcome
 * so far.
 */
const ignore = <T>(task: Task<T>): TaskOutcome<T> | undefined => {
  const owned = ownedOf(task)
  const outcome = owned.take()
  if (owned.process !== undefined) owned.holder.unlink(owned.process)
  owned.forget()
  return outcome
}

/** A task that has its value already, where a task is expected. */
const completed = <T>(context: TaskOwner, value: T): Task<T> => {
  const task = new OwnedTask<T>(processOf(context), undefined)
  task.send(value)
  return task
}

/** Starts a task without an owner. Its value is dropped. */
const start = (
  where: TaskOwner | System,
  run: (context: TaskContext) => unknown,
  options?: TaskOptions,
): Ref => where.spawn(run, asTask(options))

/** Starts a task whose value is dropped, linked to this process. */
const startLink = (
  context: TaskOwner,
  run: (context: TaskContext) => unknown,
  options?: TaskOptions,
): Ref => context.spawnLink(run, asTask(options))

/**
 * Runs a function as a task for code outside of processes. Resolves with its value. Rejects as
 * `await` does; the task has ended then.
 */
const run = <R>(
  system: System,
  body: TaskFunction<R>,
  options: TaskRunOptions = noOptions,
): Promise<Awaited<R>> =>
  new Promise((resolve, reject) => {
    const { supervisor, timeoutMs, label } = readOptions(options, runKeys, argument('', 'Task.run'))
    // The owner is linked to the task and traps exits: the end of the owner ends the task, but not
    // the other way.
    const owner = system.spawn(async (context) => {
      context.trapExit(true)
      try {
        const task =
          supervisor === undefined
            ? async(context, body, { label })
            : await startSupervised(context, supervisor, body, { isLinked: true, label })
        resolve(await awaitOrKill(task, timeoutMs))
      } catch (error) {
        reject(error)
      }
    })
    system.monitor(owner, (reason) => reject(taskEnded(reason)))
  })

const runKeys = ['supervisor', 'timeoutMs', 'label']

/** Functions of tasks, OTP's `Task`. */
export const Task = {
  async,
  await: awaitTask,
  awaitMany,
  yield: yieldTask,
  yieldMany,
  shutdown,
  ignore,
  completed,
  start,
  startLink,
  childSpec: taskChild,
  asyncStream,
  run,
} as const

const awaitOrKill = async <T>(task: Task<T>, timeoutMs: number | undefined): Promise<T> => {
  try {
    return await awaitTask(task, { timeoutMs })
  } catch (error) {
    await shutdown(task, 'brutal_kill')
    throw error
  }
}

const runningOf = (process: Process | undefined): Process => {
  if (process !== undefined) return process
  throw new KeelsonError('INVALID_ARGUMENT', 'a completed task has no process to shut down')
}

const endTask = <T>(
  task: OwnedTask<T>,
  process: Process,
  how: 'brutal_kill' | number,
): Promise<TaskOutcome<T> | undefined> => {
  const owner = task.holder
  const wait = new Wait<TaskOutcome<T> | undefined>(owner)
  if (!owner.alive) return wait.promise
  const asked = how === 'brutal_kill' ? 'killed' : 'shutdown'
  const onEnd = (reason: unknown): void => {
    const outcome = task.take() ?? { ok: false, reason }
    wait.resolve(outcome.ok || outcome.reason !== asked ? outcome : undefined)
  }
  process.watchBy(new Monitor<Process>(undefined, process.address, onEnd))
  owner.unlink(process)
  const kill = (): void => process.signal(owner, 'kill', false)
  if (how !== 'brutal_kill') process.signal(owner, 'shutdown', false)
  if (how === 'brutal_kill' || how <= 0) kill()
  else wait.limit(how, kill)
  return wait.promise
}
