/** The log and the parts that are derived from it, shard by shard; and the replicas. */

import { clockText } from '../fact-words.ts'
import { toneOf } from '../state-tones.ts'
import type { DiskShown, Replication, StoragePage, StorageShard } from '../storage-answers.ts'
import { Act } from '../widgets/actions.tsx'
import { usePage } from '../widgets/asking.ts'
import { Ago, Badge, Card, Empty, Facts, measured, StateBadge } from '../widgets/parts.tsx'
import { bytesText, countText, durationText } from '../widgets/quantities.ts'
import { addressOf, type Route } from '../widgets/route.ts'
import { type Column, Table } from '../widgets/table.tsx'

/** The shards, page by page. */
export const StorageView = ({ data, route }: { data: StoragePage; route: Route }) => (
  <>
    <div class="top">
      <h1>Log and storage</h1>
      <span class="fill" />
      {route.query.from !== undefined && (
        <a class="button" href={addressOf('storage')}>
          First page
        </a>
      )}
      {data.next !== undefined && (
        <a class="button" href={addressOf('storage', [], { from: data.next })}>
          Next page
        </a>
      )}
    </div>
    <Shards of={data.shards} route={route} />
    {data.disk && <Disk of={data.disk} />}
  </>
)

/** The parts that fill the data folder, the space of the next copies, and the holders of the log. */
const Disk = ({ of }: { of: DiskShown }) => (
  <div class="cards">
    <Card title="Disk">
      <Table columns={partColumns} rows={of.parts} keyOf={({ part }) => part} />
      <Facts
        of={[
          ['data folder', bytesText(of.bytes)],
          [
            'disk',
            of.freeBytes === undefined ? undefined : (
              <span class={of.freeBytes < of.neededBytes ? 'bad' : ''}>
                {bytesText(of.freeBytes)} free, {bytesText(of.neededBytes)} needed until the next
                snapshots
              </span>
            ),
          ],
          ['first backup', `copies ${bytesText(of.backupBytes)} at most`],
          ...of.holders.map(
            ({ shard, by, bytes }) =>
              [`log of shard ${shard} for ${by}`, bytesText(bytes)] as const,
          ),
        ]}
      />
    </Card>
  </div>
)

const partColumns: readonly Column<DiskShown['parts'][number]>[] = [
  { title: 'part', cell: ({ part }) => part },
  { title: 'bytes', isNumber: true, cell: ({ bytes }) => bytesText(bytes) },
  { title: 'files', isNumber: true, class: 'aside', cell: ({ files }) => countText(files) },
  {
    title: 'most of it',
    cell: ({ most, count }) => {
      const named = most.map(({ name, bytes }) => `${name} ${bytesText(bytes)}`).join(', ')
      return named + (count > most.length ? ` and ${countText(count - most.length)} more` : '')
    },
  },
]

/** One table of all shards, and the chosen one in full. The only shard of an instance is chosen. */
const Shards = ({ of, route }: { of: readonly StorageShard[]; route: Route }) => {
  const { header } = usePage()
  const [first] = of
  const isSingle = of.length === 1 && route.query.from === undefined
  const isChosen = ({ shard }: StorageShard): boolean =>
    isSingle || String(shard) === route.query.shard
  const chosen = of.find(isChosen)
  return (
    <div class="cards">
      {!isSingle && first && (
        <Card isFlush>
          <Table
            columns={shardColumns(route, header.at, first.member !== undefined)}
            rows={of}
            keyOf={({ shard }) => shard}
            isChosen={isChosen}
          />
        </Card>
      )}
      {chosen && <Shard shard={chosen} />}
    </div>
  )
}

const unknown = <span class="muted">–</span>

/** A figure of a shard whose owner says nothing is unknown, and not 0. */
const figure =
  (cell: Column<StorageShard>['cell']): Column<StorageShard>['cell'] =>
  (of) =>
    of.phase === 'elsewhere' ? unknown : cell(of)

