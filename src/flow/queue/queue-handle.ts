/** The part of `flow(app)` for queues: adds jobs, and looks at them. */

import { argument, object, oneOf, optional, or } from '../../check.ts'
import { invalidArgument, KeelsonError, type KeptError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { call, type Ref } from '../../runtime/index.ts'
import type { Parse } from '../../schema.ts'
import { type AppContext, durableActors } from '../../supervisors/index.ts'
import type { TraceContext } from '../../trace-context.ts'
import { attributes } from '../attributes/attributes.ts'
import type { AddWindow } from '../book/add-windows.ts'
import type { ChangedLimits, LimitsLook } from '../book/queue-limits.ts'
import { deadRow, numberOf } from '../book/queue-rows.ts'
import type { Added, JobHold } from '../book/queue-types.ts'
import type { Look } from '../looks/look.ts'
import type { Duration, StartRunOptions } from '../runs/body.ts'
import type { EnteringRun } from '../runs/messages.ts'
import { delay, duration, pageOptions, part, priority, shortText } from '../runs/options.ts'
import { answerOf, declaredPart, entitiesOf, queueId } from '../runs/parts.ts'
import { tracedSend } from '../tracing/traced-work.ts'
import { type JobsOptions, type JobsPage, jobsIn } from './job-look.ts'
import { storable } from './queue-job.ts'
import type { QueueLook, QueueMessages, QueuePlace, SentJob } from './queue-messages.ts'
import type { Queue, StoredJob } from './queue-terms.ts'

/** The options of a job. */
export type JobOptions = {
  /** A text that one job of the queue has at a time: another `add` with it gives that job. */
  readonly unique?: string
  /** The key of `perKey` and of rates, such as the id of a customer: 1 to 256 bytes. */
  readonly key?: string
  /** The higher number goes first: a whole number from -1,000 to 1,000, 0 by default. */
  readonly priority?: number
  /** The first try does not begin before. */
  readonly delay?: Duration
  /**
   * Adds with this key come to one job, which starts when no add with it has come for `ms`, and at the
   * latest `maxMs` after the first one. With `keep: 'last'`, the default, it is made of the last add,
   * with `'first'` of the first one. Not beside `delay`, `unique` and `throttle`.
   */
  readonly debounce?: {
    readonly key: string
    readonly ms: Duration
    readonly maxMs?: Duration
    readonly keep?: 'first' | 'last'
  }
  /**
   * Of jobs with this key at most one starts in `ms`: the first one is ready at once. With
   * `keep: 'first'`, the default, adds within `ms` come to nothing. With `'last'` the last one of them
   * is a job that starts when `ms` is over. Not beside `delay`, `unique` and `debounce`.
   */
  readonly throttle?: {
    readonly key: string
    readonly ms: Duration
    readonly keep?: 'first' | 'last'
  }
  /** Values by which `jobs` finds the job with `where`, as the attributes of a run. */
  readonly attributes?: StartRunOptions['attributes']
}

/**
 * A job that was added; `repeated`: the job that has its unique text or its window, and none was
 * added. `replaced`: that job has its value now.
 */
export type AddedJob = {
  readonly id: string
  readonly repeated: boolean
  readonly replaced?: boolean
}

/** A dead job. One that cannot be read has the error `CORRUPT`, no job, and zeros. */
export type DeadJob<J = unknown> = {
  readonly id: string
  readonly job: J
  readonly key: string | undefined
  readonly priority: number
  readonly addedAt: number
  /** The trace in which it was added; `undefined`: in none. */
  readonly traceId: string | undefined
  readonly tries: number
  /** When its last try failed. */
  readonly failedAt: number
  readonly error: KeptError
}

/** A page of dead jobs, in the order in which they were added. */
export type DeadPage<J = unknown> = {
  readonly entries: readonly DeadJob<J>[]
  /** Whether it was the last page. */
  readonly exhausted: boolean
  /** Continues after the page; `undefined`: it was the last. */
  readonly cursor: string | undefined
}

/** The options of a page. */
export type DeadOptions = { readonly limit?: number; readonly cursor?: string }

type App = Pick<AppContext, 'entity'>

/** How many jobs one call adds. */
const jobsMax = 500

/** Adds jobs, in pieces of 500 of which each is added whole or not at all. */
export const addJobs = async <J>(
  app: App,
  queue: Queue<J>,
  jobs: readonly J[],
  optionsOf: (job: J) => JobOptions,
): Promise<AddedJob[]> => {
  if (queue?.takesRuns) throw invalidArgument('queue', 'a queue with a handler', queue.name)
  queueRef(app, queue)
  if (!Array.isArray(jobs)) throw invalidArgument('jobs', 'a list', jobs)
  if (typeof optionsOf !== 'function') throw invalidArgument('optionsOf', 'a function', optionsOf)
  // A hole in the list is a job like any other.
  const parse = inputParse(app, queue)
  const sent = Array.from(jobs, (job, at) =>
    sentJob(job, optionsOf(job), parse, jobs.length > 1 ? `jobs[${at}]` : undefined),
  )
  const added: Added[] = []
  const { system } = (app as Partial<AppContext>)[durableActors]?.entities ?? {}
  for (let from = 0; from < sent.length; from += jobsMax) {
    const piece = sent.slice(from, from + jobsMax)
    const add = (trace: TraceContext | undefined) => {
      const placed = trace ? piece.map((job) => ({ ...job, trace })) : piece
      return askQueue(app, queue, (ref) => call(ref, 'add', placed))
    }
    added.push(...(await tracedSend(system, queue.name, piece.length, add)))
  }
  return added.map(({ number, repeated, replaced }) => {
    const id = String(number)
    return replaced === undefined ? { id, repeated } : { id, repeated, replaced }
  })
}

const jobOptions = object({
  unique: optional(shortText),
  key: optional(shortText),
  priority: or(priority, 0),
  delay: or(delay, 0),
  debounce: optional(
    object({
      key: shortText,
      ms: duration,
      maxMs: optional(duration),
      keep: or(oneOf('first', 'last'), 'last'),
    }),
  ),
  throttle: optional(
    object({ key: shortText, ms: duration, keep: or(oneOf('first', 'last'), 'first') }),
  ),
  attributes: optional(attributes),
})

/** Most jobs have no options. All are own members: one that code adds to `Object.prototype` is no option. */
const plainJob = (({ key, priority, unique, delay, debounce, throttle, attributes }) => ({
  key,
  priority,
  unique,
  delay,
  debounce,
  throttle,
  attributes,
}))(jobOptions(noOptions, argument('', 'a job')))

/** The schema of the jobs of a queue, be it given by its name alone. */
const inputParse = <J>(app: App, queue: Queue<J>): Parse | undefined =>
  declaredPart<Pick<Queue, 'name' | 'input'>>(app, 'queue', queue, () => 'takesRuns' in queue)
    ?.input

/** The window of an add; `undefined`: it has none. @throws KeelsonError `INVALID_ARGUMENT` */
const windowOf = ({
  debounce,
  throttle,
  unique,
  delay,
}: ReturnType<typeof jobOptions>): AddWindow | undefined => {
  const sort = debounce ? 'debounce' : 'throttle'
  const given = debounce ?? throttle
  if (!given) return undefined
  const beside = [debounce && throttle, unique, delay || undefined]
  if (beside.some((other) => other !== undefined))
    throw invalidArgument(sort, 'given without unique, delay and another window', 'one of them')
  return { sort, key: given.key, ms: given.ms, maxMs: debounce?.maxMs, keep: given.keep }
}

/** The job as it is sent to its queue. @throws KeelsonError `INVALID_ARGUMENT`, `TOO_LARGE` */
export const sentJob = (
  job: unknown,
  options: JobOptions,
  parse: Parse | undefined,
  of = 'the job',
): SentJob => {
  const checked = options === noOptions ? plainJob : jobOptions(options, argument('', 'a job'))
  const { unique, key = '', priority, delay: delayMs, attributes } = checked
  // A copy: its caller may change the job before the turn that stores it.
  const { value, bytes } = storable(parse ? parse(job, of) : job, 'the job')
  const window = windowOf(checked)
  const sent = { job: value, key, priority, unique, delayMs, bytes }
  if (!window && !attributes) return sent
  return { ...sent, ...(window && { window }), ...(attributes && { attributes }) }
}

/** Lets no job of a queue start, or lets them start again. */
export const pauseQueue = async (app: App, queue: Queue, isPaused: boolean): Promise<void> =>
  askQueue(app, queue, (ref) => call(ref, 'pause', isPaused))

/** The limits of a queue. */
export const limitsOfQueue = async (app: App, queue: Queue): Promise<LimitsLook> =>
  askQueue(app, queue, (ref) => call(ref, 'limits'))

/** Changes limits of a queue; `undefined`: those of its declaration hold again. */
export const changeLimits = async (
  app: App,
  queue: Queue,
  change: ChangedLimits | undefined,
): Promise<LimitsLook> => askQueue(app, queue, (ref) => call(ref, 'changeLimits', change))

/** Lets a dead job run again, with all its tries. @throws KeelsonError `CONFLICT` */
export const retryJob = async (app: App, queue: Queue, id: string): Promise<void> => {
  if (await askQueue(app, queue, (ref) => call(ref, 'retry', jobNumber(id)))) return
  throw new KeelsonError('CONFLICT', `the queue ${queue.name} has no dead job ${id}`, {
    details: { queue: queue.name, id },
  })
}

/** The number of a job. @throws KeelsonError `INVALID_ARGUMENT` */
export const jobNumber = (id: unknown, path = 'id'): number => {
  if (typeof id === 'string' && /^[1-9]\d{0,11}$/.test(id)) return Number(id)
  throw invalidArgument(path, 'the id of a job', id)
}

/** How many jobs are where. */
export const lookAtQueue = async (app: App, queue: Queue): Promise<QueueLook> =>
  askQueue(app, queue, (ref) => call(ref, 'look'))

/** Why ready jobs of these keys do not start now. */
export const holdsOf = async (
  app: App,
  queue: Queue,
  keys: readonly (string | undefined)[],
): Promise<readonly JobHold[]> => {
  if (!Array.isArray(keys)) throw invalidArgument('keys', 'a list', keys)
  const asked = Array.from(keys, (key: unknown) => {
    if (key === undefined || typeof key === 'string') return key ?? ''
    throw invalidArgument('keys', 'texts', key)
  })
  return askQueue(app, queue, (ref) => call(ref, 'holds', asked))
}

/** The place of a run in the queue where it waits for its beginning. */
export const placeOfRun = async (
  app: App,
  queue: string,
  run: EnteringRun,
): Promise<QueuePlace | undefined> =>
  askQueue(app, { sort: 'queue', name: queue } as Queue, (ref) => call(ref, 'place', run))

/** A page of the jobs of a queue that are in one state. */
export function* listedJobs<J, R, K>(
  app: App,
  queue: Queue<J, R, K>,
  options: JobsOptions,
): Look<JobsPage<StoredJob<J, K>, R>> {
  return (yield* jobsIn(app, nameOf(queue), options)) as JobsPage<StoredJob<J, K>, R>
}

/** A page of the dead jobs of a queue. */
export function* deadJobs<J, K>(
  app: App,
  queue: Queue<J, unknown, K>,
  options: DeadOptions = noOptions,
): Look<DeadPage<StoredJob<J, K>>> {
  const { limit, cursor } = pageOptions(options, argument('', 'a page'))
  const after = cursor === undefined ? {} : { cursor: deadRow(jobNumber(cursor, 'cursor')) }
  const page = yield* listedJobs(app, queue, { state: 'dead', limit, ...after })
  return {
    entries: page.entries.map(({ input, addedAt, failedAt, error, ...entry }) => ({
      id: entry.id,
      job: input as StoredJob<J, K>,
      key: entry.key,
      priority: entry.priority,
      addedAt,
      traceId: entry.traceId,
      tries: entry.tries,
      failedAt: failedAt ?? addedAt,
      error: error ?? { name: 'Error', message: 'unknown' },
    })),
    exhausted: page.exhausted,
    cursor: page.cursor === undefined ? undefined : String(numberOf(page.cursor)),
  }
}

/** The answer of a queue. */
export const askQueue = <J, T>(
  app: App,
  queue: Queue<J>,
  does: (ref: Ref<QueueMessages>) => Promise<T>,
): Promise<T> => {
  const ref = queueRef(app, queue)
  return answerOf(app, { queue: queue.name }, does(ref))
}

/** @throws KeelsonError `INVALID_ARGUMENT` for one that is not in the tree */
export const queueRef = <J>(app: App, queue: Queue<J>): Ref<QueueMessages> =>
  entitiesOf<QueueMessages>(app, 'queue', nameOf(queue)).ref(queueId)

/** @throws KeelsonError `INVALID_ARGUMENT` */
const nameOf = <J>(queue: Queue<J>): string => part('queue')(queue, argument('queue')).name
