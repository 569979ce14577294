/**
 * The workflows and queues of an instance by their names, and what they have: the answers that the
 * prompt, the page and the metrics share. Only a look loads `keelson/flow`.
 */
import { invalidArgument, isKeelsonError, type KeelsonError } from '../../errors.ts'
import type {
  CountsOf,
  DeadOptions,
  DeadPage,
  Flow,
  FlowApp,
  JobEntry,
  JobHold,
  JobLook,
  JobsOptions,
  JobsPage,
  ListedRun,
  ListOptions,
  Page,
  Queue,
  QueueLook,
  QueuePlace,
  Row,
  RunLook,
  ScheduleRow,
  Schedules,
  StepRow,
  Workflow,
} from '../../flow/index.ts'
import { jobWaitTexts, runWaitText, type Wait } from '../../observe/index.ts'
import { keyedByNames } from '../../redaction.ts'
import type { App } from '../../supervisors/index.ts'
import { type FlowSort, flowNames, flowsKind } from '../recorder/flow-names.ts'
import { unlessSilent } from './member-looks.ts'

/** A workflow or a queue by its name, as the functions of `flow` take it. */
export type FlowPart<S extends FlowSort> = S extends 'queue' ? Queue<unknown> : NamedWorkflow

/** Its functions take and give any values: a name does not say which. */
type NamedWorkflow = Workflow<unknown, unknown, Record<string, unknown>>

/** `flow(app)`. */
export const flowOf = async (app: FlowApp): Promise<Flow> =>
  (await import('../../flow/index.ts')).flow(app)

/** The names of the workflows or queues that have run in this instance. */
export const flowNamesOf = ({ entities }: App, sort: FlowSort): readonly string[] =>
  flowNames(sort, entities.known.keys())

/** A workflow or a queue. @throws KeelsonError `INVALID_ARGUMENT` for the name of no such part */
export const flowPart = <S extends FlowSort>(app: App, sort: S, name: string): FlowPart<S> => {
  const names = flowNamesOf(app, sort)
  if (!names.includes(name))
    throw invalidArgument(sort, `one of ${names.join(', ') || 'none: none runs'}`, name)
  // The functions of `flow` look for the declaration by this name.
  return { sort, name } as unknown as FlowPart<S>
}

/** How many runs of a workflow have each status, or how many jobs of a queue are where. */
export const countsOf = async <S extends FlowSort>(
  app: FlowApp,
  sort: S,
  name: string,
): Promise<S extends 'queue' ? QueueLook : CountsOf> => {
  const flow = await flowOf(app)
  return (await flow.counts({ sort, name } as Queue)) as Awaited<ReturnType<typeof countsOf<S>>>
}

/** All workflows and queues of an instance with their counts, by their names. */
export type FlowOverview = {
  readonly workflows: Readonly<Record<string, CountsOf>>
  readonly queues: Readonly<Record<string, QueueLook>>
  /** The names that do not answer, each with the error: its shard is down, say. */
  readonly silent: Readonly<Record<string, KeelsonError>>
}

/** Counts the runs of every workflow and the jobs of every queue, as far as they answer. */
export const countedFlows = async (app: App): Promise<FlowOverview> => {
  type Silent = readonly [string, KeelsonError]
  const counted = async <S extends FlowSort>(sort: S, silent: Silent[]) => {
    const all = flowNamesOf(app, sort).map(async (name) => {
      try {
        const counts = countsOf(app, sort, name)
        return [[name, await unlessSilent(app, `${sort} ${name}`, counts)] as const]
      } catch (error) {
        if (!isKeelsonError(error)) throw error
        silent.push([name, error])
        return []
      }
    })
    return keyedByNames(Object.fromEntries((await Promise.all(all)).flat()))
  }
  const [ofWorkflows, ofQueues]: [Silent[], Silent[]] = [[], []]
  const asked = [counted('workflow', ofWorkflows), counted('queue', ofQueues)] as const
  const [workflows, queues] = await Promise.all(asked)
  const silent = [...ofWorkflows, ...ofQueues]
  return { workflows, queues, silent: keyedByNames(Object.fromEntries(silent)) }
}

/** A run with what it waits for, in words too. */
export type WaitingRun<R> = Omit<R, 'waitsFor'> & {
  readonly waitsFor: (NonNullable<Row['waitsFor']> & Wait) | undefined
}

const withWait = <R extends Row>(row: R, place?: QueuePlace): WaitingRun<R> => {
  const { waitsFor, since } = row
  const wait = waitsFor && { ...waitsFor, text: runWaitText(waitsFor, place), since }
  return Object.assign({}, row, { waitsFor: wait })
}