const shardColumns = (
  { query }: Route,
  now: number,
  hasMembers: boolean,
): readonly Column<StorageShard>[] => [
  {
    title: 'shard',
    class: 'nowrap',
    cell: ({ shard }) => (
      <a href={addressOf('storage', [], { from: query.from, shard })}>{`shard ${shard}`}</a>
    ),
  },
  ...(hasMembers
    ? [{ title: 'member', cell: ({ member }: StorageShard) => member ?? 'none' } as const]
    : []),
  { title: 'phase', cell: (of) => <Phase of={of} /> },
  {
    title: 'last LSN',
    isNumber: true,
    class: 'aside',
    cell: figure(({ lastLsn }) => countText(lastLsn)),
  },
  {
    title: 'log',
    isNumber: true,
    class: 'aside',
    cell: figure(({ logBytes }) => bytesText(logBytes)),
  },
  {
    title: 'projection',
    cell: figure(({ mode }) => <StateBadge of="projection" state={mode} />),
  },
  { title: 'lag', isNumber: true, cell: figure(({ lagMs }) => durationText(lagMs)) },
  {
    title: 'last snapshot',
    class: 'aside',
    cell: figure(({ snapshot }) => {
      if (snapshot === undefined) return 'none yet'
      return snapshot.at === undefined ? 'before the start' : <Ago at={snapshot.at} now={now} />
    }),
  },
  {
    title: 'free',
    isNumber: true,
    class: 'aside',
    cell: figure(({ freeBytes }) => measured(freeBytes, bytesText)),
  },
  { title: '', cell: (of) => <Remedy of={of} /> },
]

/** The phase of a shard, and why it is not open. */
const Phase = ({ of: { phase, reason, refusing, isSuspended } }: { of: StorageShard }) => (
  <>
    <StateBadge of="shard" state={phase} />
    {refusing !== undefined && <StateBadge of="shard" state="refuses writes" />}
    {isSuspended && <StateBadge of="shard" state="suspended" />}
    {reason !== undefined && <p class={phase === 'elsewhere' ? 'muted' : 'bad'}>{reason}</p>}
  </>
)

/** The action that a shard in trouble needs. */
const Remedy = ({ of: { shard, phase, isSuspended, clockAheadMs } }: { of: StorageShard }) => {
  if (phase === 'down') return <Act of={{ act: 'reopen', shard }} title="Reopen" />
  if (Math.abs(clockAheadMs) > 1_000)
    return <Act of={{ act: 'acceptClock', shard }} title="Accept clock" />
  return isSuspended ? <Act of={{ act: 'resumeShard', shard }} title="Resume" /> : null
}

const Meter = ({ value, max, title }: { value: number; max: number; title: string }) => (
  <span class="meter" title={title}>
    <i style={{ width: `${Math.min(100, (value * 100) / Math.max(1, max))}%` }} />
  </span>
)

const Shard = ({ shard: of }: { shard: StorageShard }) => {
  const { shard, phase } = of
  return (
    <Card
      title={`shard ${shard}${of.member === undefined ? '' : ` at ${of.member}`}`}
      isAlarming={phase === 'down' || of.refusing !== undefined}
      aside={
        <div class="acts">
          <StateBadge of="shard" state={phase} />
          {of.refusing !== undefined && <StateBadge of="shard" state="refuses writes" />}
          {of.isSuspended && (
            <>
              <StateBadge of="shard" state="suspended" />
              <Act of={{ act: 'resumeShard', shard }} title="Resume" />
            </>
          )}
          {phase === 'down' ? (
            <Act of={{ act: 'reopen', shard }} title="Reopen" />
          ) : (
            <>
              <Act of={{ act: 'flush', shard }} title="Flush" />
              <Act of={{ act: 'snapshot', shard }} title="Snapshot" />
            </>
          )}
          {Math.abs(of.clockAheadMs) > 1_000 && (
            <Act of={{ act: 'acceptClock', shard }} title="Accept clock" />
          )}
        </div>
      }
    >
      {of.reason !== undefined && (
        <p class={phase === 'elsewhere' ? 'muted gap' : 'bad gap'}>{of.reason}</p>
      )}
      {of.refusing !== undefined && <p class="bad gap">It refuses writes: {of.refusing}</p>}
      {phase !== 'elsewhere' && (
        <div class="columns">
          <LogFacts of={of} />
          <DerivedFacts of={of} />
          <Readers of={of} />
        </div>
      )}
    </Card>
  )
}

