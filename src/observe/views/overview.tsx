/** The first view: the parts in trouble, the slow ones, and the sizes. */
import { Fragment } from 'preact'
import { buildText, unnamedOf } from '../fact-words.ts'
import type { Latency, MemberRow, Overview, Sizes, Trouble } from '../process-answers.ts'
import type { Header } from '../protocol.ts'
import { usePage } from '../widgets/asking.ts'
import { Chart } from '../widgets/chart.tsx'
import { EventList } from '../widgets/events.tsx'
import { Badge, Card, Empty, Facts, Since, StateBadge, type Tone } from '../widgets/parts.tsx'
import { bytesText, countText, durationText, shortText, timeText } from '../widgets/quantities.ts'
import { addressOf } from '../widgets/route.ts'
import { type Column, Table } from '../widgets/table.tsx'

/** The first view. */
export const OverviewView = ({ data }: { data: Overview }) => {
  const { header, look } = usePage()
  const { troubles, member, members, sizes, series, recent, elsewhere = [] } = data
  return (
    <div class="cards">
      <BrokenCard of={troubles} now={header.at} />
      {member && <MemberCard of={member} now={header.at} />}
      {members && (
        <Card title="Members" isFlush>
          <Table columns={memberColumns(look, header)} rows={members} keyOf={({ name }) => name} />
        </Card>
      )}
      {elsewhere.length > 0 && (
        <Card title="Crashes at other members" isFlush>
          <EventList events={elsewhere} now={header.at} />
        </Card>
      )}
      <SlowCard of={data} now={header.at} />
      <SizesCard of={sizes} />
      <Card title="Turns and writes a second" width="half">
        <Chart
          times={series.times}
          lines={[
            { title: 'turns', values: series.turnsPerSecond },
            { title: 'writes', values: series.writesPerSecond },
          ]}
          textOf={shortText}
        />
      </Card>
      <Card title="Commit (p99) and loop delay" width="half">
        <Chart
          times={series.times}
          lines={[
            { title: 'commit', values: series.commitP99Ms },
            { title: 'loop', values: series.loopDelayMs },
          ]}
          textOf={durationText}
        />
      </Card>
      <Card title="Last events" isFlush>
        {recent.length === 0 ? (
          <Empty title="Nothing was recorded yet">
            Crashes, restarts, failing steps and warnings come here.
          </Empty>
        ) : (
          <EventList events={recent} now={header.at} />
        )}
      </Card>
    </div>
  )
}

/** The parts in trouble. */
const BrokenCard = ({ of: troubles, now }: { of: readonly Trouble[]; now: number }) => (
  <Card
    title="Broken"
    isFlush
    isAlarming={troubles.some(({ severity }) => severity === 'critical')}
  >
    {troubles.length === 0 ? (
      <p class="calm">Nothing is in trouble.</p>
    ) : (
      <ul class="troubles" aria-live="polite" aria-relevant="additions">
        {troubles.map((trouble, at) => (
          <TroubleLine
            key={`${at} ${trouble.kind} ${trouble.subject}`}
            trouble={trouble}
            now={now}
          />
        ))}
      </ul>
    )}
  </Card>
)

/** Slow handlers of the last minute, and pending ones. */
const SlowCard = ({ of, now }: { of: Overview; now: number }) => {
  const { measuredSince, latencies, pending, slow } = of
  const isNew = now - measuredSince < 60_000
  return (
    <Card
      title="Slow"
      width="half"
      isFlush
      aside={
        <span class="muted nowrap">
          {isNew ? `since ${timeText(measuredSince, now)}` : 'the last minute'}
        </span>
      }
    >
      {latencies.length === 0 ? (
        <p class="ending muted">Nothing is measured yet.</p>
      ) : (
        <Table columns={latencyColumns} rows={latencies} keyOf={({ title }) => title} />
      )}
      {pending.length > 0 && <PendingList of={pending} now={now} />}
      {slow.length > 0 && <EventList events={slow} now={now} />}
    </Card>
  )
}

/** The member of a cluster: whether it owns the instance. */
const MemberCard = ({ of, now }: { of: NonNullable<Overview['member']>; now: number }) => (
  <Card
    title={`Member ${of.name} of ${of.cluster}`}
    aside={<StateBadge of="member" state={of.phase} />}
  >
    <Facts
      of={[
        ['epoch', countText(of.epoch)],
        [of.phase, <Since at={of.since} now={now} />],
        ['lease', `${durationText(of.leftMs)} left of ${durationText(of.leaseMs)}`],
        ...(of.reason === undefined ? [] : [['waits for', of.reason] as const]),
      ]}
    />
  </Card>
)

