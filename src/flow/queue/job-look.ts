/** Looks at the jobs of a queue: one, and pages of those in one state. Pure. */
import type { RoutedRows, RowsOptions } from '../../actors/index.ts'
import { argument, object, oneOf, optional } from '../../check.ts'
import { invalidArgument, isKeelsonError, type KeptError } from '../../errors.ts'
import type { AppContext } from '../../supervisors/index.ts'
import { traceIdOf } from '../../trace-context.ts'
import {
  type Attributes,
  type AttributeValue,
  areIn,
  attributes,
} from '../attributes/attributes.ts'
import { type DoneJob, readDone } from '../book/ended-rows.ts'
import { attributePrefix, placeRow } from '../book/job-attributes.ts'
import type { KeptBook } from '../book/kept-claims.ts'
import {
  deadPrefix,
  delayedPrefix,
  donePrefix,
  dueOf,
  type JobRecord,
  logOf,
  numberOf,
  placeOf,
  readRecord,
  waitingPrefix,
  waitingPrefixOf,
} from '../book/queue-rows.ts'
import type { FoundJob, JobState } from '../book/queue-types.ts'
import { ask, type Look } from '../looks/look.ts'
import { pageFields } from '../runs/options.ts'
import { entitiesOf, queueId } from '../runs/parts.ts'
import { copied } from '../runs/values.ts'
import type { RunningTry } from './queue-job.ts'

/** A job `J` of a queue, whose handler returns an `R`, in a list. Times are in ms since 1970. */
export type JobEntry<J = unknown, R = unknown> = {
  readonly id: string
  readonly state: JobState
  /** The value that was added; `undefined` of a job that is done. */
  readonly input: J | undefined
  readonly key: string | undefined
  /** The values by which `where` finds it; `undefined`: it has none. */
  readonly attributes: Attributes | undefined
  readonly priority: number
  readonly addedAt: number
  /**
   * The trace in which it was added, by 32 hexadecimal digits: that of the request, the run or the turn
   * that did. `undefined`: in none, or it is done.
   */
  readonly traceId: string | undefined
  /** When a delayed job is due. */
  readonly dueAt: number | undefined
  /** The tries that have begun. */
  readonly tries: number
  /** When its last failed try failed, and with which error. */
  readonly failedAt: number | undefined
  /** When the first of its tries failed, and how many it has. */
  readonly failingSince: number | undefined
  readonly triesMax: number | undefined
  readonly error: KeptError | undefined
  /** The value that its handler returned, while the queue keeps results, and when it was done. */
  readonly result: R | undefined
  readonly doneAt: number | undefined
}

/** A job `J` of a queue, whose handler returns an `R`. Times are in ms since 1970. */
export type JobLook<J = unknown, R = unknown> = JobEntry<J, R> & {
  /** The last progress of its present try. */
  readonly progress: unknown
  /** The last lines of its tries. */
  readonly log: readonly string[]
  /** The `key` of its tries; in a queue with a workflow the id of the run. */
  readonly tryKey: string
}

const entryOf = ({ state, row, record }: FoundJob): JobEntry => {
  const { job: input, key, attributes, priority, at: addedAt, tries, failure, trace } = record
  return {
    id: String(numberOf(row)),
    state,
    input,
    key: key || undefined,
    attributes,
    priority,
    addedAt,
    traceId: trace && traceIdOf(trace),
    tries,
    dueAt: state === 'delayed' ? dueOf(row) : undefined,
    failedAt: failure?.at,
    failingSince: failure?.since,
    triesMax: failure?.triesMax,
    error: failure?.error,
    result: undefined,
    doneAt: undefined,
  }
}

const doneEntry = (number: number, job: DoneJob): JobEntry => {
  const { key, attributes, priority, at: addedAt, tries, result, endedAt: doneAt } = job
  return {
    id: String(number),
    state: 'done',
    input: undefined,
    key: key || undefined,
    attributes,
    priority,
    addedAt,
    traceId: undefined,
    tries,
    result,
    doneAt,
    dueAt: undefined,
    failedAt: undefined,
    error: undefined,
    failingSince: undefined,
    triesMax: undefined,
  }
}

/** A job that is not done. `present`: its try, if it runs. */
export const lookOf = (
  found: FoundJob,
  tryKey: string,
  present: RunningTry | undefined,
): JobLook => ({
  ...entryOf(found),
  tryKey,
  progress: copied(present?.shown, 'the progress'),
  log: logOf(found.record.failure, present?.lines ?? []),
})

