/** The last events of the recorder. Repeated events are one line. Pure. */
import { type Recorded, type Records, recordedSorts } from './records.ts'

/** An event, and how often the recorder has it. */
export type Folded = Recorded & { readonly times?: number }

/** The part of an event by which repeats are known. */
type Repeatable = {
  readonly at: number
  readonly sort: string
  readonly subject: string
  readonly text: string
  readonly pid?: number | undefined
}

/** A line of the log is written with its event, at most so much later. In ms. */
const togetherMs = 5

/**
 * The last events of different kinds, the newest last, so that a crash loop does not hide the others.
 * A line of the log about one of these events is left out.
 */
export const foldedLatest = (records: Records, count: number): readonly Folded[] => {
  const events = withoutRepeats(recordedSorts.flatMap((sort) => records.last(sort)))
  const folded = new Map<string, { readonly last: Recorded; readonly times: number }>()
  for (const event of events) {
    const key = keyOf(event)
    folded.set(key, { last: event, times: (folded.get(key)?.times ?? 0) + 1 })
  }
  return [...folded.values()]
    .sort((left, right) => left.last.at - right.last.at)
    .slice(-count)
    .map(({ last, times }) => (times === 1 ? last : { ...last, times }))
}

/**
 * Events are the same when they differ in numbers only. Failed tries of one step are the same in all
 * runs, so that a service that is away does not hide the others.
 */
const keyOf = ({ sort, kind, code, subject, text }: Recorded): string => {
  const head = sort === 'log' ? firstLine(text).replace(/\d+/g, '0') : subject
  const tried = text.slice(0, text.indexOf(' failed at try ')).replace(/\d+/g, '0')
  return [sort, kind, code, sort === 'step_failed' ? tried : head].join('\n')
}

const firstLine = (text: string): string => text.slice(0, 300).split('\n', 1)[0] ?? ''

/** The events without the lines of the log that are about another one of them. */
export const withoutRepeats = <E extends Repeatable>(events: readonly E[]): readonly E[] => {
  const byTime = new Map<number, E[]>()
  const spanOf = ({ at }: E): number => Math.floor(at / togetherMs)
  for (const event of events) {
    if (event.sort === 'log') continue
    const others = byTime.get(spanOf(event))
    if (others) others.push(event)
    else byTime.set(spanOf(event), [event])
  }
  const near = (line: E): readonly E[] =>
    [-1, 0, 1].flatMap((offset) => byTime.get(spanOf(line) + offset) ?? [])
  return events.filter(
    (event) =>
      event.sort !== 'log' ||
      isAction(event) ||
      !near(event).some((other) => isAbout(other, event)),
  )
}

/** An action of a page says who did it and why, which no event of its subject says. */
const isAction = ({ text }: Repeatable): boolean => text.includes(', observing: ')

const isAbout = ({ pid, subject }: Repeatable, line: Repeatable): boolean =>
  (pid !== undefined && pid === line.pid) || (subject !== '' && line.text.includes(subject))
