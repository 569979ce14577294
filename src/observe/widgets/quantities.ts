/** Numbers, times and sizes as people read them. Pure. */

const counts = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** A count with separators: `12,345`. */
export const countText = (count: number): string => counts.format(count)

/** A number with at most three digits that count: `1.25`, `12.5`, `125`. */
const shortNumber = (value: number): string => {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
  return String(Number(value.toFixed(digits)))
}

const steps = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const

/** A number in little room: `950`, `12.5k`. */
export const shortText = (value: number): string => {
  const [size, unit] = steps.find(([size]) => Math.abs(value) >= size) ?? [1, '']
  return `${shortNumber(value / size)}${unit}`
}

/** A number a second: `0`, `0.4`, `12.5k`. */
export const rateText = (perSecond: number): string => `${shortText(perSecond)}/s`

const bytesSteps = [
  [1024 ** 4, 'TiB'],
  [1024 ** 3, 'GiB'],
  [1024 ** 2, 'MiB'],
  [1024, 'KiB'],
] as const

/** A size: `12.5 MiB`. */
export const bytesText = (bytes: number): string => {
  const [size, unit] = bytesSteps.find(([size]) => Math.abs(bytes) >= size) ?? [1, 'B']
  return `${shortNumber(bytes / size)} ${unit}`
}

const durations = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
  [1, 'ms'],
  [0.001, 'µs'],
] as const

/** A duration in ms: `850 µs`, `12.5 ms`, `3.2 s`, `14 min`. */
export const durationText = (ms: number): string => {
  if (ms === 0) return '0 ms'
  const [size, unit] = durations.find(([size]) => Math.abs(ms) >= size) ?? [0.001, 'µs']
  return `${shortNumber(ms / size)} ${unit}`
}

/** A duration in whole units: `12 s`, `5 min`. */
const wholeText = (ms: number): string => {
  const [size, unit] = durations.find(([size]) => ms >= size && size >= 1_000) ?? [1_000, 's']
  return `${Math.floor(ms / size)} ${unit}`
}

/** How long ago `at` was, in ms since 1970: `now`, `12 s ago`. */
export const agoText = (at: number, now: number): string =>
  now - at < 1_000 ? 'now' : `${wholeText(now - at)} ago`

/** When `at` is, seen from now: `in 12 s`, `3 s late`. */
export const dueText = (at: number, now: number): string => {
  return at >= now ? `in ${wholeText(at - now)}` : `${wholeText(now - at)} late`
}

const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' })
const day = new Intl.DateTimeFormat('sv', { dateStyle: 'short' })

/** The time of the day at the reader's place: `03:12:44.120`, with the date if it is another day. */
export const timeText = (at: number, now: number): string => {
  const time = `${clock.format(at)}.${String(Math.floor(at) % 1_000).padStart(3, '0')}`
  return day.format(at) === day.format(now) ? time : `${day.format(at)} ${time}`
}

/** Since when, and for how long: `since 03:12:44, 5 min`. */
export const sinceText = (at: number, now: number): string => {
  const time = clock.format(at)
  const begin = day.format(at) === day.format(now) ? time : `${day.format(at)} ${time}`
  return `since ${begin}, ${wholeText(Math.max(0, now - at))}`
}
