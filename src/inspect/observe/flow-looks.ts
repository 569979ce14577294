/**
 * Workflows and queues as the page of `keelson observe` shows them. Only a look loads the flows. They
 * are apart from `looks.ts` because a frame has room for part of what `flow-parts.ts` answers.
 */

import { isKeelsonError, type KeelsonError, type KeptError } from '../../errors.ts'
import { keptText, recordLines } from '../../failure-record.ts'
import type {
  DeadJob,
  JobEntry,
  JobState,
  JobsOptions,
  ListedRun,
  RunStatus,
  ScheduleRow,
  StepRow,
} from '../../flow/index.ts'
import {
  type DeadPage,
  type DeadRow,
  type Flows,
  type JobDetail,
  type JobPage,
  type JobRow,
  limitsText,
  type RunDetail,
  type RunPage,
  type RunRow,
  type SchedulePage,
  unreadText,
} from '../../observe/index.ts'
import { redacted } from '../../redaction.ts'
import type { App } from '../../supervisors/index.ts'
import {
  countedFlows,
  deadPage,
  jobInFull,
  jobsPage,
  runInFull,
  runPage,
  schedulePage,
  type WaitingJob,
  type WaitingRun,
} from '../answers/flow-parts.ts'
import { unlessSilent } from '../answers/member-looks.ts'
import { lineText, shortText } from '../text/shown-text.ts'
import { whereIn } from '../text/where-text.ts'
import type { FlowRates } from './flow-rates.ts'
import { given, optionalText, type Query, textIn } from './questions.ts'
import { bytesOf, fitting, lastFitting, redactedTree } from './value-trees.ts'

const pageRows = 50
const stepsMax = 200
/** A frame has 64 KiB, of which the progress takes up to 24, and so does the input. */
const stepsBytes = 36 * 1024
const lineMax = 160
/** A page of schedules beside workflows and queues, and alone. */
const someSchedulesBytes = 16 * 1024
const schedulesBytes = 48 * 1024
/** Each value of a job, and its lines. */
const jobValueBytes = 10 * 1024
const jobLogBytes = 12 * 1024
/** The record of a failure of a job, of a run, and of all steps of it that are shown. */
const jobRecordBytes = 8 * 1024
const runRecordBytes = 4 * 1024
const stepRecordsBytes = 12 * 1024
/** The output of a run, beside its input and its progress. */
const outputBytes = 8 * 1024

/** All workflows with how many runs have each status, and all queues. */
export const flowsShown = async (app: App, rates: FlowRates): Promise<Flows> => {
  const page = unlessSilent(app, 'the schedules', schedulesIn(app, {}, someSchedulesBytes))
  const listed = page.catch((error: unknown): KeelsonError => {
    if (!isKeelsonError(error)) throw error
    return error
  })
  const [{ workflows, queues, ...counted }, found] = await Promise.all([countedFlows(app), listed])
  const isLost = isKeelsonError(found)
  const lost = [
    ...Object.entries(counted.silent),
    ...(isLost ? [['schedules', found] as const] : []),
  ]
  const silent = lost.map(([name, { code, details }]) => {
    const { members } = details as { readonly members?: readonly string[] }
    return { name, code, ...given({ members }) }
  })
  const schedules = isLost ? { rows: [] } : found
  return {
    workflows: Object.entries(workflows).map(([type, counts]) => ({
      type,
      counts: counts as Record<string, number>,
      ...given({ rates: rates.of(type) }),
    })),
    queues: Object.entries(queues).map(([name, look]) => {
      const { ready, delayed, running, dead, oldest, isPaused, isFull, overdue } = look
      const { changedLimits } = look
      return {
        name,
        ready,
        delayed,
        running,
        dead,
        isPaused,
        isFull,
        overdue: overdue.length,
        ...(oldest !== undefined && { oldestAt: oldest }),
        ...(changedLimits && { changedLimits: limitsText(changedLimits) }),
      }
    }),
    silent,
    schedules,
  }
}