const memberColumns = (
  look: (member: string) => void,
  { member, at }: Pick<Header, 'member' | 'at'>,
): readonly Column<MemberRow>[] => [
  {
    title: 'member',
    cell: ({ name }) =>
      name === member ? (
        <b>{name}</b>
      ) : (
        <button type="button" onClick={() => look(name)}>
          {name}
        </button>
      ),
  },
  { title: 'shards', isNumber: true, cell: ({ shards }) => countText(shards) },
  {
    title: 'phase',
    cell: ({ phase, reason }) =>
      phase === undefined ? (
        <Badge tone="bad">{reason}</Badge>
      ) : (
        <StateBadge of="instance" state={phase} />
      ),
  },
  {
    title: 'not projected',
    isNumber: true,
    cell: ({ lagBytes }) => (lagBytes === undefined ? '–' : bytesText(lagBytes)),
  },
  { title: 'build', cell: (row) => buildText(row) || '–' },
  {
    title: 'runs',
    isNumber: true,
    class: 'aside',
    cell: ({ since }) => (since === undefined ? '–' : <Since at={since} now={at} />),
  },
]

/** The memory of the process, and the space on its disk. */
const SizesCard = ({ of }: { of: Sizes }) => (
  <Card title="Memory and disk" width="half">
    <Facts
      of={[
        ['memory', bytesText(of.residentBytes)],
        ['heap of V8', bytesText(of.heapBytes)],
        ['buffers, external', bytesText(of.externalBytes)],
        ['free on the disk', of.freeBytes === undefined ? undefined : bytesText(of.freeBytes)],
        [
          'needed until the next snapshot',
          of.neededBytes === undefined ? undefined : bytesText(of.neededBytes),
        ],
        ['log since the snapshots', bytesText(of.logBytes)],
      ]}
    />
  </Card>
)

/** Handlers that have not ended. */
const PendingList = ({ of, now }: { of: Overview['pending']; now: number }) => (
  <div class="wide">
    <table class="log">
      <tbody>
        {of.map(({ pid, name, message, since }) => (
          <tr key={pid}>
            <td class="nowrap">
              <Badge tone="warn">pending</Badge>
            </td>
            <td class="what">
              <a href={addressOf('process', [pid])}>{name}</a> handles {message}
            </td>
            <td class="num warn">{durationText(Math.max(0, now - since))}</td>
          </tr>
        ))}
      </tbody>
    </table>
  </div>
)

const TroubleLine = ({ trouble, now }: { trouble: Trouble; now: number }) => {
  const { look } = usePage()
  const { severity, kind, alert, member, text, since, look: word, count = 1 } = trouble
  const { others = [], members = [] } = trouble
  const isFolded = others.length > 0
  const more = unnamedOf(trouble)
  return (
    <li>
      <span>
        <Badge tone={severity === 'critical' ? 'bad' : 'warn'}>{kind}</Badge>
        {isFolded && <span class="muted"> ×{countText(count)}</span>}
      </span>
      <div>
        {[trouble, ...others].map((each, place) => (
          <Fragment key={each.subject}>
            {place > 0 && ', '}
            <Subject of={each} onGo={() => member !== undefined && look(member)} />
          </Fragment>
        ))}
        {more > 0 && ` and ${countText(more)} more`}
        {member !== undefined && (
          <>
            {' '}
            at member{' '}
            <button type="button" onClick={() => look(member)}>
              {member}
            </button>
            {trouble.asOf !== undefined && ` as of ${durationText(now - trouble.asOf)} ago`}
          </>
        )}
        {members.length > 0 && ` at members ${members.join(', ')}`}
        <p>{text}</p>
        <p class="muted">
          {word !== undefined && (
            <>
              <code>{word}</code> at the prompt ·{' '}
            </>
          )}
          {alert}
        </p>
      </div>
      <span class="muted nowrap">{since !== undefined && <Since at={since} now={now} />}</span>
    </li>
  )
}

/** Each member has a tree; all other views have what any member has. */
const Subject = ({
  of: { subject, link },
  onGo,
}: {
  of: Pick<Trouble, 'subject' | 'link'>
  onGo: () => void
}) => (
  <b>
    {link ? (
      <a
        href={addressOf(link.view, link.parts, link.query)}
        onClick={link.view === 'tree' ? onGo : undefined}
      >
        {subject}
      </a>
    ) : (
      subject
    )}
  </b>
)

/** From how much on a time is slow, by its title, in ms. */
const slowFrom: Readonly<Record<string, number>> = { 'loop delay': 50, 'mailbox wait': 100 }

const slowTone = ({ title, p99Ms }: Latency): Tone => {
  const from = slowFrom[title] ?? 250
  return p99Ms >= from * 4 ? 'bad' : p99Ms >= from ? 'warn' : undefined
}

const latencyColumns: readonly Column<Latency>[] = [
  { title: '', cell: ({ title }) => title },
  {
    title: 'count',
    isNumber: true,
    cell: ({ count }) => <span class="muted">{countText(count)}</span>,
  },
  ...(
    [
      ['p50', 'p50Ms'],
      ['p99', 'p99Ms'],
      ['max', 'maxMs'],
    ] as const
  ).map(
    ([title, name]): Column<Latency> => ({
      title,
      isNumber: true,
      cell: (row) =>
        row.count === 0 ? (
          <span class="muted">–</span>
        ) : (
          <span class={name === 'p99Ms' ? slowTone(row) : undefined}>
            {durationText(row[name])}
          </span>
        ),
    }),
  ),
]
