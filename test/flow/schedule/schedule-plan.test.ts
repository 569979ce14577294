/** The times of a schedule: of its pattern, missed ones, and those that come too soon. */
import { describe, expect, test, vi } from 'vitest'
import { config } from '../../../src/check.ts'
import { CronTimes } from '../../../src/flow/schedule/cron.ts'
import {
  type Mark,
  type Missed,
  type Overlap,
  type Plan,
  planAt,
  planBehind,
  planFor,
  planPaused,
  planStarted,
  startable,
} from '../../../src/flow/schedule/schedule-plan.ts'

const ms = (text: string): number => Date.parse(text)
const shown = (times: readonly Mark[]): string[] =>
  times.map((at) => new Date(at).toISOString().slice(0, 16))

const between = (cron: string, zone: string, from: string, until: string): string[] => {
  const times = new CronTimes(cron, zone, config('schedule.s'))
  return shown(times.between(times.after(ms(from)) as number, ms(until), 1_000).newest)
}

describe('a cron pattern', () => {
  test('keeps its hour over the changes of summer time, in a year of its zone', {
    tags: ['W7'],
  }, () => {
    for (const [zone, changes] of [
      ['Europe/Berlin', ['2026-03-29', '2026-10-25']],
      ['America/New_York', ['2026-03-08', '2026-11-01']],
    ] as const) {
      const times = between('0 9 * * *', zone, '2026-01-01T00:00Z', '2027-01-01T00:00Z')
      expect(times.length).toBe(365)
      const hours = times.map((at) => Number(at.slice(11, 13)))
      const changed = times.filter((_, day) => day > 0 && hours[day] !== hours[day - 1])
      expect(changed.map((at) => at.slice(0, 10))).toEqual(changes)
    }
  })

  test('that has no time, or an unknown zone, is refused', () => {
    for (const [cron, zone] of [
      ['0 0 30 2 *', 'UTC'],
      ['61 * * * *', 'UTC'],
      ['often', 'UTC'],
      ['* * * * *', 'Nowhere/Land'],
      // `Intl` takes it for the zone that its text names.
      ['* * * * *', ['UTC'] as never],
    ] as const)
      expect(() => new CronTimes(cron, zone, config('schedule.s'))).toThrow(
        expect.objectContaining({ code: 'CONFIG', details: expect.any(Object) }),
      )
  })
})