/** A job that is done. */
export const doneLook = (number: number, job: DoneJob, tryKey: string): JobLook => ({
  ...doneEntry(number, job),
  tryKey,
  progress: undefined,
  log: job.log,
})

/** Which jobs to list. One of `state` and `where`, or both. */
export type JobsOptions = {
  readonly state?: JobState
  /**
   * Jobs with all of these attributes, the one that was added last first. The rows of the first attribute
   * are walked through, and the other conditions filter: a page looks at 200 jobs at most, or at `limit`.
   */
  readonly where?: Readonly<Record<string, AttributeValue | undefined>>
  /** The most entries, 100 by default. */
  readonly limit?: number
  readonly cursor?: string
}

/** A page of jobs. */
export type JobsPage<J = unknown, R = unknown> = {
  readonly entries: readonly JobEntry<J, R>[]
  /** Whether it was the last page. */
  readonly exhausted: boolean
  /** Continues after the page; `undefined`: it was the last. */
  readonly cursor: string | undefined
}

const jobsOptions = object({
  state: optional(oneOf('waiting', 'delayed', 'running', 'dead', 'done')),
  where: optional(attributes),
  ...pageFields,
})

/** The prefix of the rows of a state. A running job keeps the row from which it was claimed. */
const prefixes: Readonly<Record<JobState, string>> = {
  waiting: waitingPrefix,
  running: waitingPrefix,
  delayed: delayedPrefix,
  dead: deadPrefix,
  done: donePrefix,
}

/** A page of the jobs of a queue that are in one state. The queue is not asked: it shows what is durable. */
export function* jobsIn(
  app: Pick<AppContext, 'entity'>,
  queue: string,
  options: JobsOptions,
): Look<JobsPage> {
  const { state, where, limit, cursor: after } = jobsOptions(options, argument('', 'a page'))
  if (where) return yield* jobsWith(app, queue, where, { state, limit, after })
  if (state === undefined) throw invalidArgument('state', 'the state of jobs, or where', state)
  if (after !== undefined && !(after.startsWith(prefixes[state]) && numberOf(after) > 0))
    throw invalidArgument('cursor', `the cursor of a page of jobs that are ${state}`, after)
  const { rows, claims, cut } = yield* heldIn(app, queue)
  const found =
    state === 'running'
      ? [...claims.keys()].sort().filter((row) => after === undefined || row > after)
      : yield* rowsOf(rows, state, after, limit + 1, claims)
  const entries: JobEntry[] = []
  for (const row of found.slice(0, limit)) {
    const entry = yield* entryAt(rows, row, state, claims.get(row) ?? cut.get(row))
    if (entry) entries.push(entry)
  }
  const exhausted = found.length <= limit
  return { entries, exhausted, cursor: exhausted ? undefined : found[limit - 1] }
}

/** The rows of a queue, and by their rows the tries of jobs that run, and of jobs that were cut off. */
function* heldIn(app: Pick<AppContext, 'entity'>, queue: string) {
  const queues = entitiesOf(app, 'queue', queue)
  const rows = queues.rows(queueId)
  const kept = (yield* ask(
    () => queues.state(queueId),
    () => queues.load(queueId),
  )) as KeptBook | undefined
  const claims = new Map((kept?.claims ?? []).map(([row, tries]) => [row, tries]))
  const cut = new Map((kept?.cut ?? []).map(([row, tries]) => [row, tries]))
  return { rows, claims, cut }
}

type WherePage = {
  readonly state: JobState | undefined
  readonly limit: number
  readonly after: string | undefined
}

/** A page of jobs with attributes looks at so many. */
const looksMax = 200

