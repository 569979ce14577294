/** Workflows and queues: how many runs have each status, a list of runs, and one run in time. */
import type { Flows, RunDetail, RunRow } from '../entity-answers.ts'
import { runNames } from '../fact-names.ts'
import { waitLine } from '../fact-words.ts'
import { runStatuses, toneOf } from '../state-tones.ts'
import { Act } from '../widgets/actions.tsx'
import { usePage, usePages } from '../widgets/asking.ts'
import {
  Ago,
  Badge,
  Card,
  Empty,
  Facts,
  measured,
  StateBadge,
  type Tone,
} from '../widgets/parts.tsx'
import {
  agoText,
  countText,
  dueText,
  durationText,
  rateText,
  sinceText,
  timeText,
} from '../widgets/quantities.ts'
import { addressOf, type Route } from '../widgets/route.ts'
import { Choice, EnteredText } from '../widgets/search.tsx'
import { type Column, PagedTable, Table } from '../widgets/table.tsx'
import { NamedValue } from '../widgets/values.tsx'
import { FailureCard, FailureLines } from './failure.tsx'
import { QueueBadges } from './queue.tsx'
import { ScheduleCard } from './schedules.tsx'
import { SignalForm } from './signal.tsx'
import { StreamCards } from './streams.tsx'

type Workflow = Flows['workflows'][number]
type Queue = Flows['queues'][number]

const number = (count: number, tone?: Tone) =>
  count === 0 ? <span class="muted">0</span> : <span class={tone}>{countText(count)}</span>

/** A narrow screen shows the first ones. */
const worstFirst = [...runStatuses].sort(
  (left, right) => Number(toneOf('run', right) === 'bad') - Number(toneOf('run', left) === 'bad'),
)

const workflowColumns: readonly Column<Workflow>[] = [
  { title: 'workflow', cell: ({ type }) => <a href={addressOf('runs', [type])}>{type}</a> },
  ...worstFirst.map(
    (status): Column<Workflow> => ({
      title: status,
      isNumber: true,
      cell: ({ type, counts }) => {
        const count = counts[status] ?? 0
        const tone = toneOf('run', status)
        return count === 0 ? (
          number(0)
        ) : (
          <a
            class={tone === 'good' ? undefined : tone}
            href={addressOf('runs', [type], { status })}
          >
            {countText(count)}
          </a>
        )
      },
    }),
  ),
]

/** A rate, or a time of the last minute. */
const rateColumn = (
  title: string,
  of: keyof NonNullable<Workflow['rates']>,
  text: (value: number) => string,
): Column<Workflow> => ({
  title,
  isNumber: true,
  cell: ({ rates }) => measured(rates?.[of], text),
})

const rateColumns: readonly Column<Workflow>[] = [
  {
    title: 'workflow, last minute',
    cell: ({ type }) => <a href={addressOf('runs', [type])}>{type}</a>,
  },
  rateColumn('started', 'startedPerSecond', rateText),
  rateColumn('completed', 'completedPerSecond', rateText),
  rateColumn('failed', 'failedPerSecond', rateText),
  rateColumn('start to end, p50', 'p50Ms', durationText),
  rateColumn('p99', 'p99Ms', durationText),
]

const queueColumns = (now: number): readonly Column<Queue>[] => [
  { title: 'queue', cell: ({ name }) => <a href={addressOf('queue', [name])}>{name}</a> },
  { title: 'ready', isNumber: true, cell: ({ ready }) => number(ready) },
  { title: 'delayed', isNumber: true, cell: ({ delayed }) => number(delayed) },
  { title: 'running', isNumber: true, cell: ({ running }) => number(running) },
  { title: 'dead', isNumber: true, cell: ({ dead }) => number(dead, 'bad') },
  {
    title: 'oldest ready',
    isNumber: true,
    cell: ({ oldestAt }) => measured(oldestAt, (at) => agoText(at, now)),
  },
  {
    title: 'state',
    cell: (queue) => <QueueBadges of={queue} />,
  },
]

/** All workflows and queues. */
export const FlowsView = ({ data }: { data: Flows }) => {
  const { header } = usePage()
  return (
    <>
      <div class="top">
        <h1>Flows</h1>
      </div>
      <div class="cards">
        <Card title="Workflows" isFlush>
          {data.workflows.length === 0 ? (
            <Empty title="No workflow runs" />
          ) : (
            <Table columns={workflowColumns} rows={data.workflows} keyOf={({ type }) => type} />
          )}
        </Card>
        {data.workflows.length > 0 && (
          <Card title="Rates" isFlush>
            <Table columns={rateColumns} rows={data.workflows} keyOf={({ type }) => type} />
          </Card>
        )}
        <Card title="Queues" isFlush>
          {data.queues.length === 0 ? (
            <Empty title="No queue runs" />
          ) : (
            <Table
              columns={queueColumns(header.at)}
              rows={data.queues}
              keyOf={({ name }) => name}
            />
          )}
        </Card>
        {data.silent.length > 0 && (
          <Card title="Without an answer">
            {data.silent.map(({ name, code, members }) => (
              <p class="bad" key={name}>
                {name}: {code}
                {members && `, no answer from ${members.join(', ')}`}
              </p>
            ))}
          </Card>
        )}
        <ScheduleCard of={data.schedules} />
      </div>
    </>
  )
}

