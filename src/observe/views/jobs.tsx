/**
 * The jobs of a queue that wait, are delayed or run, and what each waits for, or those with some
 * attributes, in every state: apart from the queue itself, which has the dead ones, because those
 * can be retried there.
 */
import type { JobRow } from '../entity-answers.ts'
import { jobNames } from '../fact-names.ts'
import { waitLine } from '../fact-words.ts'
import { usePage, usePages } from '../widgets/asking.ts'
import { Ago, Card, Empty } from '../widgets/parts.tsx'
import { countText, dueText } from '../widgets/quantities.ts'
import { addressOf } from '../widgets/route.ts'
import { Choice, EnteredText } from '../widgets/search.tsx'
import { type Column, PagedTable } from '../widgets/table.tsx'

const columns = (queue: string, now: number, isEvery: boolean): readonly Column<JobRow>[] => [
  {
    title: 'job',
    class: 'nowrap',
    cell: ({ id }) => <a href={addressOf('job', [queue, id])}>{id}</a>,
  },
  ...(isEvery ? [{ title: 'state', cell: ({ state = '' }: JobRow) => state }] : []),
  {
    title: jobNames.waitsFor,
    class: 'cut',
    cell: ({ waitsFor }) => waitsFor && waitLine(waitsFor, { until: (at) => dueText(at, now) }),
  },
  { title: jobNames.input, class: 'cut aside', cell: ({ text }) => <code>{text}</code> },
  {
    title: jobNames.error,
    class: 'cut',
    cell: ({ error = '' }) => <span class="bad">{error}</span>,
  },
  { title: jobNames.tries, isNumber: true, class: 'aside', cell: ({ tries }) => countText(tries) },
  { title: jobNames.key, class: 'nowrap aside', cell: ({ key = '' }) => key },
  {
    title: jobNames.addedAt,
    isNumber: true,
    cell: ({ addedAt }) => <Ago at={addedAt} now={now} />,
  },
]

const states = ['waiting', 'delayed', 'running']

/**
 * The jobs in one state, with the attributes if some are given; with these alone, in every state. They
 * are listed again when their count has changed.
 */
export const JobsCard = (props: {
  readonly queue: string
  readonly state: string | undefined
  readonly where: string | undefined
  readonly counts: Readonly<Record<string, number | undefined>>
}) => {
  const { queue, where = '', counts } = props
  const state = props.state ?? (where === '' ? 'waiting' : '')
  const { header } = usePage()
  const which = { ...(state !== '' && { state }), ...(where !== '' && { where }) }
  const all = Object.values(counts).reduce((sum: number, count = 0) => sum + count, 0)
  const pages = usePages('jobs', { queue, ...which }, state === '' ? all : counts[state])
  const every = where === '' ? [] : [['', 'every state'] as const]
  return (
    <Card
      title="Jobs"
      isFlush
      aside={
        <>
          <EnteredText
            key={where}
            label="Attributes"
            placeholder="customer=c-7"
            text={where}
            onEnter={(sought) => {
              location.hash = addressOf('queue', [queue], { state: props.state, where: sought })
            }}
          />{' '}
          <Choice
            label="State"
            value={state}
            options={[...every, ...states.map((each) => [each, each] as const)]}
            onChoose={(chosen) => {
              location.hash = addressOf('queue', [queue], { state: chosen, where })
            }}
          />
        </>
      }
    >
      <PagedTable
        columns={columns(queue, header.at, state === '')}
        pages={pages}
        keyOf={({ id }) => id}
        empty={<Empty title={where === '' ? `No job is ${state}` : 'No job is found'} />}
      />
    </Card>
  )
}
