/** One queue: how many jobs are where, and its dead jobs. */
import { useState } from 'preact/hooks'
import type { DeadRow, Flows } from '../entity-answers.ts'
import { jobNames } from '../fact-names.ts'
import { queueConditions } from '../fact-words.ts'
import type { Proposed } from '../protocol.ts'
import { Act } from '../widgets/actions.tsx'
import { usePage, usePages } from '../widgets/asking.ts'
import { Ago, Card, Empty, StateBadge } from '../widgets/parts.tsx'
import { agoText, countText } from '../widgets/quantities.ts'
import { addressOf, type Route } from '../widgets/route.ts'
import { type Column, PagedTable } from '../widgets/table.tsx'
import { JobsCard } from './jobs.tsx'

type Queue = Flows['queues'][number]

/** The condition of a queue as badges. */
export const QueueBadges = ({ of }: { of: Queue }) => (
  <>
    {queueConditions(of).map(({ state, text }) => (
      <StateBadge key={state} of="queue" state={state}>
        {text}
      </StateBadge>
    ))}
  </>
)

const deadColumns = (name: string, now: number, isWriting: boolean): readonly Column<DeadRow>[] => [
  {
    title: 'job',
    class: 'nowrap',
    cell: ({ id }) => <a href={addressOf('job', [name, id])}>{id}</a>,
  },
  { title: jobNames.input, class: 'cut', cell: ({ text }) => <code>{text}</code> },
  {
    title: jobNames.error,
    class: 'cut',
    cell: ({ error }) => (
      <span class="bad" title={error}>
        {error}
      </span>
    ),
  },
  { title: jobNames.tries, isNumber: true, class: 'aside', cell: ({ tries }) => countText(tries) },
  {
    title: jobNames.failedAt,
    isNumber: true,
    cell: ({ failedAt }) => <Ago at={failedAt} now={now} />,
  },
  {
    title: jobNames.addedAt,
    isNumber: true,
    class: 'aside',
    cell: ({ addedAt }) => <Ago at={addedAt} now={now} />,
  },
  ...(isWriting
    ? [
        {
          title: ' ',
          isNumber: true,
          cell: ({ id }: DeadRow) => (
            <Act of={{ act: 'retryJob', queue: name, id }} title="Retry job" />
          ),
        },
      ]
    : []),
]

/** The action that the fields of limits propose; `undefined`: they are all empty. */
const changeOf = (
  queue: string,
  { concurrency, perKey, max, per }: Readonly<Record<string, string>>,
  ofKey: boolean,
): Proposed | undefined => {
  if (![concurrency, perKey, max].some(Boolean)) return undefined
  return {
    act: 'setLimits',
    queue,
    ...(concurrency ? { concurrency } : {}),
    ...(perKey ? { perKey } : {}),
    ...(max ? { rate: { max, per: per || '1s', key: ofKey } } : {}),
  }
}

/** The limits that were changed at run time, and fields that change them in a session for writing. */
const LimitsCard = ({ of }: { of: Queue }) => {
  const { header } = usePage()
  const [fields, setFields] = useState<Readonly<Record<string, string>>>({})
  const [ofKey, setOfKey] = useState(false)
  if (!header.isWriting && of.changedLimits === undefined) return null
  const change = changeOf(of.name, fields, ofKey)
  const field = (name: string, placeholder: string) => (
    <input
      placeholder={placeholder}
      aria-label={placeholder}
      size={12}
      value={fields[name] ?? ''}
      onInput={(event) => setFields({ ...fields, [name]: event.currentTarget.value.trim() })}
    />
  )
  return (
    <Card
      title="Limits"
      aside={
        <span class="muted">
          {of.changedLimits === undefined ? 'as declared' : `changed: ${of.changedLimits}`}
        </span>
      }
    >
      {header.isWriting && (
        <form onSubmit={(event) => event.preventDefault()}>
          {field('concurrency', 'concurrency')} {field('perKey', 'per key')}{' '}
          {field('max', 'rate: tries')} {field('per', 'in, as 1s')}{' '}
          <label>
            <input
              type="checkbox"
              checked={ofKey}
              onChange={(event) => setOfKey(event.currentTarget.checked)}
            />{' '}
            of each key
          </label>{' '}
          {change && <Act of={change} title="Change limits" />}{' '}
          {of.changedLimits !== undefined && (
            <Act of={{ act: 'resetLimits', queue: of.name }} title="Reset limits" />
          )}
        </form>
      )}
    </Card>
  )
}

/** The queue with its dead jobs. */
export const QueueView = ({ data, route }: { data: Flows; route: Route }) => {
  const { header } = usePage()
  const [name = ''] = route.parts
  const [id, setId] = useState('')
  const queue = data.queues.find((each) => each.name === name)
  // A retried job leaves the list.
  const pages = usePages('dead', { queue: name }, queue?.dead)
  const dead = (
    <Card
      key="dead"
      title="Dead jobs"
      isFlush
      isAlarming={(queue?.dead ?? 0) > 0}
      aside={<span class="muted">{countText(queue?.dead ?? 0)}</span>}
    >
      <PagedTable
        columns={deadColumns(name, header.at, header.isWriting)}
        pages={pages}
        keyOf={({ id }) => id}
        empty={<Empty title="No job is dead">A job whose tries have ended comes here.</Empty>}
      />
    </Card>
  )
  // The list that was chosen comes first.
  const isChosen = route.query.state !== undefined || route.query.where !== undefined
  const jobs = (
    <JobsCard
      key="jobs"
      queue={name}
      state={route.query.state}
      where={route.query.where}
      counts={{ waiting: queue?.ready, delayed: queue?.delayed, running: queue?.running }}
    />
  )
  return (
    <>
      <div class="top">
        <h1>
          <a href={addressOf('flows')}>Flows</a> / {name}
        </h1>
        {queue && <QueueBadges of={queue} />}
        <span class="fill" />
        <form
          onSubmit={(event) => {
            event.preventDefault()
            if (id.trim() !== '') location.hash = addressOf('job', [name, id.trim()])
          }}
        >
          <input
            placeholder="the id of a job"
            aria-label="Id of a job"
            value={id}
            onInput={(event) => setId(event.currentTarget.value)}
          />
        </form>
        {queue && (
          <span class="muted">
            {countText(queue.ready)} ready, {countText(queue.running)} running,{' '}
            {countText(queue.delayed)} delayed
            {queue.oldestAt !== undefined &&
              `; the oldest is ${agoText(queue.oldestAt, header.at)}`}
          </span>
        )}
      </div>
      <div class="cards">
        {isChosen ? [jobs, dead] : [dead, jobs]}
        {queue && <LimitsCard key="limits" of={queue} />}
      </div>
    </>
  )
}