const LogFacts = ({ of }: { of: StorageShard }) => (
  <Facts
    of={[
      ['last LSN', countText(of.lastLsn)],
      [
        'durable',
        of.durableLsn === of.lastLsn ? 'all of it' : `to LSN ${countText(of.durableLsn)}`,
      ],
      [
        'log',
        `${bytesText(of.logBytes)} in ${of.segments === undefined ? 'the engine' : `${countText(of.segments)} segments`}`,
      ],
      ['kept for', of.held],
      ['writes waiting', countText(of.writesWaiting)],
      [
        'disk',
        of.freeBytes === undefined ? undefined : (
          <span class={of.freeBytes < of.neededBytes ? 'bad' : ''}>
            {bytesText(of.freeBytes)} free, {bytesText(of.neededBytes)} needed
          </span>
        ),
      ],
    ]}
  />
)

const DerivedFacts = ({ of }: { of: StorageShard }) => {
  const { header } = usePage()
  const { sinceSnapshotBytes: since, snapshotDueBytes: due } = of
  return (
    <Facts
      of={[
        [
          'projection',
          <>
            <StateBadge of="projection" state={of.mode} /> to LSN {countText(of.projectedLsn)}
          </>,
        ],
        ['lag', `${durationText(of.lagMs)}, ${bytesText(of.lagBytes)}`],
        [
          'last snapshot',
          of.snapshot === undefined ? 'none yet' : <Snapshot of={of.snapshot} now={header.at} />,
        ],
        [
          'next snapshot',
          <>
            <Meter value={since} max={due} title="The log since the last snapshot" />{' '}
            {bytesText(since)} of {bytesText(due)}
          </>,
        ],
        [
          'failed snapshot',
          of.snapshotFailure === undefined ? undefined : (
            <span class="bad">{of.snapshotFailure}</span>
          ),
        ],
        [
          'clock',
          Math.abs(of.clockAheadMs) > 1_000 ? (
            <span class="warn">{clockText(of.clockAheadMs, durationText)}</span>
          ) : undefined,
        ],
      ]}
    />
  )
}

const Snapshot = (props: {
  readonly of: NonNullable<StorageShard['snapshot']>
  readonly now: number
}) => {
  const { lsn, bytes, at } = props.of
  return (
    <>
      {at === undefined ? 'before the start' : <Ago at={at} now={props.now} />}{' '}
      <span class="muted">
        at LSN {countText(lsn)}, {bytesText(bytes)}
      </span>
    </>
  )
}

const Readers = ({ of: { subscriptions, projections } }: { of: StorageShard }) => {
  if (subscriptions.length + projections.length === 0)
    return <p class="muted">No subscription and no projection reads it.</p>
  return (
    <Facts
      of={[
        ...subscriptions.map(
          ({ name, state, lag }) =>
            [
              name,
              <>
                <StateBadge of="subscription" state={state} /> {countText(lag)} frames to go
              </>,
            ] as const,
        ),
        ...projections.map(
          ({ name, lag }) => [name, `projection, ${countText(lag)} frames to go`] as const,
        ),
      ]}
    />
  )
}

type Replica = Replication['followers'][number]['shards'][number]

const replicaColumns: readonly Column<Replica>[] = [
  { title: 'shard', cell: ({ shard }) => shard },
  {
    title: 'state',
    cell: ({ state }) => <StateBadge of="replica" state={state} />,
  },
  { title: 'records to go', isNumber: true, cell: ({ lagRecords }) => countText(lagRecords) },
  {
    title: 'lag',
    isNumber: true,
    cell: ({ lagMs }) => measured(lagMs, durationText),
  },
  { title: 'reason', cell: ({ reason = '' }) => reason },
]

/** The replicas. */
export const ReplicationView = ({ data }: { data: Replication }) => (
  <>
    <div class="top">
      <h1>Replication</h1>
    </div>
    <div class="cards">
      {data.followers.length === 0 && (
        <Card>
          <Empty title="Nothing is replicated">
            The option <code>replication</code> names replicas.
          </Empty>
        </Card>
      )}
      {data.followers.map(({ replica, isRequired, failures, retryInMs, shards }) => (
        <Card
          key={replica}
          title={replica}
          isName
          isFlush
          isAlarming={shards.some(({ state }) => toneOf('replica', state) === 'bad')}
          aside={
            <div class="acts">
              {isRequired && <Badge>required</Badge>}
              {failures > 0 && (
                <StateBadge of="replica" state="waiting">
                  {countText(failures)} failed tries
                  {retryInMs === undefined ? '' : `, next in ${durationText(retryInMs)}`}
                </StateBadge>
              )}
            </div>
          }
        >
          <Table columns={replicaColumns} rows={shards} keyOf={({ shard }) => shard} />
        </Card>
      ))}
    </div>
  </>
)
