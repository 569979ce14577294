/** The troubles of queues, from their reports in the health of an instance. Pure. */
import type { QueueHealth } from '../../flow/index.ts'
import { pluralText } from '../text/quantities.ts'

/** A trouble of a queue. */
export type QueueTrouble = {
  readonly tone: 'bad' | 'warn'
  readonly queue: string
  readonly sort: 'dead jobs' | 'unreadable jobs' | 'queue full' | 'overdue jobs'
  readonly text: string
}

/** The most rows and jobs that are named. */
const namedMax = 3

/** The troubles of all queues. `parts`: of the health. Jobs that are tried again are in `actors`. */
export const queueTroubles = (
  parts: Readonly<Record<string, unknown>>,
): readonly QueueTrouble[] => {
  const prefix = 'queue/'
  return Object.entries(parts).flatMap(([name, report]) =>
    name.startsWith(prefix) && typeof (report as Partial<QueueHealth>)?.dead === 'number'
      ? troublesOf(name.slice(prefix.length), report as QueueHealth)
      : [],
  )
}

const troublesOf = (
  queue: string,
  { dead, unreadable, isFull, ready, delayed, running, overdue }: QueueHealth,
): readonly QueueTrouble[] => [
  ...(dead === 0
    ? []
    : [
        {
          ...({ tone: 'bad', queue, sort: 'dead jobs' } as const),
          text: `${pluralText(dead, 'job')} failed all tries: retry them, or mend the handler first`,
        },
      ]),
  ...(unreadable.length === 0
    ? []
    : [
        {
          ...({ tone: 'bad', queue, sort: 'unreadable jobs' } as const),
          text: `${pluralText(unreadable.length, 'row')} cannot be read: ${someOf(unreadable)}`,
        },
      ]),
  ...(isFull
    ? [
        {
          ...({ tone: 'bad', queue, sort: 'queue full' } as const),
          text: `it has ${pluralText(ready + delayed + running, 'job')}, and takes no more`,
        },
      ]
    : []),
  ...(overdue.length === 0
    ? []
    : [
        {
          ...({ tone: 'warn', queue, sort: 'overdue jobs' } as const),
          text: `${pluralText(overdue.length, 'handler')} ignored the end of their time: ${someOf(
            overdue.map(({ id }) => `job ${id}`),
          )}`,
        },
      ]),
]

const someOf = (texts: readonly string[]): string =>
  texts.slice(0, namedMax).join(', ') + (texts.length > namedMax ? ', …' : '')
