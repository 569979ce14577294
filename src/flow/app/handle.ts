/** `flow(app)`: starts runs, talks to them, and looks at them. */

import type { Batch, BatchAnswer } from '../../actors/index.ts'
import { argument, object, optional, readOptions, text } from '../../check.ts'
import { errorOf, invalidArgument, type KeptError, keptError } from '../../errors.ts'
import { noOptions, ownOf } from '../../own-names.ts'
import { call, type Ref } from '../../runtime/index.ts'
import type { AppContext } from '../../supervisors/index.ts'
import { isError } from '../../thrown.ts'
import { type LimitsChange, type LimitsLook, limitsChange } from '../book/queue-limits.ts'
import type { JobHold } from '../book/queue-types.ts'
import {
  type CountsOf,
  countsOf,
  type ListedRun,
  type ListOptions,
  listOf,
  type Page,
  type RunLook,
  type RunWatch,
  runOf,
  type StepRow,
  type StepsOptions,
  stepsOf,
  type WatchFilter,
  waitingOf,
  watchOf,
} from '../looks/listing.ts'
import { atOnce, everywhere, type Look } from '../looks/look.ts'
import { type DrainOptions, drainQueue, type JobHandle, jobHandle } from '../queue/job-handle.ts'
import type { JobsOptions, JobsPage } from '../queue/job-look.ts'
import {
  type AddedJob,
  addJobs,
  changeLimits,
  type DeadOptions,
  type DeadPage,
  deadJobs,
  holdsOf,
  type JobOptions,
  limitsOfQueue,
  listedJobs,
  lookAtQueue,
  pauseQueue,
  placeOfRun,
  retryJob,
} from '../queue/queue-handle.ts'
import type { QueueLook, QueuePlace } from '../queue/queue-messages.ts'
import type { Queue, StoredJob } from '../queue/queue-terms.ts'
import type { AnyWorkflow, StartRunOptions, Workflow } from '../runs/body.ts'
import type { RunMessages } from '../runs/messages.ts'
import { exactly, forkOptions, retryFromOptions, shortText, workflowOf } from '../runs/options.ts'
import { answerOf, entitiesOf } from '../runs/parts.ts'
import type { Outcome } from '../runs/record.ts'
import { outcomeOf } from '../runs/values.ts'
import { FlowOfBatch } from './flow-of-batch.ts'
import { type Handle, inputFor, runHandle, startRun } from './run-handle.ts'
import { Schedules } from './schedules.ts'

/** The part of an instance that `flow` uses: `app`, or `context.app`. */
export type FlowApp = Pick<AppContext, 'entity'>

/** The decision about a step whose outcome is not known. */
export type Settlement =
  | { readonly value: unknown }
  | { readonly error: Error | { readonly message: string; readonly code?: string } }

/** The looks that `read` makes, as they are at once. */
export type FlowLooks = {
  list(options: ListOptions): Page<ListedRun>
  get(type: AnyWorkflow, id: string): RunLook | undefined
  steps(type: AnyWorkflow, id: string, options?: StepsOptions): Page<StepRow>
  jobs(queue: Queue<never>, options: JobsOptions): JobsPage
  dead(queue: Queue<never>, options?: DeadOptions): DeadPage
}

const looks = { list: listOf, get: runOf, steps: stepsOf, jobs: listedJobs, dead: deadJobs }

type AnyLook = (app: FlowApp, ...given: readonly unknown[]) => Look<unknown>

/** Starts runs, talks to them, and looks at them. */
export class Flow {
  readonly #app: FlowApp

  /** @internal For `flow`. */
  constructor(app: FlowApp) {
    this.#app = app
  }

