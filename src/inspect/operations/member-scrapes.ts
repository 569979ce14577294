/**
 * One scrape of all members that share a folder. A port that they share leads a scrape to any of them,
 * so that one asks the others, and each series has the label `member`. It is apart from `scrape.ts`,
 * which takes the values of one process.
 */
import type { InstanceParts } from '../../supervisors/index.ts'
import type { ShownFamily } from './exposition.ts'
import { type Metric, metrics } from './metric-table.ts'
import type { LabelValues, Series } from './series.ts'

type Way = NonNullable<InstanceParts['questions']>

/** The metrics of one member: the series of each metric by its name. */
export type Taken = {
  readonly member: string
  readonly series: Readonly<Record<string, readonly Series[]>>
}

const question = 'metrics'

/** A member that has not answered after so long is missing in the scrape, in ms. */
const timeoutMs = 2_000

/** Answers the scrapes of other members. */
export const answerScrapes = (way: Way, taken: () => Promise<Taken>): void =>
  way.answer(question, taken)

/** The metrics of all members that answer, and of the others that they did not. */
export const allTaken = async (way: Way, own: Taken): Promise<readonly Taken[]> => {
  const others = await Promise.all(
    way.others.map(async (member): Promise<Taken> => {
      try {
        const found = (await way.askMember(member, question, null, timeoutMs)) as Taken
        return withUp(member, 1, found.series)
      } catch {
        return withUp(member, 0)
      }
    }),
  )
  const all = [withUp(own.member, 1, own.series), ...others]
  return all.sort((one, other) => (one.member < other.member ? -1 : 1))
}

const withUp = (member: string, value: number, series: Taken['series'] = {}): Taken => ({
  member,
  series: { ...series, [metrics.memberUp.name]: [{ labels: [], value, buckets: [] }] },
})

/** The series of a metric of all members, with the label `member`. */
export const joined = (metric: Metric, all: readonly Taken[]): ShownFamily | undefined => {
  const series = all.flatMap(({ member, series }) =>
    (series[metric.name] ?? []).map((each): Series => {
      const labels: LabelValues = [member, ...each.labels]
      return { ...each, labels }
    }),
  )
  if (series.length === 0) return undefined
  return { metric: { ...metric, labels: ['member', ...metric.labels] }, series }
}

/** The series of a metric of an instance without members. */
export const ownFamily = (
  metric: Metric,
  series: Taken['series'] = {},
): ShownFamily | undefined => {
  const found = series[metric.name]
  return found && { metric, series: found }
}