/** A page of the jobs with these attributes, the last one that was added first. */
function* jobsWith(
  app: Pick<AppContext, 'entity'>,
  queue: string,
  where: Attributes,
  { state, limit, after }: WherePage,
): Look<JobsPage> {
  const [name, value] = Object.entries(where)[0] as [string, AttributeValue]
  const prefix = attributePrefix(name, value)
  if (after !== undefined && !(after.startsWith(prefix) && numberOf(after) > 0))
    throw invalidArgument('cursor', 'the cursor of a page of jobs with these attributes', after)
  const { rows, claims, cut } = yield* heldIn(app, queue)
  const looks = Math.max(limit, looksMax)
  const range = { prefix, reverse: true, ...(after !== undefined && { lt: after }) }
  const keys = yield* keysOf(rows, range, looks + 1)
  const entries: JobEntry[] = []
  for (const [at, key] of keys.slice(0, looks).entries()) {
    const place = placeRow(numberOf(key))
    const row = (yield* ask(
      () => rows.get(place),
      () => rows.load(place),
    )) as string | undefined
    const its = row && stateAt(row, claims)
    const isWanted = row && its && (state ?? its) === its
    const entry = isWanted
      ? yield* entryAt(rows, row, its, claims.get(row) ?? cut.get(row))
      : undefined
    if (entry && areIn(where, entry.attributes)) entries.push(entry)
    if (entries.length === limit && at + 1 < keys.length)
      return { entries, exhausted: false, cursor: key }
  }
  const exhausted = keys.length <= looks
  return { entries, exhausted, cursor: exhausted ? undefined : keys[looks - 1] }
}

/** The state of the job in this row. */
const stateAt = (row: string, claims: ReadonlyMap<string, number>): JobState | undefined => {
  if (claims.has(row)) return 'running'
  const states = ['waiting', 'delayed', 'dead', 'done'] as const
  return states.find((each) => row.startsWith(prefixes[each]))
}

/** The rows of a state after one of them: waiting ones by their priority, the highest first. */
function* rowsOf(
  rows: RoutedRows,
  state: JobState,
  after: string | undefined,
  max: number,
  claims: ReadonlyMap<string, number>,
): Look<readonly string[]> {
  const found: string[] = []
  const prefix = prefixes[state]
  if (state !== 'waiting') return yield* keysOf(rows, { prefix, ...(after && { gt: after }) }, max)
  let lane = after === undefined ? undefined : waitingPrefixOf(placeOf(after).priority)
  for (let from = after; found.length < max; from = undefined) {
    if (from === undefined) {
      const below = { prefix, reverse: true, ...(lane !== undefined && { lt: lane }) }
      const [next] = yield* keysOf(rows, below, 1)
      if (next === undefined) return found
      lane = waitingPrefixOf(placeOf(next).priority)
    }
    // As many as run may be among them.
    const range = { prefix: lane as string, ...(from !== undefined && { gt: from }) }
    const keys = yield* keysOf(rows, range, max + claims.size)
    found.push(...keys.filter((row) => !claims.has(row)))
  }
  return found.slice(0, max)
}

function* keysOf(rows: RoutedRows, range: RowsOptions, max: number): Look<readonly string[]> {
  const found: string[] = []
  for (let cursor: string | undefined; found.length < max; ) {
    const options = {
      ...range,
      limit: max - found.length,
      values: false,
      ...(cursor && { cursor }),
    }
    const page = yield* ask(
      () => rows.range(options),
      () => rows.page(options),
    )
    found.push(...page.entries.map(([row]) => row))
    if (page.exhausted) break
    cursor = page.cursor
  }
  return found
}

/** A job that cannot be read has the error `CORRUPT`, no input, and zeros. */
const unreadable: JobRecord = {
  job: undefined,
  key: '',
  priority: 0,
  at: 0,
  tries: 0,
  unique: undefined,
  failure: {
    at: 0,
    error: { name: 'KeelsonError', code: 'CORRUPT', message: 'it cannot be read' },
  },
}

/** The job of a row; `undefined`: it has left it since, at another member. */
function* entryAt(
  rows: RoutedRows,
  row: string,
  state: JobState,
  tries: number | undefined,
): Look<JobEntry | undefined> {
  const get = yield* ask<RoutedRows['get'] | undefined>(
    () => (key) => rows.get(key),
    async () => {
      const read = await rows.load(row).then(
        (value) => value !== undefined && (() => value),
        (error) => () => {
          throw error
        },
      )
      return read ? (read as RoutedRows['get']) : undefined
    },
  )
  if (!get) return undefined
  if (state === 'done') return doneAt(row, get)
  const record = readRecord(row, { get }) ?? unreadable
  return entryOf({ state, row, record: { ...record, tries: tries ?? record.tries } })
}

const doneAt = (row: string, get: RoutedRows['get']): JobEntry | undefined => {
  const number = numberOf(row)
  try {
    const job = readDone(number, { get })
    return job && doneEntry(number, job)
  } catch (error) {
    if (!isKeelsonError(error, 'CORRUPT')) throw error
    return { ...entryOf({ state: 'dead', row, record: unreadable }), state: 'done' }
  }
}