describe('a plan', () => {
  const cron = '0 * * * *'
  const times = new CronTimes(cron, 'UTC', config('schedule.s'))
  const declared = { cron, zone: 'UTC', missed: 'one', overlap: 'skip', workflow: 'w' } as const
  const begun = planFor(declared, times, ms('2026-01-01T00:30Z'), undefined)
  const later = (plan: Plan, at: string, missed: Missed, overlap: Overlap): Plan =>
    planAt({ ...plan, missed, overlap }, times, ms(at))

  test('counts from its begin, and does nothing before its next time', () => {
    expect(shown([begun.next as number])).toEqual(['2026-01-01T01:00'])
    expect(planAt(begun, times, ms('2026-01-01T00:59Z'))).toBe(begun)
  })

  test.each([
    ['one', ['2026-01-01T04:00'], 3],
    ['all', ['2026-01-01T01:00', '2026-01-01T02:00', '2026-01-01T03:00', '2026-01-01T04:00'], 0],
    ['none', [], 4],
  ] as const)('makes good of missed times: %s', (missed, expected, skipped) => {
    const plan = later(begun, '2026-01-01T04:20Z', missed, 'queue')
    expect(shown(plan.waiting)).toEqual(expected)
    expect([plan.skipped, shown([plan.next as number])]).toEqual([skipped, ['2026-01-01T05:00']])
  })

  test('with `none` takes a time that is less than a minute late', () => {
    const plan = later(begun, '2026-01-01T02:00:59Z', 'none', 'queue')
    expect(shown(plan.waiting)).toEqual(['2026-01-01T02:00'])
  })

  test('makes good of the newest 1,000 times at most', () => {
    const plan = later(begun, '2026-03-01T00:30Z', 'all', 'queue')
    expect(plan.waiting.length).toBe(1_000)
    expect(shown(plan.waiting.slice(-1))).toEqual(['2026-03-01T00:00'])
    expect(plan.skipped).toBe(59 * 24 - 1_000)
  })

  test('of a clock that was ahead goes on with the time after now, and one of a right clock stays', () => {
    const now = ms('2026-01-01T05:10Z')
    const ahead = planAt(begun, times, ms('2028-01-01T00:10Z'))
    expect(shown([planFor(declared, times, now, ahead).next as number])).toEqual([
      '2026-01-01T06:00',
    ])
    expect(shown([planBehind(ahead, times, now).next as number])).toEqual(['2026-01-01T06:00'])
    for (const at of ['2026-01-01T00:40Z', '2026-01-01T03:00Z'])
      expect(planBehind(begun, times, ms(at))).toBe(begun)
  })

  test('of every second looks at 2,000 times at most, however many were missed', () => {
    const seconds = new CronTimes('* * * * * *', 'UTC', config('schedule.s'))
    const looks = [vi.spyOn(seconds, 'after'), vi.spyOn(seconds, 'before')]
    const [first, until] = [ms('2026-01-01T00:00Z'), ms('2026-01-01T06:00Z')]

    const { count, newest } = seconds.between(first, until, 1_000)

    expect([count, ...looks.map(({ mock }) => mock.calls.length)]).toEqual([2_000, 1_000, 1_001])
    expect(newest).toEqual(Array.from({ length: 1_000 }, (_, at) => until - (999 - at) * 1_000))
  })

  test('counts the time at its end, though it is one more than are kept', () => {
    const minutes = new CronTimes('* * * * *', 'UTC', config('schedule.s'))
    const { count, newest } = minutes.between(ms('2026-01-01T00:00Z'), ms('2026-01-01T00:03Z'), 3)
    expect([count, shown(newest)]).toEqual([
      4,
      ['2026-01-01T00:01', '2026-01-01T00:02', '2026-01-01T00:03'],
    ])
  })

  test('leaves a time out while a run goes on, or lets it wait, or starts it', () => {
    for (const [overlap, waits, starts] of [
      ['skip', 0, undefined],
      ['queue', 1, undefined],
      ['allow', 1, '2026-01-01T02:00'],
    ] as const) {
      const due = later(begun, '2026-01-01T01:00Z', 'one', overlap)
      const first = planStarted(due, startable(due) as Mark, 'w/s/1')
      const plan = later(first, '2026-01-01T02:00Z', 'one', overlap)
      const next = startable(plan)
      expect([plan.waiting.length, next && shown([next])[0]]).toEqual([waits, starts])
    }
  })

  test('starts no time that waits while it is paused, and each time after the pause', () => {
    const going: Plan = { ...begun, waiting: [1, 2], running: undefined, overlap: 'queue' }
    const paused = planPaused(going, true, times, ms('2026-01-01T01:30Z'))
    expect(paused.waiting).toEqual([1, 2, ms('2026-01-01T01:00Z')])
    expect(startable(paused)).toBeUndefined()
    expect(startable({ ...paused, waiting: [1, 't-1', 't-2'] })).toBe('t-1')
    expect(startable(planPaused(paused, false, times, ms('2026-01-01T05:30Z')))).toBe(1)
  })

  test('that is told to go on while it does keeps the time that is due', () => {
    expect(planPaused(begun, false, times, ms('2026-01-01T01:30Z')).next).toBe(
      ms('2026-01-01T01:00Z'),
    )
  })

  test('goes on as it is under the declaration that it was made by', () => {
    expect(planFor({ ...declared }, times, ms('2026-01-09T00:30Z'), begun)).toBe(begun)
  })

  test('under another pattern or zone begins nothing for an earlier time, and keeps what began', () => {
    const going: Plan = { ...begun, waiting: [1, 2], running: 'w/s/3', skipped: 4 }
    const daily = new CronTimes('0 9 * * *', 'Europe/Berlin', config('schedule.s'))
    for (const changed of [{ cron: '0 9 * * *' }, { zone: 'Europe/Berlin' }]) {
      const plan = planFor({ ...declared, ...changed }, daily, ms('2026-01-03T12:00Z'), going)
      expect(plan).toEqual({ ...going, ...changed, next: ms('2026-01-04T08:00Z') })
    }
  })

  test('under another policy has the times before it decided by the one under which they passed', () => {
    const now = '2026-01-01T04:20Z'
    const changed = { ...declared, missed: 'all', overlap: 'allow' } as const
    const plan = planFor(changed, times, ms(now), begun)
    expect(plan).toEqual({ ...later(begun, now, 'one', 'skip'), ...changed })
    expect(shown(plan.waiting)).toEqual(['2026-01-01T04:00'])
    expect(shown(planAt(plan, times, ms('2026-01-01T06:20Z')).waiting)).toEqual([
      ...['2026-01-01T04:00', '2026-01-01T05:00', '2026-01-01T06:00'],
    ])
  })
})
