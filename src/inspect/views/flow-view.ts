/** Workflows and queues as text. Pure. */

import { inspect } from 'node:util'
import { LargeValue } from '../../actors/index.ts'
import { keptText, recordLines } from '../../failure-record.ts'
import type {
  DeadPage,
  JobLook,
  KeptError,
  LimitsLook,
  ListedRun,
  Page,
  QueueLook,
  RunStatus,
  ScheduleRow,
} from '../../flow/index.ts'
import {
  jobNames,
  limitsText,
  originText,
  queueConditions,
  runNames,
  runStatuses,
  triesText,
  unreadText,
  type Wait,
  waitLine,
} from '../../observe/index.ts'
import type {
  FlowOverview,
  RunInFull,
  ShownJobs,
  WaitingJob,
  WaitingRun,
} from '../answers/flow-parts.ts'
import { type Paint, printable } from '../text/paint.ts'
import { bytesText, countText } from '../text/quantities.ts'
import { factList, textTable } from '../text/text-table.ts'
import { recordText } from './record-view.ts'
import { stateText } from './state-view.ts'

const statuses: readonly RunStatus[] = runStatuses

/** All workflows and queues. */
export const overviewTable = ({ workflows, queues, silent }: FlowOverview): string => {
  const runs = Object.entries(workflows).map(([name, counts]) => [
    name,
    ...statuses.map((status) => countText(counts[status] ?? 0)),
  ])
  const jobs = Object.entries(queues).map(([name, look]) => [
    name,
    ...[look.ready, look.delayed, look.running, look.dead].map(countText),
    timeText(look.oldest),
    queueState(look),
  ])
  const without = Object.entries(silent).map(
    ([name, { message }]) => `${name} does not answer: ${printable(message)}`,
  )
  const tables = [
    ...(runs.length > 0 ? [textTable(['workflow', ...statuses.map(right)], runs)] : []),
    ...(jobs.length > 0 ? [textTable(queueColumns, jobs)] : []),
    ...(without.length > 0 ? [without.join('\n')] : []),
  ]
  return tables.join('\n\n') || 'no workflow and no queue runs'
}

const right = (heading: string): string => `>${heading}`

const queueColumns = ['queue', '>ready', '>delayed', '>running', '>dead', 'oldest', 'state']

const queueState = ({ isPaused, isFull, overdue }: QueueLook): string =>
  queueConditions({ isPaused, isFull, overdue: overdue.length })
    .map(({ text }) => text)
    .join(', ') || '-'

/** A page of runs, with the values that it shows. */
export const runTable = (page: Page<WaitingRun<ListedRun>>, paint: Paint): string => {
  const values = (['input', 'output'] as const).filter((name) =>
    page.entries.some((entry) => name in entry),
  )
  return tableOf(
    page,
    [
      'id',
      runNames.status,
      runNames.since,
      runNames.waitsFor,
      runNames.progress,
      ...values.map((name) => runNames[name]),
      runNames.error,
    ],
    ({ id, status, since, waitsFor, progress, error, ...row }) => [
      printable(id),
      stateText('run', status, paint),
      timeText(since),
      waitCell(waitsFor),
      cellText(progress),
      ...values.map((name) => cellText(row[name])),
      errorCell(error),
    ],
  )
}

/** `signal approve, until 2026-01-01T00:00:00.000Z`; of one run or job with the time of its begin. */
const waitCell = (wait: Wait | undefined, isInFull = false): string => {
  const untilText = (at: number): string => `until ${timeText(at)}`
  const sinceText = (at: number): string => `since ${timeText(at)}`
  const words = isInFull ? { since: sinceText, until: untilText } : { until: untilText }
  return wait === undefined ? '-' : printable(waitLine(wait, words))
}

