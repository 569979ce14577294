/** Schedules, those of the tree and those made at run time. */
import type { SchedulePage, ScheduleRow } from '../entity-answers.ts'
import { originText } from '../fact-words.ts'
import { Act } from '../widgets/actions.tsx'
import { usePage } from '../widgets/asking.ts'
import { Card, Empty, StateBadge } from '../widgets/parts.tsx'
import { countText, dueText } from '../widgets/quantities.ts'
import { addressOf, type Route } from '../widgets/route.ts'
import { type Column, Table } from '../widgets/table.tsx'

const columns = (now: number, isWriting: boolean): readonly Column<ScheduleRow>[] => [
  { title: 'schedule', class: 'nowrap', cell: ({ name }) => <b>{name}</b> },
  {
    title: 'of',
    class: 'nowrap aside',
    cell: ({ isOfTree }) => originText(isOfTree),
  },
  { title: 'state', class: 'nowrap', cell: (row) => <State of={row} /> },
  {
    title: 'next',
    isNumber: true,
    class: 'nowrap',
    cell: ({ nextAt }) => (nextAt === undefined ? '–' : dueText(nextAt, now)),
  },
  {
    title: 'workflow',
    cell: ({ workflow }) => <a href={addressOf('runs', [workflow])}>{workflow}</a>,
  },
  {
    title: 'last run',
    class: 'nowrap aside',
    cell: ({ last, isRunning }) =>
      last === undefined ? (
        <span class="muted">none yet</span>
      ) : (
        <>
          <a href={addressOf('run', [last.type, last.id])}>{last.id}</a>{' '}
          {isRunning && <span class="muted">goes on</span>}
        </>
      ),
  },
  {
    title: 'waiting',
    isNumber: true,
    class: 'aside',
    cell: ({ waiting }) => countText(waiting),
  },
  {
    title: 'times',
    class: 'nowrap aside',
    cell: ({ cron, zone }) => (
      <code>
        {cron} {zone}
      </code>
    ),
  },
  ...(isWriting ? [{ title: ' ', isNumber: true, cell: actsOf }] : []),
]

const State = ({ of: { broken, isPaused } }: { of: ScheduleRow }) => {
  if (broken !== undefined)
    return (
      <>
        <StateBadge of="schedule" state="broken" />{' '}
        <span class="bad" title={broken}>
          {broken}
        </span>
      </>
    )
  return isPaused ? <StateBadge of="schedule" state="paused" /> : null
}

/** A broken one can only go: if the tree has its name, the other actions are on that one. */
const actsOf = ({ name: schedule, isOfTree, isPaused, broken }: ScheduleRow) => (
  <span class="acts">
    {broken === undefined && (
      <>
        <Act of={{ act: 'triggerSchedule', schedule }} title="Run now" />
        {isPaused ? (
          <Act of={{ act: 'resumeSchedule', schedule }} title="Resume" />
        ) : (
          <Act of={{ act: 'pauseSchedule', schedule }} title="Pause" />
        )}
      </>
    )}
    {!isOfTree && <Act of={{ act: 'deleteSchedule', schedule }} title="Delete" isDangerous />}
  </span>
)

/** A page of schedules as a card; nothing if there are none. */
export const ScheduleCard = ({ of: { rows, cursor, isCut } }: { of: SchedulePage }) => {
  const { header } = usePage()
  if (rows.length === 0) return null
  return (
    <Card
      title="Schedules"
      isFlush
      isAlarming={rows.some(({ broken }) => broken !== undefined)}
      aside={(cursor !== undefined || isCut) && <a href={addressOf('schedules')}>there are more</a>}
    >
      <Table
        columns={columns(header.at, header.isWriting)}
        rows={rows}
        keyOf={({ name, isOfTree }) => `${isOfTree} ${name}`}
      />
    </Card>
  )
}

/** All schedules, page by page. */
export const SchedulesView = ({ data, route }: { data: SchedulePage; route: Route }) => {
  const { rows, cursor, isCut } = data
  return (
    <>
      <div class="top">
        <h1>
          <a href={addressOf('flows')}>Flows</a> / schedules
        </h1>
        <span class="fill" />
        {route.query.cursor !== undefined && (
          <a class="button" href={addressOf('schedules')}>
            First page
          </a>
        )}
        {cursor !== undefined && (
          <a class="button" href={addressOf('schedules', [], { cursor })}>
            Next page
          </a>
        )}
      </div>
      {isCut && (
        <p class="muted">Not all of this page fits: keelson flow schedules has the rest.</p>
      )}
      {rows.length === 0 ? <Empty title="There is no schedule" /> : <ScheduleCard of={{ rows }} />}
    </>
  )
}