const runColumns = (type: string, now: number): readonly Column<RunRow>[] => [
  {
    title: 'run',
    class: 'cut first',
    cell: ({ id }) => <a href={addressOf('run', [type, id])}>{id}</a>,
  },
  {
    title: runNames.status,
    class: 'nowrap',
    cell: (row) => <StateBadge of="run" state={row.status} />,
  },
  {
    title: runNames.since,
    isNumber: true,
    cell: ({ since }) => <Ago at={since} now={now} />,
  },
  {
    title: runNames.startedAt,
    isNumber: true,
    class: 'aside',
    cell: ({ startedAt }) => timeText(startedAt, now),
  },
  {
    title: runNames.attempt,
    isNumber: true,
    class: 'aside',
    cell: ({ attempt }) => countText(attempt),
  },
  {
    title: runNames.waitsFor,
    class: 'cut',
    cell: ({ waitsFor }) => waitsFor && waitLine(waitsFor, { until: (at) => dueText(at, now) }),
  },
  {
    title: runNames.error,
    class: 'cut',
    cell: ({ error = '' }) => <span class="bad">{error}</span>,
  },
]

/** The runs of a workflow. */
export const RunsView = ({ data, route }: { data: Flows; route: Route }) => {
  const { header } = usePage()
  const [type = ''] = route.parts
  const { status, where = '' } = route.query
  const workflow = data.workflows.find((each) => each.type === type)
  const counts = workflow?.counts
  const pages = usePages('runs', {
    type,
    ...(status !== undefined && { status }),
    ...(where !== '' && { where }),
  })
  return (
    <>
      <div class="top">
        <h1>
          <a href={addressOf('flows')}>Flows</a> / {type}
        </h1>
        <span class="fill" />
        <EnteredText
          label="Id of a run"
          placeholder="the id of a run"
          text=""
          onEnter={(id) => {
            if (id !== '') location.hash = addressOf('run', [type, id])
          }}
        />
        <EnteredText
          key={where}
          label="Attributes"
          placeholder="customer=c-7"
          text={where}
          onEnter={(sought) => {
            location.hash = addressOf('runs', [type], { status, where: sought })
          }}
        />
        <Choice
          label="Status"
          value={status ?? ''}
          options={[
            ['', 'every status'],
            ...runStatuses.map(
              (name) => [name, `${name} (${countText(counts?.[name] ?? 0)})`] as const,
            ),
          ]}
          onChoose={(status) => {
            location.hash = addressOf('runs', [type], { status, where })
          }}
        />
      </div>
      <div class="cards">
        {workflow && (
          <Card title="Rates" isFlush>
            <Table columns={rateColumns.slice(1)} rows={[workflow]} keyOf={({ type }) => type} />
          </Card>
        )}
        <Card isFlush>
          <PagedTable
            columns={runColumns(type, header.at)}
            pages={pages}
            keyOf={({ id }) => id}
            empty={<Empty title="No run is found" />}
          />
        </Card>
      </div>
    </>
  )
}

const isOver = (status: string): boolean => ['completed', 'failed', 'cancelled'].includes(status)

const isRetried = (status: string): boolean => ['blocked', 'failed', 'cancelled'].includes(status)

/** The signal that a run waits for: its wait has the key `approve#1`. A key of its body has no name. */
const awaited = ({ steps, row }: RunDetail): string => {
  if (row.waitsFor?.kind === 'signal') return row.waitsFor.name ?? ''
  const wait = steps.find(({ kind, outcome }) => kind === 'wait' && outcome === undefined)
  return /^(.+)#\d+$/.exec(wait?.key ?? '')?.[1] ?? ''
}

