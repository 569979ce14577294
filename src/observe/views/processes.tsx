/** Processes: the busiest of all, and one in full. */
import { processNames } from '../fact-names.ts'
import { mailboxText } from '../fact-words.ts'
import type { ProcessDetail, Processes, ProcessLink, ProcessRow } from '../process-answers.ts'
import { toneOf } from '../state-tones.ts'
import { Act } from '../widgets/actions.tsx'
import { usePage } from '../widgets/asking.ts'
import { EventList } from '../widgets/events.tsx'
import { MachineDrawing } from '../widgets/machine.tsx'
import { Badge, Card, Empty, Facts } from '../widgets/parts.tsx'
import { countText, durationText, rateText, shortText, timeText } from '../widgets/quantities.ts'
import { addressOf, type Route } from '../widgets/route.ts'
import { Choice, SearchField } from '../widgets/search.tsx'
import { type Column, LongTable, Table } from '../widgets/table.tsx'
import { Value } from '../widgets/values.tsx'

/** The list of processes: its order, kind and search are in its address. */
export const ProcessesView = ({ data, route }: { data: Processes; route: Route }) => {
  const { order = 'rate', kind = '', find = '', after: place } = route.query
  const addressWith = (changed: Route['query']): string =>
    addressOf('processes', [], { order, kind, find, ...changed })
  const show = (changed: Route['query']): void => {
    location.hash = addressWith(changed)
  }
  return (
    <>
      <div class="top">
        <h1>Processes</h1>
        <span class="muted">
          {data.rows.length < data.total
            ? `${place === undefined ? 'the first ' : ''}${countText(data.rows.length)} of ${countText(data.total)}`
            : countText(data.total)}
        </span>
        <div class="acts">
          {place !== undefined && (
            <a class="button" href={addressWith({})}>
              First page
            </a>
          )}
          {data.next !== undefined && (
            <a class="button" href={addressWith({ after: data.next })}>
              Next page
            </a>
          )}
        </div>
        <span class="fill" />
        <Choice
          label="Kind"
          value={kind}
          options={[
            ['', 'every kind'],
            ...data.kinds.map(
              (each) => [each.kind, `${each.kind} (${countText(each.count)})`] as const,
            ),
          ]}
          onChoose={(kind) => show({ kind })}
        />
        <SearchField find={find} placeholder="name or pid" onFind={(find) => show({ find })} />
      </div>
      <Card isFlush>
        {data.rows.length === 0 ? (
          <Empty title="No process is like this" />
        ) : (
          <LongTable
            columns={columns}
            rows={data.rows}
            keyOf={({ pid }) => pid}
            order={order}
            onOrder={(chosen) => show({ order: chosen })}
          />
        )}
      </Card>
    </>
  )
}

const Status = ({ row }: { row: ProcessRow }) => {
  const tone = toneOf('process', row.status)
  if (tone) return <Badge tone={tone}>{row.status}</Badge>
  return (
    <span class="muted">
      {row.status}
      {row.handling && ` ${row.handling.message}`}
    </span>
  )
}

const faint = (isFaint: boolean, text: string) =>
  isFaint ? <span class="muted">{text}</span> : text

/** A message that is older has waited too long. In ms. */
const oldMs = 1_000

const columns: readonly Column<ProcessRow>[] = [
  {
    title: 'process',
    class: 'cut first',
    order: 'pid',
    cell: ({ pid, name }) => (
      <a href={addressOf('process', [pid])} title={`<${pid}>`}>
        {name || `<${pid}>`}
      </a>
    ),
  },
  {
    title: processNames.kind,
    class: 'aside nowrap',
    cell: ({ kind }) => <span class="muted">{kind}</span>,
  },
  {
    title: 'a second',
    order: 'rate',
    isNumber: true,
    cell: ({ perSecond }) => faint(perSecond < 0.05, shortText(perSecond)),
  },
  {
    title: processNames.mailbox,
    order: 'queue',
    isNumber: true,
    cell: ({ mailbox, mailboxMax = Number.POSITIVE_INFINITY }) =>
      mailbox > mailboxMax / 2 ? (
        <span class="bad">{countText(mailbox)}</span>
      ) : (
        faint(mailbox === 0, countText(mailbox))
      ),
  },
  {
    title: 'growth',
    order: 'growth',
    isNumber: true,
    class: 'aside',
    cell: ({ growth }) =>
      growth > 0.05 ? (
        <span class="warn">+{rateText(growth)}</span>
      ) : (
        faint(true, growth < -0.05 ? rateText(growth) : '–')
      ),
  },
  {
    title: 'oldest',
    order: 'oldest',
    isNumber: true,
    cell: ({ oldestMs = 0 }) =>
      oldestMs > oldMs ? (
        <span class="bad">{durationText(oldestMs)}</span>
      ) : (
        faint(true, oldestMs === 0 ? '–' : durationText(oldestMs))
      ),
  },
  {
    title: processNames.handled,
    order: 'handled',
    isNumber: true,
    class: 'aside',
    cell: ({ handled }) => shortText(handled),
  },
  {
    title: processNames.restarts,
    order: 'restarts',
    isNumber: true,
    cell: ({ restarts }) =>
      restarts > 0 ? <span class="warn">{countText(restarts)}</span> : faint(true, '0'),
  },
  { title: processNames.status, class: 'cut', cell: (row) => <Status row={row} /> },
]

