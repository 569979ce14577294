/**
 * Cron patterns in a time zone: the next time, and the times that were missed. Pure. The pattern and
 * the changes of summer time are croner's: a time that a change skips comes at the end of the gap,
 * and a time that comes twice counts once, unless the pattern says every hour or minute.
 */
import { Cron } from 'croner'
import { below, type Check, type Place, that } from '../../check.ts'

/** Five or six fields, or a name such as `@daily`. Croner takes a date and a year too. */
const patternText = /^(@[a-z]+|\S+(\s+\S+){4,5})$/

/** A pattern that comes at some time. */
export const cronPattern: Check<string> = that(
  "a cron pattern of 5 or 6 fields with a time, such as '30 2 * * *'",
  (found) =>
    typeof found === 'string' && patternText.test(found) && isComing(found, { timezone: 'UTC' }),
)

/** A time zone. Croner takes an empty one for that of the machine. */
export const timeZone: Check<string> = that(
  "an IANA time zone, such as 'Europe/Berlin'",
  (found) =>
    typeof found === 'string' && found !== '' && isComing('* * * * *', { timezone: found }),
)

const isComing = (pattern: string, options: { readonly timezone: string }): boolean => {
  try {
    return new Cron(pattern, options).nextRun(new Date(0)) !== null
  } catch {
    return false
  }
}

/** The times of a pattern, in ms since 1970. */
export class CronTimes {
  readonly #cron: Cron

  /** @throws KeelsonError as `cronPattern` and `timeZone` */
  constructor(pattern: unknown, zone: unknown, at: Place) {
    const timezone = timeZone(zone, below(at, 'zone'))
    this.#cron = new Cron(cronPattern(pattern, below(at, 'cron')), { timezone })
  }

  /** The next time after `ms`; `undefined`: there is none. */
  after(ms: number): number | undefined {
    return this.#cron.nextRun(new Date(ms))?.getTime()
  }

  /**
   * How many times there are from `first` to `until`, up to twice `max`, and the newest `max` of
   * them. A pattern of every second has too many to look at each one.
   */
  between(
    first: number,
    until: number,
    max: number,
  ): { readonly count: number; readonly newest: readonly number[] } {
    const oldest: number[] = []
    let at: number | undefined = first
    for (; at !== undefined && at <= until && oldest.length < max; at = this.after(at))
      oldest.push(at)
    const next = at
    if (next === undefined || next > until) return { count: oldest.length, newest: oldest }
    const found = this.#cron.previousRuns(max, new Date(until + 1))
    const newest = found.map((each) => each.getTime()).reverse()
    return { count: oldest.length + newest.filter((each) => each >= next).length, newest }
  }
}