/** One run in full. */
export const runFacts = (run: string, row: RunInFull, paint: Paint): string => {
  const { status, startedAt, since, attempt, error, waitsFor, progress, priority } = row
  const facts = factList([
    ['run', printable(run)],
    [runNames.status, stateText('run', status, paint)],
    [runNames.startedAt, timeText(startedAt)],
    [runNames.since, timeText(since)],
    [runNames.attempt, countText(attempt)],
    [runNames.input, cellText(row.input, valueMax)],
    [runNames.output, cellText(row.output, valueMax)],
    [runNames.waitsFor, waitCell(waitsFor, true)],
    ...(row.unread.length === 0 ? [] : [[runNames.unread, short(unreadText(row.unread))] as const]),
    [runNames.error, errorCell(error)],
    [runNames.progress, cellText(progress)],
    [runNames.parent, cell(row.parent)],
    ['root', cell(row.root)],
    ...(row.forkedFrom === undefined ? [] : [['forked from', printable(row.forkedFrom)] as const]),
    ['correlation', cell(row.correlation)],
    ...(row.attributes ? [[runNames.attributes, cellText(row.attributes, valueMax)] as const] : []),
    ['priority', cell(priority?.toString())],
  ])
  const table = tableOf(
    row.steps,
    ['key', 'kind', '>failed tries', 'outcome', 'value', 'written', 'due', 'child', 'error'],
    ({ key, kind, tries, outcome, value, at, dueAt, child, error: failure }) => [
      printable(key),
      kind,
      countText(tries),
      stateText('run', outcome ?? '-', paint),
      cellText(value),
      timeText(at),
      timeText(dueAt),
      cell(child),
      errorCell(failure),
    ],
  )
  return [
    facts,
    table,
    ...stepRecords(row),
    ...recordText(`${printable(run)} ${status}`, error, cellMax),
  ].join('\n\n')
}

/** The records of the steps that have failed last: an operator looks for the place in the code. */
const stepRecords = ({ steps }: RunInFull): readonly string[] =>
  steps.entries
    .filter(({ error, outcome }) => error !== undefined && outcome !== 'ok')
    .slice(-recordsMax)
    .flatMap(({ kind, key, error, ...tried }) =>
      recordText(`${kind} ${printable(key)}${failedText(tried)}`, error, cellMax),
    )

/** The most records after a table. */
const recordsMax = 5

type Tries = {
  readonly tries: number
  readonly triesMax: number | undefined
  readonly failingSince: number | undefined
}

/** ` failed at try 2 of 3, first at 2026-01-01T00:00:00.000Z`. */
const failedText = ({ tries, triesMax, failingSince }: Tries): string => {
  const first = failingSince === undefined ? '' : `, first at ${timeText(failingSince)}`
  return `${tries > 0 ? ` failed at try ${triesText(tries, triesMax)}` : ''}${first}`
}

/** One queue in full. */
export const queueFacts = (queue: string, look: QueueLook): string =>
  factList([
    ['queue', queue],
    ['state', queueState(look)],
    ['ready', countText(look.ready)],
    ['delayed', countText(look.delayed)],
    ['running', countText(look.running)],
    ['dead', countText(look.dead)],
    ['dead since', timeText(look.deadSince)],
    ['oldest', timeText(look.oldest)],
    ...(look.changedLimits ? [['changed limits', limitsText(look.changedLimits)] as const] : []),
    ...look.overdue.map(
      ({ id, attempt, since }) =>
        ['overdue', `job ${id}, attempt ${attempt}, since ${timeText(since)}`] as const,
    ),
  ])

/** The limits of a queue, and which were changed at run time. */
export const limitsFacts = (queue: string, limits: LimitsLook): string =>
  factList([
    ['queue', queue],
    ['limits', limitsText(limits)],
    ['changed', limits.changed.join(', ') || '-'],
    ['declared', limitsText(limits.declared)],
  ])

/** One job in full, with the record of its failure. */
export const jobFacts = (job: string, look: WaitingJob<JobLook>, paint: Paint): string => {
  const { state, input, key, priority, addedAt, dueAt, tries, failedAt, doneAt, ...others } = look
  const { triesMax, failingSince } = others
  const facts = factList([
    ['job', printable(job)],
    [jobNames.state, stateText('job', state, paint)],
    ...(others.waitsFor ? [[jobNames.waitsFor, waitCell(others.waitsFor, true)] as const] : []),
    [jobNames.input, cellText(input, valueMax)],
    [jobNames.key, cell(key)],
    ...(others.attributes
      ? [[jobNames.attributes, cellText(others.attributes, valueMax)] as const]
      : []),
    [jobNames.priority, cell(String(priority))],
    [jobNames.addedAt, timeText(addedAt)],
    ...(others.traceId === undefined ? [] : [[jobNames.traceId, others.traceId] as const]),
    [jobNames.dueAt, timeText(dueAt)],
    [jobNames.tries, triesText(tries, triesMax)],
    [jobNames.failingSince, timeText(failingSince)],
    [jobNames.failedAt, timeText(failedAt)],
    [jobNames.error, errorCell(others.error)],
    [jobNames.doneAt, timeText(doneAt)],
    [jobNames.result, cellText(others.result, valueMax)],
    [jobNames.progress, cellText(others.progress)],
    [jobNames.tryKey, printable(others.tryKey)],
    ...others.log.map((line) => [jobNames.log, short(line)] as const),
  ])
  return [facts, ...recordText('the failure', others.error, cellMax)].join('\n\n')
}

