/** Times of the last minute in buckets. */
import { expect, test } from 'vitest'
import { RecentTimes } from '../../../src/inspect/observe/recent-times.ts'

test('percentiles are right to a fifth, and the longest time is exact', () => {
  const times = new RecentTimes()
  for (let ms = 1; ms <= 100; ms++) times.add(0, ms)

  const { count, p50Ms, p99Ms, maxMs } = times.summary(0)
  expect(count).toBe(100)
  expect(p50Ms).toBeGreaterThanOrEqual(50)
  expect(p50Ms).toBeLessThanOrEqual(60)
  expect(p99Ms).toBeGreaterThanOrEqual(99)
  expect(maxMs).toBe(100)
})

test('a sample counts for the times that it stands for', () => {
  const times = new RecentTimes()
  times.add(0, 1, 99)
  times.add(0, 1_000, 1)

  expect(times.summary(0)).toMatchObject({ count: 100, p99Ms: expect.closeTo(1, 0) })
})

test('times older than a minute are forgotten', () => {
  const times = new RecentTimes()
  times.add(0, 500)
  times.add(65_000, 1)

  expect(times.summary(75_000)).toMatchObject({ count: 1, maxMs: 1 })
})
