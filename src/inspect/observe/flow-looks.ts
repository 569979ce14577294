/**
 * Workflows and queues as the page of `keelson observe` shows them. Only a look loads the flows. They
 * are apart from `looks.ts` because a frame has room for part of what `flow-parts.ts` answers.
 */
import { keptText } from '../../actors/index.ts'
import { type KeptError, reasonText } from '../../errors.ts'
import type { DeadJob, Row, RunStatus, StepRow } from '../../flow/index.ts'
import type { DeadPage, DeadRow, Flows, RunDetail, RunPage, RunRow } from '../../observe/index.ts'
import { redacted } from '../../redaction.ts'
import type { App } from '../../supervisors/index.ts'
import { countedFlows, deadPage, runInFull, runPage } from '../answers/flow-parts.ts'
import { lineText, shortText } from '../text/shown-text.ts'
import type { FlowRates } from './flow-rates.ts'
import { given, optionalText, type Query, textIn } from './questions.ts'
import { fitting, redactedTree } from './value-trees.ts'

const pageRows = 50
const stepsMax = 200
/** A frame has 64 KiB, of which the progress takes up to 24, and so does the input. */
const stepsBytes = 36 * 1024
const lineMax = 160

/** All workflows with how many runs have each status, and all queues. */
export const flowsShown = async (app: App, rates: FlowRates): Promise<Flows> => {
  const { workflows, queues } = await countedFlows(app)
  return {
    workflows: Object.entries(workflows).map(([type, counts]) => ({
      ...{ type, counts: counts as Record<string, number> },
      ...given({ rates: rates.of(type) }),
    })),
    queues: Object.entries(queues).map(([name, look]) => {
      const { ready, delayed, running, dead, oldest, isPaused, isFull, overdue } = look
      return {
        ...{ name, ready, delayed, running, dead, isPaused, isFull },
        overdue: overdue.length,
        ...(oldest !== undefined && { oldestAt: oldest }),
      }
    }),
  }
}

/** A page of runs. @throws KeelsonError `INVALID_ARGUMENT`, `BAD_CURSOR` */
export const runsShown = async (app: App, query: Query): Promise<RunPage> => {
  const status = optionalText(query, 'status') as RunStatus | undefined
  const cursor = optionalText(query, 'cursor')
  const options = { limit: pageRows, ...given({ status, cursor }) }
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
  ...{ id, addedAt, failedAt, tries, error: shortText(reasonText(error), 400) },
  text: lineText(redacted(job), lineMax),
  ...given({ key }),
})

/** One run with its steps. @throws KeelsonError `INVALID_ARGUMENT` */
export const runShown = async (app: App, query: Query): Promise<RunDetail> => {
  const [type, id] = [textIn(query, 'type'), textIn(query, 'id')]
  const { place, steps: page, ...row } = await runInFull(app, type, id, { limit: stepsMax })
  const input = row.input === undefined ? undefined : redactedTree(row.input)
  const bytes = stepsBytes - (input === undefined ? 0 : JSON.stringify(input).length)
  const steps = page.entries.map(stepOf)
  return {
    row: rowOf(row),
    ...(place && { place }),
    ...(input !== undefined && { input }),
    ...(row.progress !== undefined && { progress: redactedTree(row.progress) }),
    steps: fitting(steps, bytes),
  }
}

const errorText = (error: KeptError | undefined): string | undefined =>
  error && shortText(keptText(error), 400)

const rowOf = (row: Row): RunRow => {
  const { id, status, startedAt, since, attempt, error, parent, waitsFor } = row
  return {
    ...{ id, status, startedAt, since, attempt },
    ...given<RunRow>({ error: errorText(error), parent }),
    ...(waitsFor && {
      waitsFor: {
        kind: waitsFor.kind,
        ...given({ name: waitsFor.name && shortText(waitsFor.name, 300), until: waitsFor.until }),
      },
    }),
  }
}

const stepOf = (step: StepRow): RunDetail['steps'][number] => {
  const { key, kind, tries, outcome, value, error, at, dueAt, child } = step
  return {
    ...{ key: shortText(key, 300), kind, tries, at },
    ...(value !== undefined && { value: lineText(redacted(value), lineMax) }),
    ...given<RunDetail['steps'][number]>({ outcome, error: errorText(error), dueAt, child }),
  }
}