/** A page of schedules. @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR` */
export const schedulesShown = (app: App, query: Query): Promise<SchedulePage> =>
  schedulesIn(app, query, schedulesBytes)

const schedulesIn = async (app: App, query: Query, bytesMax: number): Promise<SchedulePage> => {
  const cursor = optionalText(query, 'cursor')
  const page = await schedulePage(app, { limit: pageRows, ...given({ cursor }) })
  const all = page.entries.map(scheduleOf)
  const rows = fitting(all, bytesMax)
  return {
    rows,
    ...given({ cursor: page.cursor }),
    ...(rows.length < all.length && { isCut: true }),
  }
}

const scheduleOf = (row: ScheduleRow): SchedulePage['rows'][number] => {
  const { name, isOfTree, isPaused, cron, zone, workflow, waiting } = row
  const { next: nextAt, running, last, broken } = row
  return {
    name,
    isOfTree,
    isPaused,
    cron,
    zone,
    workflow,
    waiting,
    isRunning: running !== undefined,
    ...given<SchedulePage['rows'][number]>({ nextAt, last, broken }),
  }
}

/** A page of runs. @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR` */
export const runsShown = async (app: App, query: Query): Promise<RunPage> => {
  const status = optionalText(query, 'status') as RunStatus | undefined
  const cursor = optionalText(query, 'cursor')
  const text = optionalText(query, 'where')
  const where = text === undefined ? undefined : { ...whereIn(text), ...given({ status }) }
  const options = { limit: pageRows, ...given({ cursor, ...(where ? { where } : { status }) }) }
  const page = await runPage(app, textIn(query, 'type'), options)
  return { rows: page.entries.map(rowOf), ...given({ cursor: page.cursor }) }
}

/** A page of dead jobs. @throws KeelsonError `INVALID_ARGUMENT` */
export const deadShown = async (app: App, query: Query): Promise<DeadPage> => {
  const cursor = optionalText(query, 'cursor')
  const options = { limit: pageRows, ...given({ cursor }) }
  const page = await deadPage(app, textIn(query, 'queue'), options)
  return { rows: page.entries.map(deadOf), ...given({ cursor: page.cursor }) }
}

const deadOf = ({ id, key, job, addedAt, failedAt, tries, error }: DeadJob): DeadRow => ({
  id,
  addedAt,
  failedAt,
  tries,
  error: shortText(keptText(error), 400),
  text: lineText(redacted(job), lineMax),
  ...given({ key }),
})

/** A page of jobs in one state, or with these attributes, or both. @throws KeelsonError `INVALID_ARGUMENT` */
export const jobsShown = async (app: App, query: Query): Promise<JobPage> => {
  const cursor = optionalText(query, 'cursor')
  const text = optionalText(query, 'where')
  const state = optionalText(query, 'state') as JobState | undefined
  const which = given({ state, where: text === undefined ? undefined : whereIn(text) })
  const options = { ...which, limit: pageRows, ...given({ cursor }) } as JobsOptions
  const page = await jobsPage(app, textIn(query, 'queue'), options)
  const rows = page.entries.map((entry) =>
    state === undefined ? { ...jobRowOf(entry), state: entry.state } : jobRowOf(entry),
  )
  return { rows, ...given({ cursor: page.cursor }) }
}

const jobRowOf = (entry: WaitingJob<JobEntry>): JobRow => {
  const { id, state, key, priority, tries, addedAt, input, error } = entry
  return {
    id,
    priority,
    tries,
    addedAt,
    // The row of a done job has no input.
    text: state === 'done' ? '' : lineText(redacted(input), lineMax),
    ...given<JobRow>({ key, error: errorText(error), waitsFor: waitOf(entry) }),
  }
}

const waitOf = ({ waitsFor }: WaitingJob<unknown>): JobRow['waitsFor'] =>
  waitsFor && {
    text: waitsFor.text,
    since: waitsFor.since,
    ...given({ until: waitsFor.until }),
  }

