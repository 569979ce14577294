/**
 * The facts about runs, jobs, queues, processes, actors and shards in words: what something waits for
 * and since when, the condition of a queue, the room of a mailbox. Page, prompt, command line and JSON
 * are made from these words. Only times and durations are of each view: a page shows how long ago
 * something was, a text when. Pure, and apart from the answers, because the page has no other code of
 * the server.
 */
import type { QueueState } from './state-tones.ts'
import { countText } from './widgets/quantities.ts'

/** The event that a run or a job waits for. Times in ms since 1970. */
export type Wait = {
  /** In words, without its times: `signal approve`, `queue mails, place 3 of 17`, `its next try`. */
  readonly text: string
  /** Since when it waits. */
  readonly since: number
  /** When it goes on without that, if that is known. */
  readonly until?: number | undefined
}

/** The event of a run: a kind such as `signal`, its name, and a place in the queue of that name. */
export const runWaitText = (
  { kind, name }: { readonly kind: string; readonly name?: string | undefined },
  place?: { readonly before: number; readonly ready: number },
): string => {
  const event = name === undefined ? kind : `${kind} ${name}`
  if (!place) return event
  return `${event}, place ${countText(place.before + 1)} of ${countText(place.ready)}`
}

/** The reasons why a job waits. `delay` and `retry` are the time of a delayed one, before and after a try. */
export const jobWaitTexts = {
  turn: 'its turn',
  paused: 'the end of the pause of its queue',
  closing: 'the next start of the instance',
  places: 'a place: as many jobs run as may',
  key: 'a place of its key: as many of its jobs run as may',
  rate: 'the rate: as many have started as may',
  suspect: 'a job that runs alone, as it may have ended the process',
  batch: 'other jobs of its batch',
  delay: 'its delay',
  retry: 'its next try',
} as const

/** The times of a wait in the words of a view. A list that has a column for `since` leaves it out. */
type TimeWords = {
  readonly since?: (at: number) => string
  readonly until: (at: number) => string
}

/** A wait with its times: `signal approve, since 03:12:44, 5 min, in 55 min`. */
export const waitLine = ({ text, since, until }: Wait, words: TimeWords): string =>
  [
    text,
    ...(words.since ? [words.since(since)] : []),
    ...(until === undefined ? [] : [words.until(until)]),
  ].join(', ')

/** Signals and updates that a body has not read: `signal fetched; update price, 3 times`. */
export const unreadText = (
  unread: readonly { readonly kind: string; readonly name: string; readonly count: number }[],
): string =>
  unread
    .map(
      ({ kind, name, count }) =>
        `${kind} ${name}${count === 1 ? '' : `, ${countText(count)} times`}`,
    )
    .join('; ')

/** The conditions of a queue that are not ordinary, each with its words. */
export const queueConditions = (queue: {
  readonly isPaused: boolean
  readonly isFull: boolean
  /** How many handlers have ignored the end of their time. */
  readonly overdue: number
}): readonly { readonly state: QueueState; readonly text: string }[] => [
  ...(queue.isPaused ? [{ state: 'paused', text: 'paused' } as const] : []),
  ...(queue.isFull ? [{ state: 'full', text: 'full' } as const] : []),
  ...(queue.overdue > 0
    ? [{ state: 'overdue', text: `${handlersText(queue.overdue)} overdue` } as const]
    : []),
]

/** Limits of a queue in words: `concurrency 5, perKey 2, rate 100 in 1,000 ms of each key`. */
export const limitsText = ({
  concurrency,
  perKey,
  rate,
}: {
  readonly concurrency?: number | undefined
  readonly perKey?: number | undefined
  readonly rate?:
    | { readonly max: number; readonly per: number | string; readonly key?: boolean | undefined }
    | null
    | undefined
}): string => {
  const per = (time: number | string): string =>
    typeof time === 'number' ? `${countText(time)} ms` : time
  return [
    ...(concurrency === undefined ? [] : [`concurrency ${countText(concurrency)}`]),
    ...(perKey === undefined ? [] : [`perKey ${countText(perKey)}`]),
    ...(rate === null ? ['no rate'] : []),
    ...(rate
      ? [`rate ${countText(rate.max)} in ${per(rate.per)}${rate.key ? ' of each key' : ''}`]
      : []),
  ].join(', ')
}

const handlersText = (count: number): string =>
  `${countText(count)} ${count === 1 ? 'handler' : 'handlers'}`

/** The tries that a job has begun, and how many it has, if that is known. */
export const triesText = (tries: number, max: number | undefined): string =>
  max === undefined ? countText(tries) : `${countText(tries)} of ${countText(max)}`

/** How full a mailbox is. One without a bound has that of its senders. */
export const mailboxText = (count: number, max: number | undefined): string =>
  max === undefined || !Number.isFinite(max)
    ? `${countText(count)}, bounded by its senders`
    : `${countText(count)} of ${countText(max)}`

/** The work after a failed try of a step or an alarm of an actor. */
export const nextTexts = {
  retry: 'is tried again',
  onFailed: 'its onFailed is next',
  unblock: 'is parked, and waits for unblock',
} as const

/** The program that a member runs: `Keelson 0.1.0, build 3f2a91c`. */
export const buildText = ({
  version,
  build,
}: {
  readonly version?: string | undefined
  readonly build?: string | undefined
}): string =>
  [
    ...(version === undefined ? [] : [`Keelson ${version}`]),
    ...(build === undefined ? [] : [`build ${build}`]),
  ].join(', ')

/** Where a schedule was made. */
export const originText = (isOfTree: boolean): string => (isOfTree ? 'the tree' : 'run time')

/** The clock of a shard beside that of the machine. `lasting`: by how much, without a sign. */
export const clockText = (aheadMs: number, lasting: (ms: number) => string): string =>
  `${lasting(Math.abs(aheadMs))} ${aheadMs < 0 ? 'behind' : 'ahead of'} the clock of the machine`

/** How many subjects of a trouble are not named; 0: all are. */
export const unnamedOf = (trouble: {
  readonly count?: number
  readonly others?: readonly unknown[]
}): number => {
  const { count = 1, others = [] } = trouble
  return others.length === 0 ? 0 : count - 1 - others.length
}
