/**
 * The jobs of a queue that wait, are delayed or run, and what each waits for: apart from the queue
 * itself, which has the dead ones, because those can be retried there.
 */
import type { JobRow } from '../entity-answers.ts'
import { jobNames } from '../fact-names.ts'
import { waitLine } from '../fact-words.ts'
import { usePage, usePages } from '../widgets/asking.ts'
import { Ago, Card, Empty } from '../widgets/parts.tsx'
import { countText, dueText } from '../widgets/quantities.ts'
import { addressOf } from '../widgets/route.ts'
import { Choice } from '../widgets/search.tsx'
import { type Column, PagedTable } from '../widgets/table.tsx'

const columns = (queue: string, now: number): readonly Column<JobRow>[] => [
  {
    title: 'job',
    class: 'nowrap',
    cell: ({ id }) => <a href={addressOf('job', [queue, id])}>{id}</a>,
  },
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

/** The jobs in one state. They are listed again when their count has changed. */
export const JobsCard = (props: {
  readonly queue: string
  readonly state: string | undefined
  readonly counts: Readonly<Record<string, number | undefined>>
}) => {
  const { queue, state = 'waiting', counts } = props
  const { header } = usePage()
  const pages = usePages('jobs', { queue, state }, counts[state])
  return (
    <Card
      title="Jobs"
      isFlush
      aside={
        <Choice
          label="State"
          value={state}
          options={states.map((each) => [each, each] as const)}
          onChoose={(chosen) => {
            location.hash = addressOf('queue', [queue], { state: chosen })
          }}
        />
      }
    >
      <PagedTable
        columns={columns(queue, header.at)}
        pages={pages}
        keyOf={({ id }) => id}
        empty={<Empty title={`No job is ${state}`} />}
      />
    </Card>
  )
}
