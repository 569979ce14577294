/**
 * The times of a cron pattern as a daemon finds them that wakes for each minute, or second, of a zone
 * and compares the clock on the wall with the one that it expected. So it has Debian's `cron(8)` as
 * its rule, step by step, and nothing of croner. It is slow, and looks a few days far.
 */

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const correctionMs = 3 * hourMs

/** A pattern of numbers, lists, ranges, steps and weekdays such as `SUN` and `1#2`. */
type Pattern = {
  readonly stepMs: number
  readonly isFixed: boolean
  readonly has: (local: number) => boolean
}

const nicknames: Readonly<Record<string, string>> = {
  ...{ '@hourly': '0 * * * *', '@daily': '0 0 * * *', '@midnight': '0 0 * * *' },
  ...{ '@weekly': '0 0 * * SUN', '@monthly': '0 0 1 * *', '@yearly': '0 0 1 1 *' },
}

const weekdays = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT']

/** Whether a value is in a field. */
const isIn = (field: string, value: number, first: number): boolean =>
  field.split(',').some((part) => {
    const [range = '', step = '1'] = part.split('/')
    if (range === '*' || range === '?') return (value - first) % Number(step) === 0
    const [from, until = from] = range.split('-').map(Number) as [number, number?]
    return value >= from && value <= until && (value - from) % Number(step) === 0
  })

const tableOf = (field: string, first: number, count: number): readonly boolean[] =>
  Array.from({ length: first + count }, (_, value) => value >= first && isIn(field, value, first))

const patternOf = (text: string): Pattern => {
  const fields = (nicknames[text] ?? text).split(' ')
  const [seconds, minutes, hours, days, months, weekday] = (
    fields.length === 5 ? ['0', ...fields] : fields
  ) as [string, string, string, string, string, string]
  const [ofWeek = '', nth] = weekdays.includes(weekday)
    ? [String(weekdays.indexOf(weekday))]
    : weekday.split('#')
  const second = tableOf(seconds, 0, 60)
  const minute = tableOf(minutes, 0, 60)
  const hour = tableOf(hours, 0, 24)
  const day = tableOf(days, 1, 31)
  const month = tableOf(months, 1, 12)
  const dayOfWeek = tableOf(ofWeek, 0, 7)
  return {
    stepMs: fields.length === 5 ? minuteMs : 1_000,
    isFixed: !/[*?]/.test(minutes + hours),
    has: (local) => {
      const inDay = ((local % 86_400_000) + 86_400_000) % 86_400_000
      if (!hour[Math.floor(inDay / hourMs)]) return false
      if (!minute[Math.floor(inDay / minuteMs) % 60]) return false
      if (!second[Math.floor(inDay / 1_000) % 60]) return false
      const date = new Date(local)
      if (!month[date.getUTCMonth() + 1]) return false
      const isNth = nth === undefined || Math.ceil(date.getUTCDate() / 7) === Number(nth)
      const isDay = day[date.getUTCDate()] as boolean
      const isWeekday = isNth && (dayOfWeek[date.getUTCDay()] as boolean)
      if (days === '*' || weekday === '*') return isDay && isWeekday
      return isDay || isWeekday
    },
  }
}

/** The offset of a zone at an instant of a whole minute, as Intl writes it. */
export const writtenOffset = (zone: string): ((ms: number) => number) => {
  const format = new Intl.DateTimeFormat('sv-SE', {
    ...{ timeZone: zone, dateStyle: 'short', timeStyle: 'medium' },
  })
  return (ms) => Date.parse(`${format.format(ms).replace(' ', 'T')}Z`) - ms
}

/** The offsets of a zone at each minute of a window. An hour with one offset at both ends keeps it. */
export class OffsetWindow {
  readonly from: number
  readonly until: number
  readonly #offsets: number[] = []

  /** `from` and `until` are whole hours. */
  constructor(offsetAt: (ms: number) => number, from: number, until: number) {
    this.from = from
    this.until = until
    let offset = offsetAt(from)
    for (let hour = from; hour < until; hour += hourMs) {
      const next = offsetAt(hour + hourMs)
      for (let at = hour; at < hour + hourMs; at += minuteMs)
        this.#offsets.push(next === offset ? offset : offsetAt(at))
      offset = next
    }
  }

  at(ms: number): number {
    return this.#offsets[Math.floor((ms - this.from) / minuteMs)] as number
  }
}

/** Whether a local time from `expected` to `clock` is one of the pattern. */
const passes = ({ has, stepMs }: Pattern, expected: number, clock: number): boolean => {
  for (let local = expected; local <= clock; local += stepMs) if (has(local)) return true
  return false
}

/** The times of a pattern in a window, in ms since 1970. No change is near the begin of the window. */
export const daemonTimes = (text: string, window: OffsetWindow): readonly number[] => {
  const pattern = patternOf(text)
  const times: number[] = []
  let offset = window.at(window.from)
  // The first local time whose turn has not come. It stays while the clock shows earlier ones.
  let expected = window.from + offset
  for (let at = window.from; at < window.until; at += pattern.stepMs) {
    const before = offset
    offset = window.at(at)
    const clock = at + offset
    const isCorrected = Math.abs(offset - before) >= correctionMs
    const from = isCorrected || !pattern.isFixed ? clock : expected
    if (passes(pattern, from, clock)) times.push(at)
    expected = Math.max(isCorrected ? clock : expected, clock + pattern.stepMs)
  }
  return times
}
