/**
 * One call of the handler of a queue with batches: the tries of its jobs, and the outcome of each. It is
 * apart from the try, because a try knows no other one: its job fails, is removed and is tried
 * again by itself.
 */
import { invalidArgument } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import { type AppContext, guardedAbort, whenRead } from '../../runtime/index.ts'
import type { Duration } from '../runs/body.ts'
import {
  type BatchJob,
  doneTry,
  failedTry,
  GivenInBatch,
  type RunningTry,
  type TryEnd,
} from './queue-job.ts'

/** The batches of a queue. */
export type QueueBatch = {
  readonly batch: {
    /** The most jobs of one call of the handler, up to 1,000. */
    readonly max: number
    /** How long a batch that is not full waits for more jobs after its first one; 0 by default. */
    readonly waitMs?: Duration
  }
}

/** A call of the handler of a queue with batches. */
export type BatchTry = {
  /** The instance that it runs in: its actors, its store, its other runs and queues. */
  readonly app: AppContext
  /**
   * Aborts at the time-out, when every job of the batch was removed, and when the process of the
   * queue ends. That one job was removed says the `signal` of that job.
   */
  readonly signal: AbortSignal
}

/** The outcome of a job of a batch, as `Promise.allSettled` gives it. */
export type JobOutcome<R = unknown> =
  | { readonly status: 'fulfilled'; readonly value: R }
  | { readonly status: 'rejected'; readonly reason: unknown }

/** The answer of a handler of batches: an outcome for each job, in order; `undefined`: every job is done. */
export type JobOutcomes<R = unknown> = readonly JobOutcome<R>[] | undefined

/** Calls the handler with the jobs of tries. */
export type BatchHandler = (jobs: readonly BatchJob[], batch: BatchTry) => unknown

/** A call with the jobs of these tries. */
class BatchCall implements BatchTry {
  static readonly #signal = whenRead((call: BatchCall) => call.#abort().signal)
  readonly app: AppContext
  declare readonly signal: AbortSignal
  readonly #abort: () => AbortController
  #made: AbortController | undefined

  constructor([first, ...others]: readonly [RunningTry, ...RunningTry[]]) {
    this.app = first.app
    const title = `the batch of the job ${first.key} and ${others.length} others`
    this.#abort = () => {
      this.#made ??= guardedAbort(first.logger, title)
      return this.#made
    }
    let left = others.length + 1
    const onAbort = (reason: unknown): void => {
      if (--left === 0) this.#abort().abort(reason)
    }
    for (const job of [first, ...others]) job.onAbort = onAbort
    Object.defineProperty(this, 'signal', BatchCall.#signal)
  }
}

/**
 * Calls the handler of a batch. An error that it throws is that of every job. `isOver`: whether a job
 * is done without the handler, or `undefined`; it refuses a job that the handler is not to get yet.
 */
export const endsOfBatch = async (
  tries: readonly RunningTry[],
  handler: BatchHandler,
  isOver: (job: unknown, attempt: RunningTry) => Promise<boolean> | undefined,
  keepsResult: boolean,
): Promise<readonly TryEnd[]> => {
  const jobs = new Map<RunningTry, BatchJob>()
  const apart: TryEnd[] = []
  const asked: Promise<void>[] = []
  for (const job of tries) {
    const ends = (end: TryEnd): void => {
      jobs.delete(job)
      apart.push(end)
    }
    const refuses = (thrown: unknown): void => ends(failedTry(job, thrown))
    try {
      const given = new GivenInBatch(job)
      jobs.set(job, given)
      const looked = isOver(given.input, job)
      if (!looked) continue
      const isDone = (over: boolean): void => void (over && ends(doneTry(job, undefined, false)))
      asked.push(looked.then(isDone).catch(refuses))
    } catch (thrown) {
      refuses(thrown)
    }
  }
  if (asked.length > 0) await Promise.all(asked)
  const given = [...jobs.keys()]
  const [first, ...others] = given
  if (!first) return apart
  try {
    const call = new BatchCall([first, ...others])
    // Frozen: a handler that sorts its list would give each job the outcome of another.
    const list = Object.freeze([...jobs.values()])
    const outcomes = outcomesOf(await handler(list, call), given.length)
    const ended = given.map((job, at) => endOfJob(job, outcomes?.[at], keepsResult))
    return [...apart, ...ended]
  } catch (thrown) {
    return [...apart, ...given.map((job) => failedTry(job, thrown))]
  }
}

const endOfJob = (
  job: RunningTry,
  outcome: JobOutcome | undefined,
  keepsResult: boolean,
): TryEnd =>
  outcome?.status === 'rejected'
    ? failedTry(job, outcome.reason)
    : doneTry(job, outcome?.value, keepsResult)

/**
 * The outcomes that a handler has returned; `undefined`: every job is done. A list of anything else is
 * refused: a bare list of values would make a job done that has failed.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
const outcomesOf = (returned: unknown, jobs: number): JobOutcomes => {
  if (returned === undefined) return undefined
  const expected = `nothing, or an outcome { status, value } or { status, reason } of each of ${jobs} jobs`
  if (!Array.isArray(returned)) throw invalidArgument('outcomes', expected, returned)
  const outcomes: readonly unknown[] = Array.from(returned)
  if (outcomes.length !== jobs)
    throw invalidArgument('outcomes', expected, `${outcomes.length} outcomes`)
  const odd = outcomes.findIndex((outcome) => !isOutcome(outcome))
  if (odd < 0) return outcomes as JobOutcomes
  throw invalidArgument(['outcomes', odd], "'fulfilled' or 'rejected' as its status", outcomes[odd])
}

const isOutcome = (outcome: unknown): outcome is JobOutcome => {
  if (typeof outcome !== 'object' || outcome === null) return false
  const status = ownOf(outcome as Partial<JobOutcome>, 'status')
  return status === 'fulfilled' || status === 'rejected'
}
