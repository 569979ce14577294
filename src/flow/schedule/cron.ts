/**
 * Cron patterns in a time zone: the next time, and the times that were missed. Pure. The pattern and
 * the changes of summer time are croner's: a time that a change skips comes at the end of the gap,
 * and a time that comes twice counts once, unless the pattern says every hour or minute.
 */
import { Cron } from 'croner'
import { type Place, refusal } from '../../check.ts'

/** Five or six fields, or a name such as `@daily`. Croner takes a date and a year too. */
const patternText = /^(@[a-z]+|\S+(\s+\S+){4,5})$/

/** The times of a pattern, in ms since 1970. */
export class CronTimes {
  readonly #cron: Cron

  /** @throws KeelsonError with the code of the place for a pattern without a time, or an unknown zone */
  constructor(pattern: unknown, zone: unknown, at: Place) {
    try {
      if (typeof pattern !== 'string' || typeof zone !== 'string') throw new TypeError('no text')
      if (!patternText.test(pattern)) throw new RangeError('it has not 5 or 6 fields')
      // Croner takes an empty zone for that of the machine.
      if (zone === '') throw new RangeError('it has no zone')
      this.#cron = new Cron(pattern, { timezone: zone })
      if (this.after(0) === undefined) throw new RangeError('it never comes')
    } catch (cause) {
      const expected =
        "a cron pattern of 5 or 6 fields with a time, such as '30 2 * * *', and an IANA time zone"
      throw Object.assign(refusal(at, expected, `${pattern} in ${zone}`), { cause })
    }
  }

  /** The next time after `ms`; `undefined`: there is none. */
  after(ms: number): number | undefined {
    return this.#cron.nextRun(new Date(ms))?.getTime()
  }

  /** How many times there are from `first` to `until`, and the newest `max` of them. */
  between(
    first: number,
    until: number,
    max: number,
  ): { readonly count: number; readonly newest: readonly number[] } {
    let newest: number[] = []
    let count = 0
    for (let at: number | undefined = first; at !== undefined && at <= until; at = this.after(at)) {
      count++
      newest.push(at)
      if (newest.length >= 2 * max) newest = newest.slice(-max)
    }
    return { count, newest: newest.slice(-max) }
  }
}
