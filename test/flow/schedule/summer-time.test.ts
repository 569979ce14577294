/** The times of cron patterns where a zone changes its clock. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { config } from '../../../src/check.ts'
import { CronTimes } from '../../../src/flow/schedule/cron.ts'
import { KnownZones, ZoneOffsets } from '../../../src/flow/schedule/zone-offsets.ts'
import {
  type Compared,
  changesOf,
  compareTimes,
  cronPatterns,
} from '../../support/models/cron-days.ts'

const timesOf = (cron: string, zone: string) => new CronTimes(cron, zone, config('schedule.s'))

/** The times of a pattern in the hours from `from` on, without the year. */
const times = (cron: string, zone: string, from: string, hours = 23): string[] => {
  const found = timesOf(cron, zone)
  const until = Date.parse(from) + hours * 3_600_000
  const shown: string[] = []
  let at = found.after(Date.parse(from) - 1)
  for (; at !== undefined && at < until; at = found.after(at))
    shown.push(new Date(at).toISOString().slice(5, 16))
  return shown
}

const [berlin, york] = ['Europe/Berlin', 'America/New_York']

describe('a fixed time', () => {
  const trollTimes = ['10-24T23:00', '10-25T00:00']
  test.each([
    ['an hour', '30 2 * * *', berlin, '2026-03-29', ['03-29T01:00']],
    ['an hour', '0 2 * * *', york, '2026-03-08', ['03-08T07:00']],
    ['half an hour', '15 2 * * *', 'Australia/Lord_Howe', '2026-10-03', ['10-03T15:30']],
    ['two hours', '30 1 * * *', 'Antarctica/Troll', '2026-03-29', ['03-29T01:00']],
    ['the midnight of a day', '0 0 * * *', 'America/Havana', '2026-03-08', ['03-08T05:00']],
    ['the midnight of a Friday', '30 0 * * 5', 'Africa/Cairo', '2026-04-23', ['04-23T22:00']],
    ['an hour, by seconds', '5,10 30 2 * * *', berlin, '2026-03-29', ['03-29T01:00']],
  ])('in a skip of %s comes right after it: %s', (_, cron, zone, date, expected) => {
    expect(times(cron, zone, date)).toEqual(expected)
  })

  test('in a skip shares its run with every other time of the pattern that comes then', () => {
    expect(times('0,30 2 * * *', berlin, '2026-03-29')).toEqual(['03-29T01:00'])
    expect(times('0 1-4 * * *', berlin, '2026-03-29')).toEqual([
      ...['03-29T00:00', '03-29T01:00', '03-29T02:00'],
    ])
  })

  test.each([
    ['an hour', '0,30 2 * * *', berlin, '2026-10-25', ['10-25T00:00', '10-25T00:30']],
    ['an hour', '15 1-2 * * 0', york, '2026-11-01', ['11-01T05:15', '11-01T07:15']],
    ['half an hour', '45 1 * * *', 'Australia/Lord_Howe', '2026-04-04', ['04-04T14:45']],
    ['two hours', '0 1,2 * * *', 'Antarctica/Troll', '2026-10-24T12:00Z', trollTimes],
    ['the last of a day', '59 23 * * *', 'America/Scoresbysund', '2026-10-25', ['10-25T00:59']],
    ['the last of a Saturday', '30 23 * * 6', 'America/Santiago', '2026-04-05', ['04-05T02:30']],
  ])('in a repeat of %s comes at its first occurrence: %s', (_, cron, zone, from, expected) => {
    expect(times(cron, zone, from)).toEqual(expected)
  })

  test('has no wildcard in hours and minutes, whatever its ranges, steps, days and seconds are', () => {
    for (const cron of ['0 0-23 * * *', '0 0-23/1 */1 * *', '*/60 0 0-23 * * ?'])
      expect([cron, times(cron, berlin, '2026-10-24T22:00Z', 25).length]).toEqual([cron, 24])
  })
})