/** A page of dead jobs, with the records of its errors: jobs that died alike have one. */
export const deadTable = (page: DeadPage): string => {
  const table = tableOf(
    { entries: page.entries },
    ['id', jobNames.key, right(jobNames.tries), jobNames.failedAt, jobNames.error, jobNames.input],
    ({ id, key, tries, failedAt, error, job }) => [
      id,
      cell(key),
      countText(tries),
      timeText(failedAt),
      errorCell(error),
      cellText(job),
    ],
  )
  const alike = new Map<string, { readonly first: DeadPage['entries'][number]; others: number }>()
  for (const entry of page.entries) {
    const lines = recordLines(entry.error).join('\n')
    const known = alike.get(lines)
    if (known) known.others++
    else alike.set(lines, { first: entry, others: 0 })
  }
  const records = [...alike.values()].slice(0, recordsMax).flatMap(({ first, others }) => {
    const more = others === 0 ? '' : ` and ${countText(others)} more`
    return recordText(`job ${first.id}${more}`, first.error, cellMax)
  })
  return withCursor([table, ...records].join('\n\n'), page.cursor)
}

/** A page of jobs in one state. `hasStates`: in any state, which a column says then. */
export const jobsTable = (page: ShownJobs, hasStates = false): string =>
  tableOf(
    page,
    [
      'id',
      ...(hasStates ? [jobNames.state] : []),
      right(jobNames.priority),
      jobNames.key,
      right(jobNames.tries),
      jobNames.addedAt,
      jobNames.waitsFor,
      jobNames.failedAt,
      jobNames.error,
      jobNames.input,
      jobNames.result,
    ],
    ({ id, state, priority, key, tries, addedAt, waitsFor, failedAt, error, input, result }) => [
      id,
      ...(hasStates ? [state] : []),
      String(priority),
      cell(key),
      countText(tries),
      timeText(addedAt),
      waitCell(waitsFor),
      timeText(failedAt),
      errorCell(error),
      cellText(input),
      cellText(result),
    ],
  )

/** A page of schedules. */
export const scheduleTable = (page: Page<ScheduleRow>, paint: Paint): string =>
  tableOf(
    page,
    ['schedule', 'of', 'state', 'cron', 'zone', 'workflow', 'next', 'running', '>waiting'],
    ({ name, isOfTree, cron, zone, workflow, next, running, waiting, ...row }) => [
      printable(name),
      originText(isOfTree),
      scheduleState(row, paint),
      printable(cron),
      printable(zone),
      printable(workflow),
      timeText(next),
      cell(running),
      countText(waiting),
    ],
  )

const scheduleState = (
  { broken, isPaused }: Pick<ScheduleRow, 'broken' | 'isPaused'>,
  paint: Paint,
): string => {
  if (broken !== undefined) return `${stateText('schedule', 'broken', paint)}: ${printable(broken)}`
  return isPaused ? stateText('schedule', 'paused', paint) : '-'
}

const tableOf = <T>(
  { entries, cursor }: { readonly entries: readonly T[]; readonly cursor?: string | undefined },
  columns: readonly string[],
  cells: (entry: T) => readonly string[],
): string => {
  const table = entries.length === 0 ? 'none' : textTable(columns, entries.map(cells))
  return withCursor(table, cursor)
}

const withCursor = (text: string, cursor: string | undefined): string =>
  cursor === undefined ? text : `${text}\nmore after the cursor ${cursor}`

const timeText = (ms: number | undefined): string =>
  ms === undefined ? '-' : new Date(ms).toISOString()

const cell = (text: string | undefined): string => (text === undefined ? '-' : printable(text))

const errorCell = (error: (KeptError | Error) | undefined): string =>
  error ? short(keptText(error)) : '-'

/** A large value is shown by its size: it is read on demand. */
const cellText = (value: unknown, max = cellMax): string =>
  value === undefined
    ? '-'
    : value instanceof LargeValue
      ? `${bytesText(value.length)}: load() of flow(app).get(type, id) reads it`
      : short(
          inspect(value, { breakLength: Number.POSITIVE_INFINITY, compact: true, depth: 4 }),
          max,
        )

/** The most characters of a cell. */
const cellMax = 80

/** The most characters of the input and the output of one run or job. */
const valueMax = 1_000

const short = (text: string, max = cellMax): string =>
  printable(text.length > max ? `${text.slice(0, max - 1)}…` : text)
