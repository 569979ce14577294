/**
 * Tasks, as OTP's `Task`: one function in a process of its own, for one value. A task started with `async` is linked to
 * the process that started it, its owner, and watched by it: the owner awaits the value, or is sent it. What crashes,
 * runs out of time or is shut down gives an owner here what it gives one in OTP.
 */
import { KeelsonError } from '../../errors.ts'
import { refused } from '../process/guarded.ts'
import { expectOptions } from '../process/known-options.ts'
import type { Process } from '../process/process.ts'
import { processOf } from '../process/process.ts'
import { Wait } from '../process/wait.ts'
import { isDelay, noDelay } from '../queues/timer-heap.ts'
import type { System, Target } from '../server/gen-server.ts'
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
  type TaskOwner,
  TaskSupervisor,
  type TaskSupervisorMessages,
  taskChild,
} from './task-supervisor.ts'

/** A task whose value is a `T`. */
export type Task<T = unknown> = TaskType<T>

/** How a task is named in logs and in the tree. */
export interface TaskOptions {
  readonly label?: string | undefined
}

/** How `Task.run` runs a function. */
export interface TaskRunOptions extends TaskOptions {
  /** Where it runs; under nobody by default. */
  readonly supervisor?: Target<TaskSupervisorMessages> | undefined
  /** After so many ms it is killed. 5,000 by default. */
  readonly timeoutMs?: number | undefined
}

/**
 * Starts `run` as a task of this process, linked to it: a crash of either ends the other, unless that one traps exits.
 * Unless somebody awaits it, the value comes as an info `task` with a `TaskValue`, and the end as a down message with
 * `monitor` of the task; both whatever the bound of the mailbox.
 */
const async = <R>(
  context: TaskOwner,
  run: TaskFunction<R>,
  options?: TaskOptions,
): Task<Awaited<R>> =>
  startOwned(
    processOf(context),
    (body) => context.spawnLink(body, { kind: 'task', ...options }),
    run,
  )

/**
 * The value of a task of this process. Rejects with `EXITED` (`details.reason`: why it ended without one, `'normal'` too)
 * or `TIMEOUT`; then the task is given up, and goes on, but sends nothing any more. A value is taken once: awaiting again
 * runs out of time, as in OTP. `INVALID_ARGUMENT`: somebody waits for it already, or forever for nothing.
 */
const awaitTask = <T>(task: Task<T>, options?: TaskWaitOptions): Promise<T> =>
  gatherValues([task], options, ([outcome]) => (outcome as TaskOutcome<T>).value as T)

type Values<Tasks extends readonly Task[]> = {
  -readonly [K in keyof Tasks]: Tasks[K] extends Task<infer T> ? T : never
}

/** The values of tasks of this process, in their order, within one limit. The first failure rejects, as of `await`. */
const awaitMany = <const Tasks extends readonly Task[]>(
  tasks: Tasks,
  options?: TaskWaitOptions,
): Promise<Values<Tasks>> =>
  gatherValues(tasks, options, (outcomes) => outcomes.map((each) => each?.value) as Values<Tasks>)

/** What came of a task of this process, or `undefined` when the time is over first; then the task goes on. */
const yieldTask = <T>(
  task: Task<T>,
  options?: TaskWaitOptions,
): Promise<TaskOutcome<T> | undefined> =>
  gatherOutcomes([task], options, ([outcome]) => outcome as TaskOutcome<T> | undefined)

type Outcomes<Tasks extends readonly Task[]> = {
  -readonly [K in keyof Tasks]: Tasks[K] extends Task<infer T> ? TaskOutcome<T> | undefined : never
}

/** What came of each of these tasks, in their order, when all have ended or the time is over. */
const yieldMany = <const Tasks extends readonly Task[]>(
  tasks: Tasks,
  options?: TaskWaitOptions,
): Promise<Outcomes<Tasks>> =>
  gatherOutcomes(tasks, options, (outcomes) => outcomes as unknown as Outcomes<Tasks>)

/**
 * Ends a task of this process and spares this process: asks it to (`shutdown`) and kills it after so many ms (5,000 by
 * default), or kills it at once. Answers what came of it before its end; `undefined` when it ended as it was asked to.
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

/** Gives a task of this process up: it goes on, unlinked, and sends nothing. Answers what had come of it by now. */
const ignore = <T>(task: Task<T>): TaskOutcome<T> | undefined => {
  const owned = ownedOf(task)
  const outcome = owned.take()
  if (owned.process !== undefined) owned.holder.unlink(owned.process)
  owned.forget()
  return outcome
}

/** A task that has its value already, for where a task is asked for. */
const completed = <T>(context: TaskOwner, value: T): Task<T> => {
  const task = new OwnedTask<T>(processOf(context), undefined)
  task.send(value)
  return task
}

/** Starts a task that nobody waits for, and that belongs to nobody. */
const start = (
  where: TaskOwner | System,
  run: (context: TaskContext) => unknown,
  options?: TaskOptions,
): Ref => where.spawn(run, { kind: 'task', ...options })

/** Starts a task that nobody waits for, linked to this process. */
const startLink = (
  context: TaskOwner,
  run: (context: TaskContext) => unknown,
  options?: TaskOptions,
): Ref => context.spawnLink(run, { kind: 'task', ...options })

/**
 * Runs a function as a task for code outside of processes. Resolves with its value; rejects as `await` does, and then
 * nothing of it runs any more.
 */
const run = <R>(
  system: System,
  body: TaskFunction<R>,
  options: TaskRunOptions = {},
): Promise<Awaited<R>> =>
  new Promise((resolve, reject) => {
    expectOptions('Task.run', options, runKeys)
    const { supervisor, timeoutMs, label } = options
    // The owner is linked to the task and traps exits: whatever ends the owner ends the task, but not the other way.
    const owner = system.spawn(async (context) => {
      context.trapExit(true)
      try {
        const task =
          supervisor === undefined
            ? async(context, body, { label })
            : await TaskSupervisor.async(context, supervisor, body)
        resolve(await awaitOrKill(task, timeoutMs))
      } catch (error) {
        reject(error)
      }
    })
    system.monitor(owner, (reason) => reject(taskEnded(reason)))
  })

const runKeys = new Set(['supervisor', 'timeoutMs', 'label'])

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
  process.signal(owner, how === 'brutal_kill' ? 'kill' : 'shutdown', false)
  if (how !== 'brutal_kill') wait.limit(how, () => process.signal(owner, 'kill', false))
  return wait.promise
}