/** One process. */
export const ProcessView = ({ data, route }: { data: ProcessDetail; route: Route }) => {
  const isTraced = route.query.trace === 'on'
  const { header } = usePage()
  const { row, messages, events, machine } = data
  return (
    <>
      <div class="top">
        <h1>{row.name || `<${row.pid}>`}</h1>
        <Status row={row} />
        {data.replaces !== undefined && (
          <span class="muted">{`<${data.replaces}> has ended, this is the next one`}</span>
        )}
        <span class="fill" />
        <div class="acts">
          <a
            class="button"
            href={addressOf('process', [row.pid], isTraced ? {} : { trace: 'on' })}
            title="Its last 100 messages, replies and steps"
          >
            {isTraced ? 'End trace' : 'Trace'}
          </a>
          <Act of={{ act: 'suspend', pid: row.pid }} title="Suspend" />
          <Act of={{ act: 'resume', pid: row.pid }} title="Resume" />
          <Act of={{ act: 'restart', pid: row.pid }} title="Restart" />
          <Act of={{ act: 'kill', pid: row.pid }} title="Kill" isDangerous />
        </div>
      </div>
      <div class="cards">
        <Card title="Process" width="half">
          <ProcessFacts data={data} now={header.at} />
        </Card>
        <Card title="State" width="half">
          {data.state === undefined ? (
            <p class="muted">{data.stateless ?? 'It has none.'}</p>
          ) : (
            <Value of={data.state} />
          )}
        </Card>
        {machine && (
          <Card title="Machine">
            <MachineDrawing states={machine.states} value={machine.value} />
          </Card>
        )}
        {isTraced && data.trace && <TraceCard of={data.trace} now={header.at} />}
        <MessagesCard of={messages} count={row.mailbox} />
        <Card title="Its events" width="half" isFlush>
          {events.length === 0 ? (
            <p class="calm">Nothing was recorded of it.</p>
          ) : (
            <EventList events={events} now={header.at} />
          )}
        </Card>
      </div>
    </>
  )
}

type Traced = NonNullable<ProcessDetail['trace']>

const arrows: Readonly<Record<string, string>> = { in: '→', out: '←', step: '⤳' }

const TraceCard = ({ of: { events, ended }, now }: { of: Traced; now: number }) => (
  <Card title="Trace" isFlush aside={<span class="muted">{ended ?? 'while this page looks'}</span>}>
    {events.length === 0 ? (
      <p class="calm">Nothing has come yet.</p>
    ) : (
      <div class="wide">
        <table class="log">
          <tbody>
            {[...events].reverse().map(({ at, direction, what, shape = '' }, index) => (
              <tr key={events.length - index}>
                <td class="muted nowrap">{timeText(at, now)}</td>
                <td class="nowrap" title={direction}>
                  {arrows[direction] ?? direction}
                </td>
                <td class="what">
                  <code>{what}</code> <span class="muted">{shape}</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    )}
  </Card>
)

const MessagesCard = (props: {
  readonly of: ProcessDetail['messages']
  readonly count: number
}) => {
  const { of, count } = props
  return (
    <Card
      title="Messages that wait"
      width="half"
      isFlush
      aside={<span class="muted">{countText(count)}</span>}
    >
      {of.length === 0 ? (
        <p class="calm">No message waits.</p>
      ) : (
        <Table
          columns={messageColumns}
          rows={of.map((message, at) => ({ ...message, at }))}
          keyOf={({ at }) => at}
        />
      )}
    </Card>
  )
}

const messageColumns: readonly Column<
  ProcessDetail['messages'][number] & { readonly at: number }
>[] = [
  { title: 'message', cell: ({ what }) => <code>{what}</code> },
  {
    title: 'payload',
    class: 'cut',
    cell: ({ shape }) => <span class="muted">{shape ?? ''}</span>,
  },
]

const Links = ({ of }: { of: readonly ProcessLink[] }) =>
  of.length === 0 ? (
    <span class="muted">none</span>
  ) : (
    <span>
      {of.map(({ pid, title }, at) => (
        <span key={pid}>
          {at > 0 && ', '}
          <a href={addressOf('process', [pid])}>{title}</a>
        </span>
      ))}
    </span>
  )

const ProcessFacts = ({ data, now }: { data: ProcessDetail; now: number }) => {
  const { row, parent, entity } = data
  const { mailboxMax, handling } = row
  return (
    <Facts
      of={[
        [processNames.pid, <code key="pid">{`<${row.pid}>`}</code>],
        [processNames.kind, row.kind],
        [
          'entity',
          entity && (
            <a
              href={addressOf('entity', [entity.kind, entity.id])}
            >{`${entity.kind}/${entity.id}`}</a>
          ),
        ],
        [
          processNames.handling,
          handling
            ? `${handling.message}, for ${durationText(Math.max(0, now - handling.since))}`
            : undefined,
        ],
        [processNames.mailbox, mailboxText(row.mailbox, mailboxMax)],
        [processNames.handled, `${countText(row.handled)}, ${rateText(row.perSecond)}`],
        [processNames.restarts, countText(row.restarts)],
        [processNames.parent, parent && <Links of={[parent]} />],
        [processNames.links, <Links key="links" of={data.links} />],
        [processNames.monitors, <Links key="monitors" of={data.monitors} />],
        [processNames.monitoredBy, <Links key="monitored by" of={data.monitoredBy} />],
        [processNames.trapExit, data.isTrapping ? 'yes' : 'no'],
      ]}
    />
  )
}
