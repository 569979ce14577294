/** `queue`: jobs that run beside each other under limits, each until it is done or dead. */

import { noMore } from '../../check.ts'
import { configError, isKeelsonError, missingDeclaration } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { call } from '../../runtime/index.ts'
import { durableActors } from '../../supervisors/index.ts'
import { queueOfRun } from '../looks/listing.ts'
import {
  type BatchHandler,
  type BatchTry,
  endsOfBatch,
  type JobOutcomes,
  type QueueBatch,
} from '../queue/job-batch.ts'
import { queueSpecs } from '../queue/queue-entity.ts'
import {
  type BatchJob,
  endsOfOne,
  GivenAlone,
  type JobTry,
  type RunningTry,
} from '../queue/queue-job.ts'
import {
  declaredQueue,
  type Queue,
  type QueueOptions,
  type QueueSchema,
  type QueueTerms,
  queueTerms,
} from '../queue/queue-terms.ts'
import type { Duration, Workflow } from '../runs/body.ts'
import { pauseMs } from '../runs/decide.ts'
import { isTransient, runNamed } from '../runs/operations.ts'
import { checkPartName, isInTree, runKind } from '../runs/parts.ts'
import { typeOfRun } from '../runs/record.ts'
import { inputOf } from '../runs/values.ts'
import { flow } from './flow.ts'
import { startRun } from './run-handle.ts'

/** Options that runs of workflows have themselves, or have not. */
type OfJobs = 'retry' | 'timeout' | 'unique' | 'keep'

/** Its handler gets each job alone. */
type Single = { readonly batch?: undefined }

/** The options of a queue without a handler. */
type RunsOptions = Omit<QueueOptions, OfJobs> &
  Single & { readonly keep?: { readonly dead?: Duration } }

/** The answer of a handler of batches. */
type Outcomes<R> = void | JobOutcomes<R> | Promise<void> | Promise<JobOutcomes<R>>

/**
 * A queue with batches: one call of its handler gets up to `batch.max` jobs. Each of them has its own
 * tries and its own end. Every job is done if the handler returns nothing, and has failed if it throws;
 * a list has an outcome for each job, in order, such as that of `Promise.allSettled`.
 * @throws KeelsonError `CONFIG`
 */
export function queue<J, R, Given>(
  name: string,
  handler: (jobs: readonly BatchJob<J>[], batch: BatchTry) => Outcomes<R>,
  options: QueueOptions & QueueBatch & QueueSchema<Given, J>,
): Queue<Given, R, J>
/** A queue with batches whose jobs have no schema. */
export function queue<J, R = unknown>(
  name: string,
  handler: (jobs: readonly BatchJob<J>[], batch: BatchTry) => Outcomes<R>,
  options: QueueOptions & QueueBatch,
): Queue<J, R>
/**
 * A queue. Its handler gets each job, until one try has ended without an error or the tries have
 * ended: so a handler runs at least once, and its `key` is the same at each try.
 * @throws KeelsonError `CONFIG`
 */
export function queue<J, R, Given>(
  name: string,
  handler: (job: J, attempt: JobTry) => R,
  options: QueueOptions & QueueSchema<Given, J> & Single,
): Queue<Given, Awaited<R>, J>
/** A queue whose jobs have no schema: its handler gets each as it was added. */
export function queue<J, R = unknown>(
  name: string,
  handler: (job: J, attempt: JobTry) => R,
  options?: QueueOptions & Single,
): Queue<J, Awaited<R>>
/**
 * A queue with a workflow as its handler starts one run for each job, under the key of the job, and
 * the job ends with the run, whose output is its result. A job is parsed by the `input` of the workflow.
 */
export function queue<J, R = unknown>(
  name: string,
  handler: Workflow<J, R>,
  options?: Omit<QueueOptions, 'retry' | 'timeout'> & Single,
): Queue<J, R>
/**
 * A queue without a handler: its jobs are the runs of workflows that name it as their `queue`. A run
 * has its place from its beginning until it has ended, or is blocked.
 */
export function queue(name: string, options?: RunsOptions): Queue
export function queue(name: string, ...given: readonly unknown[]): Queue<never> {
  checkPartName('queue', name)
  const [handler, options = noOptions, ...surplus] = given as [unknown, QueueOptions?, ...unknown[]]
  noMore(surplus, 'queue(name, handler, { concurrency, … })')
  if (typeof handler === 'function') {
    const isBatched = (options as Partial<QueueBatch>).batch !== undefined
    const call = isBatched
      ? batchCall(name, handler as BatchHandler)
      : callOf(ofJobs(name, handler as (job: unknown, attempt: JobTry) => unknown))
    return queueOf(queueTerms(name, 'jobs', call, options), { takesRuns: false })
  }
  const isWorkflow = (handler as Workflow | undefined)?.sort === 'workflow'
  const hasOptions = given.length < 2 && typeof (handler === undefined ? {} : handler) === 'object'
  if (!isWorkflow && !hasOptions)
    throw configError(`queue.${name}.handler`, 'a function or a workflow', handler)
  if (isWorkflow) {
    const workflow = handler as Workflow<unknown, unknown>
    const { input } = workflow.options
    const terms = queueTerms(name, 'inputs', callOf(runner(workflow)), options, asRun, input)
    return queueOf(terms, { takesRuns: false, starts: workflow.name })
  }
  const terms = queueTerms(
    name,
    'runs',
    callOf(follow),
    (handler === undefined ? {} : handler) as QueueOptions,
    asRun,
  )
  return queueOf(terms, { takesRuns: true })
}