describe('a pattern with a wildcard in hours or minutes', () => {
  test('comes at each occurrence of a repeated time', () => {
    expect(times('*/30 2 * * *', berlin, '2026-10-25')).toEqual([
      ...['10-25T00:00', '10-25T00:30', '10-25T01:00', '10-25T01:30'],
    ])
    expect(times('0 */2 * * *', berlin, '2026-10-25').slice(0, 3)).toEqual([
      ...['10-25T00:00', '10-25T01:00', '10-25T03:00'],
    ])
  })

  test('does not come at a time that is skipped', () => {
    expect(times('*/30 2 * * *', berlin, '2026-03-29')).toEqual([])
    expect(times('? 2 * * *', berlin, '2026-03-29')).toEqual([])
    expect(times('0 */2 * * *', berlin, '2026-03-29').slice(0, 2)).toEqual([
      ...['03-29T02:00', '03-29T04:00'],
    ])
  })

  test.each(['0 * * * *', '@hourly', '*/20 * * * *'])('goes on evenly: %s', (cron) => {
    for (const date of ['2026-03-29', '2026-10-25'])
      expect(times(cron, berlin, date, 24).length).toBe(cron.startsWith('*') ? 72 : 24)
  })
})

describe('a change of three hours or more', () => {
  const casey = 'Antarctica/Casey'

  test('skips times for good', () => {
    expect(times('30 1 * * *', casey, '2020-10-03T00:00Z', 48)).toEqual(['10-04T14:30'])
    expect(times('*/30 1 * * *', casey, '2020-10-03T00:00Z', 48)).toEqual([
      ...['10-04T14:00', '10-04T14:30'],
    ])
    // Samoa came to the side of Asia without a 30 December.
    expect(times('0 9 * * *', 'Pacific/Apia', '2011-12-29', 72)).toEqual([
      ...['12-29T19:00', '12-30T19:00', '12-31T19:00'],
    ])
  })

  test('repeats times', () => {
    expect(times('30 22 * * *', casey, '2021-03-13')).toEqual(['03-13T11:30', '03-13T14:30'])
    // In 1867 Alaska came to the side of America, and had a whole day twice.
    expect(times('30 12 * * *', 'America/Juneau', '1867-10-17', 72)).toEqual([
      ...['10-17T21:27', '10-18T21:27', '10-19T21:27'],
    ])
  })
})

test('a time that is years ahead costs a few looks at the offsets of its zone', () => {
  const looks = vi.spyOn(ZoneOffsets.prototype, 'at')
  onTestFinished(() => looks.mockRestore())
  for (const [cron, expected] of [
    ['0 0 29 2 *', '2028-02-28T23:00:00.000Z'],
    ['*/5 12 29 2 +1', '2044-02-29T11:00:00.000Z'],
  ] as const) {
    looks.mockClear()
    const next = timesOf(cron, berlin).after(Date.parse('2026-01-01'))
    expect(new Date(next ?? 0).toISOString()).toBe(expected)
    expect(looks.mock.calls.length).toBeGreaterThan(1)
    expect(looks.mock.calls.length).toBeLessThan(12)
  }
})

test('the schedules of one zone share it', () => {
  const made = vi.spyOn(Intl, 'DateTimeFormat')
  onTestFinished(() => made.mockRestore())
  const zones = new KnownZones()
  for (const cron of ['0 1 * * *', '0 2 * * *']) new CronTimes(cron, berlin, config(), zones)
  expect(made).toHaveBeenCalledTimes(1)
})

test('the times of many patterns are those of a daemon that wakes each minute, in 2026', {
  tags: ['slow'],
}, () => {
  const compared: Compared = { count: 0, differences: [] }
  const zones = [
    ...[berlin, york, 'Australia/Lord_Howe', 'America/Havana', 'Antarctica/Troll', 'Africa/Cairo'],
    ...['America/Scoresbysund', 'Asia/Beirut', 'America/Santiago', 'Africa/Casablanca'],
  ]
  const changes = zones.flatMap((zone) =>
    changesOf(zone, '2026-01-01', '2027-01-01').map((at) => [zone, at] as const),
  )
  expect(changes.length).toBe(20)
  for (const [place, [zone, at]] of changes.entries()) {
    // Each pattern meets changes of two or three zones.
    const some = cronPatterns.filter((_, index) => index % 10 === place % 10)
    compareTimes(zone, at, some, compared)
  }
  expect(compared.differences).toEqual([])
  expect(compared.count).toBeGreaterThan(3_000)
})
