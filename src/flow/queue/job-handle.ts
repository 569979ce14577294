/** The part of `flow(app)` for single jobs: looks at one, waits for it, changes and removes it. */

import { argument, object, oneOf, optional, refusal } from '../../check.ts'
import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { call } from '../../runtime/index.ts'
import type { AppContext } from '../../supervisors/index.ts'
import type { JobState } from '../book/queue-types.ts'
import type { DrainRequest } from '../book/removals.ts'
import type { Duration } from '../runs/body.ts'
import { delay, exactly, priority, resultOptions, shortText } from '../runs/options.ts'
import { answerOf, type EndOptions, lastingAnswer } from '../runs/parts.ts'
import { copied } from '../runs/values.ts'
import type { JobLook } from './job-look.ts'
import { askQueue, jobNumber, queueRef, retryJob } from './queue-handle.ts'
import type { Queue, StoredJob } from './queue-terms.ts'

/** The changes of a job. */
export type JobUpdate = {
  /** The next try begins after this time from now; 0: it is ready. */
  readonly delay?: Duration
  /** A whole number from -1,000 to 1,000; the higher number goes first. */
  readonly priority?: number
}

/** The answer to a removal. `state`: in which the job was; `undefined`: there is no such job. */
export type RemovedJob = { readonly removed: boolean; readonly state: JobState | undefined }

/** A job `J` of a queue, whose handler returns an `R`. */
export interface JobHandle<J = unknown, R = unknown> {
  readonly id: string
  /**
   * The job; `undefined`: it was never added, was removed, or is done and its result is not kept.
   * @throws KeelsonError `CORRUPT` if its row cannot be read; `TIMEOUT`, `CLOSED`, `EXITED`
   */
  get(): Promise<JobLook<J, R> | undefined>
  /**
   * The value that its handler returned. Waits for the end of the job, over all its tries. Once that is
   * durable it answers only if the queue keeps results.
   * @throws KeelsonError `FAILED` if the job is dead, with its error as `cause`; `CANCELLED` if it was
   * removed; `CONFLICT` if there is no such job, or nothing is kept of its end; `INVALID_ARGUMENT`
   * for a value that cannot be copied; `CORRUPT`; `TIMEOUT` after `timeoutMs`, 30,000 by default;
   * the reason of `signal` when that aborts; `CLOSED` when this instance closes, at once unless a
   * handler runs the job, and `EXITED` if the process of the queue ends: the job goes on
   */
  result(options?: EndOptions): Promise<R>
  /**
   * Removes the job, and answers when that is durable: it has no further try, and its `unique` text
   * is free. If it runs, the `signal` of its try aborts with `CANCELLED`, its place is free, and what
   * its handler does after that counts for nothing. Of a job that is done its result is removed.
   * @throws KeelsonError `CONFLICT` for a job that runs as a run of a workflow: cancel that; `CORRUPT`
   */
  remove(): Promise<RemovedJob>
  /**
   * Changes the time or the priority of a job that waits or is delayed, and answers when that is
   * durable. @throws KeelsonError `CONFLICT` for any other, and for one that a crash has cut off, which
   * starts next; `CORRUPT`
   */
  update(change: JobUpdate): Promise<void>
  /** As `retry` of the flow: lets a dead job run again, with all its tries. */
  retry(): Promise<void>
}

/** Which jobs a drain removes. */
export type DrainOptions = {
  /** Without it every job that waits or is delayed. It has one of them at least. */
  readonly where?: {
    readonly state?: DrainRequest['state']
    readonly key?: string
    readonly priority?: number
  }
}

type App = Pick<AppContext, 'entity'>

const updated = object({ delay: optional(delay), priority: optional(priority) })

/** The handle of a job. @throws KeelsonError `INVALID_ARGUMENT` */
export const jobHandle = <J, R, K>(
  app: App,
  queue: Queue<J, R, K>,
  id: string,
): JobHandle<StoredJob<J, K>, R> => {
  const number = jobNumber(id)
  queueRef(app, queue)
  return {
    id,
    get: async (...surplus: []) => {
      exactly('get()', surplus)
      const look = askQueue(app, queue, (ref) => call(ref, 'job', number))
      return look as Promise<JobLook<StoredJob<J, K>, R> | undefined>
    },
    result: async (options = noOptions, ...surplus: []) => {
      exactly('result({ timeoutMs, signal })', surplus)
      const { timeoutMs, signal } = resultOptions(options, argument('', 'a result'))
      const ref = queueRef(app, queue)
      const asked = () =>
        answerOf(app, { queue: queue.name }, call(ref, 'result', number, { timeoutMs, signal }))
      // A close waits for handlers, not for runs.
      const runs = async () =>
        queue.starts === undefined && (await call(ref, 'job', number))?.state === 'running'
      const result = await lastingAnswer(app, { queue: queue.name }, asked, runs)
      // Others may wait for the same value, and its handler may have it still.
      return copied(result as R, 'the result')
    },
    remove: async (...surplus: []) => {
      exactly('remove()', surplus)
      const state = await askQueue(app, queue, (ref) => call(ref, 'remove', number))
      return { removed: state !== undefined, state }
    },
    update: async (change, ...surplus: []) => {
      exactly('update({ delay, priority })', surplus)
      const { delay: delayMs, priority } = updated(change, argument('', 'an update'))
      if (delayMs === undefined && priority === undefined)
        throw invalidArgument('change', 'a delay or a priority', change)
      await askQueue(app, queue, (ref) => call(ref, 'update', { number, delayMs, priority }))
    },
    retry: async (...surplus: []) => {
      exactly('retry()', surplus)
      return retryJob(app, queue as Queue, id)
    },
  }
}

const chosen = object({
  state: optional(oneOf('waiting', 'delayed', 'dead')),
  key: optional(shortText),
  priority: optional(priority),
})

/** One that chooses nothing is refused: a key that is `undefined` by mistake would remove all. */
const drained = object({
  where: optional<ReturnType<typeof chosen>, unknown>((found, at) => {
    const checked = chosen(found, at)
    if (Object.keys(checked).length > 0) return checked
    throw refusal(at, 'a state, a key or a priority', 'none of them')
  }),
})

/** Removes jobs, in pieces. Answers how many. */
export const drainQueue = async <J, R>(
  app: App,
  queue: Queue<J, R>,
  options: DrainOptions,
): Promise<number> => {
  const { where = {} } = drained(options, argument('', 'a drain'))
  const { state, key, priority }: Partial<ReturnType<typeof chosen>> = where
  let removed = 0
  let before: number | undefined
  // Delayed ones first: one that becomes ready in between is found among the waiting ones.
  for (const each of state ? [state] : (['delayed', 'waiting'] as const)) {
    let next: DrainRequest | undefined
    next = { state: each, key, priority, before, after: undefined }
    while (next) {
      const request: DrainRequest = next
      const piece = await askQueue(app, queue, (ref) => call(ref, 'drain', request))
      removed += piece.removed
      before = piece.before
      next = piece.next
    }
  }
  return removed
}
