/**
 * Waiting for one or many tasks within one time limit. `await` needs all values, and gives the
 * tasks up when one fails or the time is over. `yield` returns the values there are, and the tasks
 * continue. Each wait settles once.
 */

import { argument, readOptions } from '../../check.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { refused } from '../process/guarded.ts'
import { Wait } from '../process/wait.ts'
import { isDelay, noDelay } from '../queues/timer-heap.ts'
import { causeOf, describeReason, type ExitReason } from '../words/exit-reason.ts'
import { type OwnedTask, ownedOf, type Task, type TaskOutcome } from './owned-task.ts'

/** The time limit of a wait for tasks. */
export interface TaskWaitOptions {
  /** Milliseconds; 5,000 by default, 0 only reads, `Infinity` sets no limit. */
  readonly timeoutMs?: number | undefined
}

const timeoutMsDefault = 5_000
const waitKeys = ['timeoutMs']

/** The outcomes in the order of the tasks; `undefined` for a task without one in time. */
type Outcomes<T> = readonly (TaskOutcome<T> | undefined)[]

/**
 * All values, made by `finish` from the outcomes. Rejects with `EXITED` or `TIMEOUT`, and then
 * gives all tasks up.
 */
export const gatherValues = <T, R>(
  tasks: readonly Task<T>[],
  options: TaskWaitOptions | undefined,
  finish: (outcomes: Outcomes<T>) => R,
): Promise<R> =>
  gather(tasks, options, finish, (pending, finished, wait, timeoutMs) => {
    const giveUp = (error: KeelsonError): void => {
      for (const task of pending.keys()) task.forget()
      wait.reject(error)
    }
    return {
      onOutcome: (outcome) => {
        if (!outcome.ok) giveUp(taskEnded(outcome.reason))
        else if (pending.size === 0) wait.resolve(finished())
      },
      onTimeout: () => giveUp(taskLate(timeoutMs)),
    }
  })

/**
 * The outcomes when all have ended or the time is over, passed through `finish`. Other tasks
 * continue.
 */
export const gatherOutcomes = <T, R>(
  tasks: readonly Task<T>[],
  options: TaskWaitOptions | undefined,
  finish: (outcomes: Outcomes<T>) => R,
): Promise<R> =>
  gather(tasks, options, finish, (pending, finished, wait) => ({
    onOutcome: () => {
      if (pending.size === 0) wait.resolve(finished())
    },
    onTimeout: () => {
      for (const task of pending.keys()) task.release()
      wait.resolve(finished())
    },
  }))

/** The error of waiting for a task that ended without a value. */
export const taskEnded = (reason: ExitReason): KeelsonError =>
  new KeelsonError('EXITED', `the task ended: ${describeReason(reason)}`, {
    details: { reason },
    ...causeOf(reason),
  })

/** The error of waiting for a task longer than allowed. */
export const taskLate = (timeoutMs: number): KeelsonError =>
  new KeelsonError('TIMEOUT', `the task gave no value within ${timeoutMs} ms`, {
    details: { reason: 'timeout', timeoutMs },
  })

/** The state of one wait. `pending` has the tasks that have not ended, each with its place. */
type Rules<T, R> = (
  pending: ReadonlyMap<OwnedTask<T>, number>,
  finished: () => R,
  wait: Wait<R>,
  timeoutMs: number,
) => { readonly onOutcome: (outcome: TaskOutcome<T>) => void; readonly onTimeout: () => void }

const gather = <T, R>(
  tasks: readonly Task<T>[],
  options: TaskWaitOptions = noOptions,
  finish: (outcomes: Outcomes<T>) => R,
  rules: Rules<T, R>,
): Promise<R> => {
  let pending: Map<OwnedTask<T>, number>
  let timeoutMs: number
  try {
    timeoutMs =
      readOptions(options, waitKeys, argument('', 'a wait for tasks')).timeoutMs ?? timeoutMsDefault
    pending = pendingOf(tasks, timeoutMs)
  } catch (error) {
    return refused(error)
  }
  const [first] = pending.keys()
  if (first === undefined) return Promise.resolve(finish([]))
  const wait = new Wait<R>(first.holder)
  const outcomes: (TaskOutcome<T> | undefined)[] = tasks.map(() => undefined)
  const { onOutcome, onTimeout } = rules(pending, () => finish(outcomes), wait, timeoutMs)
  const note = (task: OwnedTask<T>, outcome: TaskOutcome<T>): void => {
    outcomes[pending.get(task) ?? 0] = outcome
    pending.delete(task)
    onOutcome(outcome)
  }
  for (const task of [...pending.keys()]) task.expect((outcome) => note(task, outcome))
  // Earlier outcomes come first, in the order of the tasks. A failure gives up the later ones.
  for (const task of [...pending.keys()]) {
    const found = task.isExpected ? task.take() : undefined
    if (found === undefined) continue
    task.release()
    note(task, found)
  }
  if (timeoutMs > 0) wait.limit(timeoutMs, onTimeout)
  else if (pending.size > 0) onTimeout()
  return wait.promise
}

/** The tasks, each with its place. Throws `INVALID_ARGUMENT` for tasks that cannot be awaited. */
const pendingOf = <T>(tasks: readonly Task<T>[], timeoutMs: number): Map<OwnedTask<T>, number> => {
  if (!isDelay(timeoutMs)) throw noDelay('timeoutMs of a task', timeoutMs)
  if (!Array.isArray(tasks)) throw invalidArgument('tasks', 'a list of tasks', tasks)
  const pending = new Map<OwnedTask<T>, number>()
  for (const [index, given] of tasks.entries()) {
    const task = ownedOf<T>(given)
    if (pending.has(task)) throw invalid('a task is named twice')
    if (task.isExpected) throw invalid('the task is waited for already')
    if (task.isSpent && timeoutMs === Number.POSITIVE_INFINITY) {
      throw invalid('the task has no value to give: it was taken, or the task was given up')
    }
    pending.set(task, index)
  }
  if (new Set([...pending.keys()].map(({ holder }) => holder)).size > 1) {
    throw invalid('the tasks have several owners')
  }
  return pending
}

const invalid = (what: string): KeelsonError => new KeelsonError('INVALID_ARGUMENT', what)