const queueOf = (terms: QueueTerms, of: Pick<Queue, 'takesRuns' | 'starts'>): Queue<never> => ({
  sort: 'queue',
  name: terms.name,
  input: terms.input,
  ...of,
  children: () => queueSpecs(terms),
  [declaredQueue]: terms,
})

type JobHandler = (job: unknown, attempt: RunningTry) => unknown

type Calls = QueueTerms['call']

const callOf =
  (handler: JobHandler): Calls =>
  (tries, keepsResult) =>
    // One that is called with single tries.
    endsOfOne(tries[0] as RunningTry, handler, keepsResult)

const batchCall =
  (queue: string, handler: BatchHandler): Calls =>
  (tries, keepsResult) =>
    endsOfBatch(tries, handler, (job, attempt) => isRunOver(queue, job, attempt), keepsResult)

/** The handler of a queue, which gets no run. */
const ofJobs =
  (queue: string, handler: (job: unknown, attempt: JobTry) => unknown): JobHandler =>
  (job, attempt) => {
    const given = new GivenAlone(attempt)
    const looked = isRunOver(queue, job, attempt)
    if (looked === undefined) return handler(job, given)
    return looked.then((isOver) => (isOver ? undefined : handler(job, given)))
  }

/**
 * Whether a job is a run that is over, from a time when the queue had no handler. `undefined`: it is
 * no run. A run that waits in this queue, or has begun from it, is refused: its job ends after it.
 */
const isRunOver = (
  queue: string,
  job: unknown,
  attempt: RunningTry,
): Promise<boolean> | undefined => {
  const mayBeRun = typeof job === 'string' && attempt.claim.record.unique === job
  if (!mayBeRun || !isInTree(attempt.app, runKind(typeOfRun(job)))) return undefined
  const id = job.slice(typeOfRun(job).length + 1)
  const placed = queueOfRun(attempt.app, { sort: 'workflow', name: typeOfRun(job) }, id)
  return placed.then((place) => {
    if (place?.queue !== queue) return false
    if (place.isOver) return true
    throw missingDeclaration(`queue ${queue} without a handler`)
  })
}

/** Begins a run that waits in the queue, and waits for its end, or until it is blocked. */
const follow = async (run: unknown, attempt: RunningTry): Promise<void> => {
  if (typeof run !== 'string' || typeOfRun(run) === '')
    throw missingDeclaration('handler of the queue of this job')
  const ref = runNamed(attempt.app, run)
  attempt.run = runKind(run)
  await asked(attempt, () => call(ref, 'begin'))
  const end = asked(attempt, () => call(ref, 'result', undefined, untilEnded))
  // A run that was removed has ended.
  await end.catch(unlessConflict)
}

const untilEnded = { timeoutMs: Number.POSITIVE_INFINITY }

/** After these nobody knows whether the run has begun. */
const unsure = ['TIMEOUT', 'EXITED', 'CLOSED', 'UNKNOWN_OUTCOME']

/**
 * The answer of a run. A process that ends, a shard that moves and a call that is lost say nothing
 * of the end of the run: while it may go on its job has the place, and asks again.
 */
const asked = async <T>(attempt: RunningTry, ask: () => Promise<T>): Promise<T> => {
  const { work, system } = attempt.app[durableActors].entities
  const { clock } = system
  // In a close, and after the end of its try, the next incarnation asks.
  const isOver = (): boolean => attempt.hasEnded || !work.mayBegin
  for (let failures = 1; ; failures++)
    try {
      const answer = await ask()
      attempt.begun()
      return answer
    } catch (error) {
      const isUnsure = isKeelsonError(error) && unsure.includes(error.code)
      attempt.mayRun ||= isUnsure
      // A blocked run does not go on.
      const goesOn = !isKeelsonError(error, 'BLOCKED') && (isUnsure || isTransient(error))
      if (!goesOn || !attempt.mayRun || isOver()) throw error
      const inMs = pauseMs(failures, clock)
      await new Promise<void>((go) => void clock.after(inMs, go, { holdsProcess: false }))
      if (isOver()) throw error
    }
}

/** A run that has ended says how its job ends: a workflow has its own tries. */
const asRun = {
  max: Number.POSITIVE_INFINITY,
  unless: (error: unknown): boolean =>
    isKeelsonError(error, 'FAILED') || isKeelsonError(error, 'CANCELLED'),
}

/**
 * Starts the run of a job, and waits for its end. The run of a job that was dead, and has its tries
 * again, goes on. A blocked one waits for an operator: the job looks at it again and again, and has
 * no place between.
 */
const runner =
  <J>(workflow: Workflow<J, unknown>) =>
  async (job: unknown, attempt: RunningTry): Promise<unknown> => {
    const { app, key: id, claim } = attempt
    attempt.run = `${runKind(workflow.name)}/${id}`
    const runs = flow(app)
    const { failure } = claim.record
    const wasDead = failure !== undefined && claim.attempt === 1
    // Until its run goes on the next try is to ask for that, too.
    attempt.counts = !wasDead
    const started = asked(attempt, () => startRun(app, workflow, () => inputOf(job), { id }))
    const { repeated, result } = await started
    const goesOn = async (): Promise<void> => {
      if ((await runs.read('get', workflow, id))?.status === 'blocked') return
      const run = runNamed(app, `${workflow.name}/${id}`)
      // Once for this failure: the run may have failed again since, while its job was cut off.
      await call(run, 'retry', {}, { id: `${id}/${failure?.at}` })
    }
    if (repeated && wasDead) await asked(attempt, goesOn).catch(unlessConflict)
    attempt.counts = true
    return asked(attempt, () => result(untilEnded))
  }

/** The run goes on already, has completed, or was removed. */
const unlessConflict = (error: unknown): void => {
  if (!isKeelsonError(error, 'CONFLICT')) throw error
}
