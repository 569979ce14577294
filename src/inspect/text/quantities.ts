/** Numbers as text: counts, bytes, durations. Pure, and the same in every locale. */

/** `1234567` as `1,234,567`. */
export const countText = (count: number): string =>
  String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',')

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB']

/** Bytes in decimal units with at least three digits: `999 B`, `1.50 kB`, `12.3 MB`. */
export const bytesText = (bytes: number): string => {
  let value = bytes
  let unit = 0
  // 999.5 would be shown as 1000.
  while (value >= 999.5 && unit < byteUnits.length - 1) {
    value /= 1_000
    unit++
  }
  return `${unit === 0 ? Math.round(value) : value.toPrecision(3)} ${byteUnits[unit]}`
}

/**
 * Milliseconds as `0:07`, `12:05` or `1:02:03`, rounded up: remaining time is never shown as zero.
 */
export const clockText = (ms: number): string => {
  const seconds = Math.ceil(ms / 1_000)
  const two = (value: number): string => String(value).padStart(2, '0')
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60]
  return hours > 0
    ? `${hours}:${two(minutes)}:${two(seconds % 60)}`
    : `${minutes}:${two(seconds % 60)}`
}

/** Milliseconds as `12 ms` or `1.53 s`. */
export const durationText = (ms: number): string =>
  ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(2)} s`

const longUnits = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
] as const

/** Milliseconds as `12 s`, `8 min`, `3 h` or `2 d`, rounded down: for what goes on. */
export const lastingText = (ms: number): string => {
  const [size, unit] = longUnits.find(([size]) => ms >= size) ?? [1_000, 's']
  return `${Math.floor(ms / size)} ${unit}`
}

/** `1 record`, `2 records`. */
export const pluralText = (count: number, noun: string): string =>
  `${countText(count)} ${noun}${count === 1 ? '' : 's'}`