  /** The schedules of the tree, and the ones that are made at run time. */
  get schedules(): Schedules {
    return new Schedules(this.#app)
  }

  /**
   * Starts a run, and answers when that is durable. The same id and input give the same run,
   * whatever became of it. A workflow with the schema `input` parses it here, and its run gets what the
   * schema makes of it; the same input is the same given one.
   * @throws KeelsonError `CONFLICT` if the run has begun with another input; `INVALID_ARGUMENT`, also
   * for an input that cannot be stored, with its `path` in `details`, or that its schema refuses, and for `priority` or `key`
   * of a workflow without a queue; `NO_SPACE`, `BUSY`, `SHARD_DOWN`, `UNKNOWN_OUTCOME`, `CLOSED`
   */
  async start<I, O, S, Q = unknown, U = unknown>(
    type: Workflow<I, O, S, Q, U>,
    input: I,
    options: StartRunOptions,
    ...surplus: []
  ): Promise<Handle<O, S, Q, U>> {
    exactly('start(type, input, { id, … })', surplus)
    return startRun(this.#app, type, () => inputFor(this.#app, type, input), options)
  }

  /** The run of this id, whether or not it has begun. */
  handle<I, O, S, Q = unknown, U = unknown>(
    type: Workflow<I, O, S, Q, U>,
    id: string,
    ...surplus: []
  ): Handle<O, S, Q, U> {
    exactly('handle(type, id)', surplus)
    return runHandle(this.#app, type, id, true)
  }

  /**
   * Lets a run that has failed, was cancelled or is blocked go on. Its outcomes are kept, but for
   * the one that ended it, and for those of steps that were undone: these run again. Answers when
   * that is durable. With `from`, the key of an operation, the run goes on from there, also one that
   * has completed: that operation, every one that was decided after it and every one that was in
   * flight run again, under new keys, and none of them is undone. Of a queue: lets a dead job run again, with
   * all its tries.
   * @throws KeelsonError `CONFLICT` for any other run or job, for an operation that the run has not,
   * or when another job has the `unique` text of this one
   */
  async retry<J>(
    part: AnyWorkflow | Queue<J>,
    id: string,
    options: { readonly from?: string } = noOptions,
    ...surplus: []
  ): Promise<void> {
    exactly('retry(part, id, { from })', surplus)
    const request = retryFromOptions(options, argument('', 'a retry'))
    if (part?.sort !== 'queue')
      return this.#ask(part as AnyWorkflow, id, (ref) => call(ref, 'retry', request))
    if (request.from !== undefined) throw invalidArgument('from', 'given for a run only', 'a job')
    return retryJob(this.#app, part as Queue, id)
  }

  /**
   * Starts another run of the same workflow with the input of this one and with its outcomes from
   * before the operation `from`, in the body of the present version: after a bad deploy it goes on
   * where the old program was right. This run may be in any status, and does not change: nothing
   * stops it. Copied steps do not run again, and children are not started again. If the new run does
   * not complete, it undoes the copied steps too, under the keys of their tries in this run. Steps
   * that this run has undone run again. Unread signals are not copied. The same `id` and `from` give
   * the same new run, whatever became of it. Answers when that is durable.
   * @throws KeelsonError `CONFLICT` if this run has no such operation, or another run has that id;
   * `TOO_LARGE` for more than 64 MiB of large values, or outcomes for which a log file has no room;
   * `CORRUPT` if one of them cannot be read; `INVALID_ARGUMENT`, and as `start`
   */
  async fork<I, O, S, Q = unknown, U = unknown>(
    type: Workflow<I, O, S, Q, U>,
    id: string,
    options: { readonly from: string; readonly id: string },
    ...surplus: []
  ): Promise<Handle<O, S, Q, U>> {
    exactly('fork(type, id, { from, id })', surplus)
    const { id: other, from } = forkOptions(options, argument('', 'a fork'))
    this.#ref(type, id)
    const { repeated } = await this.#ask(type, other, (ref) => call(ref, 'fork', { id, from }))
    return runHandle(this.#app, type, other, repeated)
  }

  /**
   * Undoes the steps of a run that was cancelled by `force`, the newest first: its body is replayed
   * for that. Its status is then `cancelled` again. Answers when that is durable.
   * @throws KeelsonError `CONFLICT` for a run that was not cancelled
   */
  async undo(type: AnyWorkflow, id: string, ...surplus: []): Promise<void> {
    exactly('undo(type, id)', surplus)
    await this.#ask(type, id, (ref) => call(ref, 'undo'))
  }

  /**
   * Decides the outcome of a step that blocks its run, and lets the run go on: one that nobody knows
   * (`UNKNOWN_STEP`), or one that cannot be read (`CORRUPT`). The key `$input` stands for an input
   * that cannot be read, `$signal/name` and `$update/name` for the first unread signal or update of
   * this name that cannot be; an update keeps its id if no other one is damaged. An
   * operation whose row cannot be read gets this key and this outcome.
   * @throws KeelsonError `CONFLICT` if the run is not blocked, or has no such step without an
   * outcome that can be read
   */
  async settle(
    type: AnyWorkflow,
    id: string,
    key: string,
    decision: Settlement,
    ...surplus: []
  ): Promise<void> {
    exactly('settle(type, id, key, decision)', surplus)
    const outcome = decided(decision)
    shortText(key, argument('key'))
    await this.#ask(type, id, (ref) => call(ref, 'settle', { key, outcome }))
  }

  /**
   * Starts runs, sends signals and adds jobs with a batch of the store: all of them and its writes come
   * about as one unit, or nothing does. The batch is handed over, and takes no more commands. The `id`
   * makes the whole known if it is committed again; it counts in the shard of its keys.
   * @throws KeelsonError `INVALID_ARGUMENT`, also for a batch without a command; `CROSS_SHARD`
   */
  with(
    batch: Batch<readonly BatchAnswer[]>,
    options: { readonly id: string },
    ...surplus: []
  ): FlowOfBatch {
    exactly('with(batch, { id })', surplus)
    return new FlowOfBatch(this.#app, batch, options)
  }

  /**
   * A look as a promise, which shows what all members on a folder have: `read('get', type, id)` is
   * `get(type, id)` where the run is, and `list`, `steps`, `jobs` and `dead` are read so too.
   * @throws KeelsonError as that look; `SHARD_DOWN` while no member has a shard
   */
  async read<L extends keyof FlowLooks>(
    what: L,
    ...given: Parameters<FlowLooks[L]>
  ): Promise<ReturnType<FlowLooks[L]>> {
    const look = ownOf(looks, what)
    if (!look) throw invalidArgument('what', Object.keys(looks).join(', '), what)
    return everywhere((look as AnyLook)(this.#app, ...given)) as Promise<ReturnType<FlowLooks[L]>>
  }

  /** A page of the runs of a workflow. @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR` */
  list(options: ListOptions, ...surplus: []): Page<ListedRun> {
    exactly('list({ type, … })', surplus)
    return atOnce(listOf(this.#app, options))
  }

  /** One run; `undefined`: there is none of this id. */
  get(type: AnyWorkflow, id: string, ...surplus: []): RunLook | undefined {
    exactly('get(type, id)', surplus)
    return atOnce(runOf(this.#app, type, id))
  }

  /**
   * Watches the durable changes of runs from now on. With a `list` in the same turn of the event loop
   * nothing is left out, and nothing comes twice. It holds up nobody: when 10,000 changes wait for
   * its reader it reads the log instead, where a run that changed often comes once, with
   * `catchingUp`. Leave the loop or call `return` to end it; `close` ends it with `CLOSED`.
   * @throws KeelsonError `INVALID_ARGUMENT`, `SHARD_DOWN`; `BAD_CURSOR`, at once or at a later
   * `next`, if the log has gone on beyond what was read
   */
  watch(filter: WatchFilter, ...surplus: []): RunWatch {
    exactly('watch({ type, … })', surplus)
    return watchOf(this.#app, filter)
  }

  /**
   * The place of a run in the queue where it waits for its beginning; `undefined`: it waits in none.
   * The queue is asked.
   * @throws KeelsonError `TIMEOUT`, `CLOSED`, `EXITED`, `SHARD_DOWN`
   */
  async place(type: AnyWorkflow, id: string, ...surplus: []): Promise<QueuePlace | undefined> {
    exactly('place(type, id)', surplus)
    const waiting = await waitingOf(this.#app, type, id)
    if (!waiting) return undefined
    const { queue, ...run } = waiting
    return placeOfRun(this.#app, queue, run)
  }

  /** A page of the operations that a run has recorded, in the order in which they first were. */
  steps(
    type: AnyWorkflow,
    id: string,
    options: StepsOptions = noOptions,
    ...surplus: []
  ): Page<StepRow> {
    exactly('steps(type, id, { limit, … })', surplus)
    return atOnce(stepsOf(this.#app, type, id, options))
  }

  /** How many runs of a workflow have each status, from counters. */
  counts(type: AnyWorkflow): Promise<CountsOf>
  /** How many jobs of a queue are where. It reads no job. */
  counts<J>(queue: Queue<J>): Promise<QueueLook>
  async counts(part: AnyWorkflow | Queue, ...surplus: []): Promise<CountsOf | QueueLook> {
    exactly('counts(part)', surplus)
    return part?.sort === 'queue' ? lookAtQueue(this.#app, part) : countsOf(this.#app, part)
  }

  /**
   * Adds a job to a queue, and answers when that is durable. `repeated`: another job has its
   * `unique` text, and its id is answered. A queue with the schema `input` parses the job here.
   * @throws KeelsonError `BUSY` when the queue is full; `TOO_LARGE` for a job of more than 960 KiB;
   * `INVALID_ARGUMENT`; `NO_SPACE`, `SHARD_DOWN`, `UNKNOWN_OUTCOME`, `CLOSED`
   */
  async add<J>(
    queue: Queue<J>,
    job: J,
    options: JobOptions = noOptions,
    ...surplus: []
  ): Promise<AddedJob> {
    exactly('add(queue, job, { key, … })', surplus)
    const [added] = await addJobs(this.#app, queue, [job], () => options)
    return added as AddedJob
  }

  /**
   * Adds many jobs, in pieces of 500: a piece is added whole or not at all, and a call that fails
   * may have added earlier pieces. `optionsOf` gives the options of each.
   * @throws KeelsonError as `add`
   */
  async addMany<J>(
    queue: Queue<J>,
    jobs: readonly J[],
    optionsOf: (job: J) => JobOptions = () => ({}),
    ...surplus: []
  ): Promise<AddedJob[]> {
    exactly('addMany(queue, jobs, optionsOf)', surplus)
    return addJobs(this.#app, queue, jobs, optionsOf)
  }

  /** Lets no more jobs of a queue start. Jobs that run go on. It stays so over restarts. */
  async pause<J>(queue: Queue<J>, ...surplus: []): Promise<void> {
    exactly('pause(queue)', surplus)
    return pauseQueue(this.#app, queue as Queue, true)
  }

  /** Lets the jobs of a paused queue start. */
  async resume<J>(queue: Queue<J>, ...surplus: []): Promise<void> {
    exactly('resume(queue)', surplus)
    return pauseQueue(this.#app, queue as Queue, false)
  }

  /**
   * The limits that a queue holds now, which of them were changed at run time, and those of its
   * declaration.
   * @throws KeelsonError `TIMEOUT`, `CLOSED`, `EXITED`, `SHARD_DOWN`
   */
  async limits<J>(queue: Queue<J>, ...surplus: []): Promise<LimitsLook> {
    exactly('limits(queue)', surplus)
    return limitsOfQueue(this.#app, queue as Queue)
  }

  /**
   * Changes limits of a queue, and answers when that is durable, with what holds then. A changed limit
   * holds until `resetLimits`, over restarts, and over programs that declare another one. Jobs that run
   * go on, also if they are more than may run now.
   * @throws KeelsonError `INVALID_ARGUMENT` for what the declaration would refuse, and for no limit at
   * all; `NO_SPACE`, `SHARD_DOWN`, `UNKNOWN_OUTCOME`, `CLOSED`
   */
  async setLimits<J>(queue: Queue<J>, change: LimitsChange, ...surplus: []): Promise<LimitsLook> {
    exactly('setLimits(queue, { concurrency, perKey, rate })', surplus)
    return changeLimits(this.#app, queue as Queue, limitsChange(change))
  }

  /** The limits of the declaration hold again. Answers when that is durable. */
  async resetLimits<J>(queue: Queue<J>, ...surplus: []): Promise<LimitsLook> {
    exactly('resetLimits(queue)', surplus)
    return changeLimits(this.#app, queue as Queue, undefined)
  }

  /**
   * A page of the jobs of a queue that are in one state, as they are durable. It wakes nobody. Waiting jobs
   * come by priority, the highest first, then by key, then as they were added; keys take turns when
   * jobs start. Delayed ones come as they are due, the others as they were added. A job that is done
   * is there while its result is kept. One that cannot be read has the error `CORRUPT`.
   * @throws KeelsonError `INVALID_ARGUMENT`; `ELSEWHERE`, where `read('jobs', …)` works
   */
  jobs<J, R, K>(
    queue: Queue<J, R, K>,
    options: JobsOptions,
    ...surplus: []
  ): JobsPage<StoredJob<J, K>, R> {
    exactly('jobs(queue, { state, limit, cursor })', surplus)
    return atOnce(listedJobs(this.#app, queue, options))
  }

  /**
   * Why ready jobs with these keys do not start now, one answer for each; `undefined` is for jobs
   * without a key. It asks the queue.
   * @throws KeelsonError `INVALID_ARGUMENT`
   */
  holds<J>(
    queue: Queue<J>,
    keys: readonly (string | undefined)[],
    ...surplus: []
  ): Promise<readonly JobHold[]> {
    exactly('holds(queue, keys)', surplus)
    return holdsOf(this.#app, queue as Queue, keys)
  }

  /** A page of the dead jobs of a queue, 100 by default. It wakes nobody. */
  dead<J, K>(
    queue: Queue<J, unknown, K>,
    options: DeadOptions = noOptions,
    ...surplus: []
  ): DeadPage<StoredJob<J, K>> {
    exactly('dead(queue, { limit, cursor })', surplus)
    return atOnce(deadJobs(this.#app, queue, options))
  }

  /**
   * The job of this id, whether or not there is one. Of a queue without a handler every call of it
   * is `INVALID_ARGUMENT`: its jobs are runs.
   * @throws KeelsonError `INVALID_ARGUMENT`
   */
  job<J, R, K>(queue: Queue<J, R, K>, id: string, ...surplus: []): JobHandle<StoredJob<J, K>, R> {
    exactly('job(queue, id)', surplus)
    return jobHandle(this.#app, queue, id)
  }

  /**
   * Removes all jobs that wait or are delayed and were added before, or those of `where`; none that
   * runs. It goes in pieces of 500, each whole or not at all. Answers how many were removed; one
   * whose row cannot be read stays.
   * @throws KeelsonError `INVALID_ARGUMENT`, also for a queue without a handler; as `add`
   */
  async drain<J, R>(
    queue: Queue<J, R>,
    options: DrainOptions = noOptions,
    ...surplus: []
  ): Promise<number> {
    exactly('drain(queue, { where })', surplus)
    return drainQueue(this.#app, queue, options)
  }

  #ask<T>(type: AnyWorkflow, id: string, ask: (ref: Ref<RunMessages>) => Promise<T>): Promise<T> {
    const ref = this.#ref(type, id)
    return answerOf(this.#app, { type: type.name, id }, ask(ref))
  }

  #ref(type: AnyWorkflow, id: string): Ref<RunMessages> {
    const { name } = workflowOf(type)
    return entitiesOf<RunMessages>(this.#app, 'workflow', name).ref(id)
  }
}

/** The outcome of a decision. @throws KeelsonError `INVALID_ARGUMENT` */
const decided = (decision: Settlement): Outcome => {
  const given = readOptions(decision, ['value', 'error'], argument('', 'a settlement'))
  const names = Object.keys(given)
  if (names.length !== 1)
    throw invalidArgument('decision', 'a value or an error', names.length > 0 ? 'both' : 'neither')
  if ('value' in given) return outcomeOf(given.value, 'the decision')
  const { error } = given
  if (isError(error)) return { kind: 'error', error: keptError(error) }
  const plain = plainError(error, argument('error'))
  return { kind: 'error', error: keptError(errorOf({ name: 'Error', ...plain } as KeptError)) }
}

const plainError = object({ message: text, code: optional(text) })
