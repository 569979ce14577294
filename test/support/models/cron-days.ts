/** The times of `CronTimes` around the changes of a zone, against those of a daemon. */
import { config } from '../../../src/check.ts'
import { CronTimes } from '../../../src/flow/schedule/cron.ts'
import { daemonTimes, OffsetWindow, writtenOffset } from './cron-daemon.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** Patterns with a few times in a day. */
const sparse = [
  // Fixed times: one, several in an hour, in several hours, with ranges, lists and steps.
  ...['30 2 * * *', '0,30 2 * * *', '0 0 * * *', '30 0 * * *', '59 23 * * *', '0 1,2,3 * * *'],
  ...['45 23,0,1 * * *', '0-30/10 0-3/2 * * *', '5 0-23 * * *'],
  // Fixed times on some days alone.
  ...['15 1-2 * * 0', '30 0 * * SUN', '0 2 25-31 3,10 *', '10 0 1-7 * 5', '30 1 * * 0#1', '@daily'],
  // Wildcards.
  ...['@hourly', '30 */2 * * *', '0 */3 * * *', '*/20 2 * * *', '*/30 0-3 * * *', '*/15 23 * * 6'],
  ...['0,30 */12 * * *', '? 1 * * 0'],
]

/** Patterns whose times are compared in the hours around a change alone: many, or with seconds. */
const dense = [
  ...['* * * * *', '*/7 * * * *', '15,45 30 1-2 * * *', '*/20 1-2 2 * * *', '30 */10 * * * *'],
  ...['20 */30 1-2 * * *'],
]

/** All patterns. */
export const cronPatterns = [...sparse, ...dense]

/** The changes of the offset of a zone between the days of two dates. */
export const changesOf = (zone: string, from: string, until: string): readonly number[] => {
  const offsetAt = writtenOffset(zone)
  const found: number[] = []
  const end = Date.parse(until)
  let before = offsetAt(Date.parse(from))
  for (let day = Date.parse(from) + dayMs; day <= end; day += dayMs) {
    const offset = offsetAt(day)
    if (offset !== before) found.push(changeIn(offsetAt, day - dayMs, day))
    before = offset
  }
  return found
}

/** The minute of the change between two instants. */
const changeIn = (offsetAt: (ms: number) => number, from: number, until: number): number => {
  let at = from
  for (const step of [hourMs, 60_000])
    while (at + step < until && offsetAt(at + step) === offsetAt(from)) at += step
  return at + 60_000
}

/** How many times were compared, and what is different. */
export type Compared = { count: number; readonly differences: string[] }

/** Compares the times of patterns around a change of a zone, forwards, backwards and from between. */
export const compareTimes = (
  zone: string,
  change: number,
  patterns: readonly string[],
  compared: Compared,
): void => {
  const hour = Math.floor(change / hourMs) * hourMs
  const wide = new OffsetWindow(writtenOffset(zone), hour - 30 * hourMs, hour + 54 * hourMs)
  const narrow = new OffsetWindow(writtenOffset(zone), hour - 4 * hourMs, hour + 5 * hourMs)
  for (const pattern of patterns) {
    const window = dense.includes(pattern) ? narrow : wide
    const expected = daemonTimes(pattern, window)
    const times = new CronTimes(pattern, zone, config('schedule.s'))
    const { from, until } = window
    const within = (at: number | undefined): number | undefined =>
      at !== undefined && at >= from && at < until ? at : undefined
    const found: [how: string, found: readonly unknown[], right: readonly unknown[]][] = [
      ['after', walked((at) => within(times.after(at)), from - 1), expected],
      ['before', walked((at) => within(times.before(at)), until).reverse(), expected],
    ]
    // Each second of these probes is between two times of most patterns.
    for (let probe = change - 3.4 * hourMs; probe < change + 4 * hourMs; probe += 2_223_500) {
      const right = [expected.findLast((at) => at < probe), expected.find((at) => at > probe)]
      const own = [within(times.before(probe)), within(times.after(probe))]
      found.push([`around ${new Date(probe).toISOString()}`, own, right])
    }
    for (const [how, own, right] of found) {
      compared.count += right.length
      const [a, b] = [shown(own), shown(right)]
      if (a !== b) compared.differences.push(`${zone} ${pattern} ${how}: ${a} for ${b}`)
    }
  }
}

const walked = (next: (at: number) => number | undefined, from: number): number[] => {
  const found: number[] = []
  for (let at = next(from); at !== undefined; at = next(at)) found.push(at)
  return found
}

const shown = (times: readonly unknown[]): string =>
  times.map((at) => (at === undefined ? 'none' : new Date(at as number).toISOString())).join(' ')
