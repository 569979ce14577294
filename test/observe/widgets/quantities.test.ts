import { expect, test } from 'vitest'
import {
  agoText,
  bytesText,
  countText,
  dueText,
  durationText,
  rateText,
  shortText,
  sinceText,
} from '../../../src/observe/widgets/quantities.ts'

test('numbers have at most three digits that count, and a unit', () => {
  expect([0, 7, 950, 12_512, 3_000_000].map(shortText)).toEqual(['0', '7', '950', '12.5k', '3M'])
  expect([0.004, 0.4, 1_250].map(rateText)).toEqual(['0/s', '0.4/s', '1.25k/s'])
  expect([0, 1_023, 1_024, 188 * 1_024 ** 2].map(bytesText)).toEqual([
    ...['0 B', '1023 B', '1 KiB', '188 MiB'],
  ])
  expect([0, 0.085, 1.8, 812, 1_250, 90_000, 7_200_000].map(durationText)).toEqual([
    ...['0 ms', '85 µs', '1.8 ms', '812 ms', '1.25 s', '1.5 min', '2 h'],
  ])
  expect(countText(1_234_567)).toBe('1,234,567')
})

test('a time is said from now, in whole units, so that it moves once a unit', () => {
  const now = 1_000_000_000
  expect([0, 900, 12_900, 340_000].map((ago) => agoText(now - ago, now))).toEqual([
    ...['now', 'now', '12 s ago', '5 min ago'],
  ])
  expect([40_000, -3_000, 7_300_000].map((away) => dueText(now + away, now))).toEqual([
    ...['in 40 s', '3 s late', 'in 2 h'],
  ])
})

test('a trouble says since when it lasts, and how long that is', () => {
  const now = new Date(2026, 2, 4, 3, 20, 0).getTime()
  expect(sinceText(now - 340_000, now)).toBe('since 03:14:20, 5 min')
  expect(sinceText(now - 86_400_000, now)).toBe('since 2026-03-03 03:20:00, 1 d')
})