/** A page of the runs of a workflow. @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR` */
export const runPage = async (
  app: App,
  type: string,
  options: Omit<ListOptions, 'type'>,
): Promise<Page<WaitingRun<ListedRun>>> => {
  const flow = await flowOf(app)
  const page = await flow.read('list', { ...options, type: flowPart(app, 'workflow', type) })
  return { ...page, entries: page.entries.map((row) => withWait(row)) }
}

/** A page of the dead jobs of a queue. @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR` */
export const deadPage = async (app: App, name: string, options: DeadOptions): Promise<DeadPage> => {
  const flow = await flowOf(app)
  return flow.read('dead', flowPart(app, 'queue', name), options)
}

/** The event that a job waits for. It waits since it was added, or since its last try failed. */
export type JobWait = Wait & { readonly reason: JobHold['reason'] | 'delay' | 'retry' }

/** A job with what it waits for. A queue that does not answer says nothing of ready ones. */
export type WaitingJob<E> = E & { readonly waitsFor?: JobWait }

/** A page of jobs. */
export type ShownJobs = Omit<JobsPage, 'entries'> & {
  readonly entries: readonly WaitingJob<JobEntry>[]
}

/** A page of the jobs of a queue in one state. @throws KeelsonError `INVALID_ARGUMENT` */
export const jobsPage = async (
  app: App,
  name: string,
  options: JobsOptions,
): Promise<ShownJobs> => {
  const flow = await flowOf(app)
  const queue = flowPart(app, 'queue', name)
  const page = await flow.read('jobs', queue, options)
  return { ...page, entries: await withWaits(flow, queue, page.entries) }
}

/** One job of a queue. @throws KeelsonError `INVALID_ARGUMENT`, `CORRUPT` */
export const jobInFull = async (
  app: App,
  name: string,
  id: string,
): Promise<WaitingJob<JobLook>> => {
  const flow = await flowOf(app)
  const queue = flowPart(app, 'queue', name)
  const found = await flow.job(queue, id).get()
  if (!found) throw invalidArgument('id', `the id of a job of ${name}`, id)
  const [shown = found] = await withWaits(flow, queue, [found])
  return shown
}

type Waits = Pick<JobEntry, 'state' | 'key' | 'addedAt' | 'dueAt' | 'failedAt'>

const withWaits = async <E extends Waits>(
  flow: Flow,
  queue: FlowPart<'queue'>,
  entries: readonly E[],
): Promise<readonly WaitingJob<E>[]> => {
  const isReady = ({ state }: Waits): boolean => state === 'waiting'
  const keys = [...new Set(entries.filter(isReady).map(({ key }) => key))]
  const holds = keys.length === 0 ? [] : await flow.holds(queue, keys).catch(() => [])
  const holdOf = new Map(keys.map((key, at) => [key, holds[at]]))
  return entries.map((entry) => {
    const hold = isReady(entry) ? holdOf.get(entry.key) : delayOf(entry)
    return hold ? { ...entry, waitsFor: waitOf(entry, hold) } : entry
  })
}

type Held = Pick<JobWait, 'reason' | 'until'>

/** Why and until when a delayed job waits: for its delay, or after a failure for its next try. */
const delayOf = ({ state, dueAt: until, failedAt }: Waits): Held | undefined => {
  if (state !== 'delayed') return undefined
  return { reason: failedAt === undefined ? 'delay' : 'retry', until }
}

const waitOf = ({ addedAt, failedAt }: Waits, { reason, until }: Held): JobWait => ({
  reason,
  text: jobWaitTexts[reason],
  since: failedAt ?? addedAt,
  ...(until !== undefined && { until }),
})

/** A page of the schedules; none without `flows`. @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR` */
export const schedulePage = async (
  app: App,
  options: Parameters<Schedules['list']>[0],
): Promise<Page<ScheduleRow>> => {
  if (!app.entities.known.has(flowsKind)) return { entries: [], exhausted: true }
  return (await flowOf(app)).schedules.read('list', options)
}

/** A run with a page of its operations, and with its place in the queue. */
export type RunInFull = WaitingRun<RunLook> & {
  readonly steps: Page<StepRow>
  readonly place?: QueuePlace | undefined
}

/** One run in full. @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR` */
export const runInFull = async (
  app: App,
  type: string,
  id: string,
  page: Parameters<Flow['steps']>[2],
): Promise<RunInFull> => {
  const flow = await flowOf(app)
  const part = flowPart(app, 'workflow', type)
  const row = await flow.read('get', part, id)
  if (!row) throw invalidArgument('id', `the id of a run of ${type}`, id)
  const steps = await flow.read('steps', part, id, page)
  // A queue that does not answer hides no run.
  const place = await flow.place(part, id).catch(() => undefined)
  return { ...withWait(row, place), steps, ...(place && { place }) }
}