/** One job of a queue. @throws KeelsonError `INVALID_ARGUMENT` */
export const jobShown = async (app: App, query: Query): Promise<JobDetail> => {
  const found = await jobInFull(app, textIn(query, 'queue'), textIn(query, 'id'))
  const { id, state, key, priority, tries, tryKey, addedAt, dueAt, failedAt, doneAt } = found
  const shown = (value: unknown) =>
    value === undefined ? undefined : redactedTree(value, jobValueBytes)
  const log = found.log.map((line) => shortText(line, 400))
  return {
    id,
    state,
    priority,
    tries,
    tryKey,
    addedAt,
    ...given<JobDetail>({
      key,
      dueAt,
      failedAt,
      doneAt,
      traceId: found.traceId,
      triesMax: found.triesMax,
      failingSince: found.failingSince,
      waitsFor: waitOf(found),
      error: errorText(found.error),
      failure: recordShown(found.error, jobRecordBytes),
      attributes: shown(found.attributes),
      input: shown(found.input),
      progress: shown(found.progress),
      result: shown(found.result),
    }),
    log: lastFitting(log, jobLogBytes),
  }
}

/** One run with its last steps. @throws KeelsonError `INVALID_ARGUMENT` */
export const runShown = async (app: App, query: Query): Promise<RunDetail> => {
  const [type, id] = [textIn(query, 'type'), textIn(query, 'id')]
  const options = { limit: stepsMax, reverse: true }
  const { steps: page, ...row } = await runInFull(app, type, id, options)
  const values = given<Pick<RunDetail, 'unread' | 'input' | 'output' | 'failure'>>({
    unread: row.unread.length === 0 ? undefined : shortText(unreadText(row.unread), 400),
    input: row.input === undefined ? undefined : redactedTree(row.input),
    output: row.output === undefined ? undefined : redactedTree(row.output, outputBytes),
    failure: recordShown(row.error, runRecordBytes),
  })
  let recordBytes = stepRecordsBytes
  const shown = page.entries.map((step) => {
    const failure = recordShown(step.error, recordBytes)
    if (failure) recordBytes -= bytesOf(failure)
    return { ...stepOf(step), ...given({ failure }) }
  })
  const steps = fitting(shown, stepsBytes - bytesOf(values))
  const isWhole = page.exhausted && steps.length === page.entries.length
  return {
    row: rowOf(row),
    ...values,
    ...(row.progress !== undefined && { progress: redactedTree(row.progress) }),
    ...(row.attributes && { attributes: redactedTree(row.attributes) }),
    steps: steps.toReversed(),
    ...(!isWhole && { isCut: true }),
  }
}

const errorText = (error: KeptError | undefined): string | undefined =>
  error && shortText(keptText(error), 400)

/** The lines of a record that fit. One without a stack and a cause says no more than its line. */
const recordShown = (
  error: KeptError | undefined,
  bytesMax: number,
): readonly string[] | undefined => {
  if (!error) return undefined
  const all = recordLines(error).map((line) => shortText(line, 400))
  const lines = fitting(all, bytesMax)
  return lines.length > 1 ? lines : undefined
}

const rowOf = (row: WaitingRun<ListedRun>): RunRow => {
  const { id, status, startedAt, since, attempt, error, parent, waitsFor } = row
  return {
    id,
    status,
    startedAt,
    since,
    attempt,
    ...given<RunRow>({ error: errorText(error), parent }),
    ...(waitsFor && {
      waitsFor: {
        kind: waitsFor.kind,
        text: shortText(waitsFor.text, 300),
        since: waitsFor.since,
        ...given({ name: waitsFor.name && shortText(waitsFor.name, 300), until: waitsFor.until }),
      },
    }),
  }
}

const stepOf = (step: StepRow): RunDetail['steps'][number] => {
  const { key, kind, tries, outcome, value, error, at, dueAt, child } = step
  return {
    key: shortText(key, 300),
    kind,
    tries,
    at,
    ...(value !== undefined && { value: lineText(redacted(value), lineMax) }),
    ...given<RunDetail['steps'][number]>({ outcome, error: errorText(error), dueAt, child }),
  }
}