/** One run with its steps. */
export const RunView = ({ data, route }: { data: RunDetail; route: Route }) => {
  const { header } = usePage()
  const [type = ''] = route.parts
  const { row } = data
  const of = { type, id: row.id }
  const end = isOver(row.status) ? row.since : header.at
  return (
    <>
      <div class="top">
        <h1>
          <a href={addressOf('runs', [type])}>{type}</a> / {row.id}
        </h1>
        <StateBadge of="run" state={row.status} />
        <span class="fill" />
        <div class="acts">
          {isRetried(row.status) && <Act of={{ act: 'retryRun', ...of }} title="Retry" />}
          {!isOver(row.status) && (
            <Act of={{ act: 'cancelRun', ...of }} title="Cancel run" isDangerous />
          )}
        </div>
      </div>
      {row.error !== undefined && <p class="banner bad">{row.error}</p>}
      <div class="cards">
        <FailureCard lines={data.failure} />
        <RunCard run={data} type={type} end={end} now={header.at} />
        <Card
          title="Steps"
          width="two-thirds"
          aside={
            data.isCut && (
              <span class="muted">
                the last {countText(data.steps.length)}; keelson flow show has the others
              </span>
            )
          }
        >
          <Timeline run={data} end={end} now={header.at} />
        </Card>
        <StreamCards of={data.streams} />
        {!isOver(row.status) && <SignalForm {...of} expected={awaited(data)} />}
      </div>
    </>
  )
}

const RunCard = (props: {
  readonly run: RunDetail
  readonly type: string
  readonly end: number
  readonly now: number
}) => {
  const { run, type, end, now } = props
  const { row, progress, input, output, attributes } = run
  const until = (at: number): string => dueText(at, now)
  const since = (at: number): string => sinceText(at, now)
  return (
    <Card title="Run" width="third">
      <Facts
        of={[
          [runNames.startedAt, timeText(row.startedAt, now)],
          [runNames.since, timeText(row.since, now)],
          [isOver(row.status) ? 'took' : 'age', durationText(Math.max(0, end - row.startedAt))],
          [runNames.attempt, countText(row.attempt)],
          [runNames.waitsFor, row.waitsFor && waitLine(row.waitsFor, { since, until })],
          [runNames.unread, run.unread],
          [runNames.parent, row.parent],
          [
            'as an entity',
            <a key="entity" href={addressOf('entity', [`$flow-${type}`, row.id])}>
              its turns
            </a>,
          ],
        ]}
      />
      <NamedValue title={runNames.input} value={input} />
      <NamedValue title={runNames.output} value={output} />
      <NamedValue title={runNames.progress} value={progress} />
      <NamedValue title={runNames.attributes} value={attributes} />
    </Card>
  )
}

type Step = RunDetail['steps'][number]

/** The steps on one line of time: each from the end of the one before to its outcome. */
const Timeline = (props: {
  readonly run: RunDetail
  readonly end: number
  readonly now: number
}) => {
  const { run, end, now } = props
  const { steps, row, isCut } = run
  const [first] = steps
  if (!first) return <p class="muted">It has no step yet.</p>
  const begin = isCut ? first.at : row.startedAt
  const span = Math.max(1, end - begin)
  const place = (at: number): number => Math.min(100, Math.max(0, ((at - begin) * 100) / span))
  return (
    <div class="timeline">
      {steps.map((step, at) => {
        const from = place(steps[at - 1]?.at ?? begin)
        const to = step.outcome === undefined ? 100 : place(step.at)
        const [left, width] = [Math.min(from, to), Math.max(0.5, Math.abs(to - from))]
        return [
          <div key={step.key}>
            <b>{step.key}</b> <span class="muted">{step.kind === step.key ? '' : step.kind}</span>
          </div>,
          <div key={`${step.key} track`} class="track" title={timeText(step.at, now)}>
            <i class={barOf(step)} style={{ left: `${left}%`, width: `${width}%` }} />
          </div>,
          <div key={`${step.key} words`} class="words">
            <StepWords step={step} now={now} />
          </div>,
          // The card of the failure has that of the run.
          step.failure && step.failure.join() !== run.failure?.join() && (
            <div key={`${step.key} record`} class="record">
              <FailureLines lines={step.failure} />
            </div>
          ),
        ]
      })}
    </div>
  )
}

const barOf = ({ outcome, tries }: Step): string => {
  if (outcome === undefined) return tries > 0 ? 'warn' : 'live'
  return toneOf('run', outcome) === 'bad' ? 'bad' : ''
}

const StepWords = ({ step, now }: { step: Step; now: number }) => {
  const { outcome, tries, value, error, dueAt, child } = step
  const [type, ...id] = (child ?? '').split('/')
  return (
    <>
      {outcome === undefined ? (
        <Badge tone={tries > 0 ? 'warn' : undefined}>pending</Badge>
      ) : (
        <StateBadge of="run" state={outcome} />
      )}{' '}
      {tries > 0 && <span class="warn">{countText(tries)} failed tries </span>}
      {outcome === undefined && dueAt !== undefined && (
        <span class="muted">{dueText(dueAt, now)} </span>
      )}
      {type && <a href={addressOf('run', [type, id.join('/')])}>{child}</a>}
      {value !== undefined && <code class="cut">{value}</code>}
      {error !== undefined && <p class="bad">{error}</p>}
    </>
  )
}
