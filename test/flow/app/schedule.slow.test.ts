/** Schedules: each time of a cron pattern starts one run, over crashes too. */
import { describe, expect, test } from 'vitest'
import {
  flow,
  flows,
  type Scheduled,
  type ScheduleOptions,
  schedule,
  workflow,
} from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import type { SimulatedOptions } from '../../../src/testing/index.ts'
import { triesAll } from '../../support/tier.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const hour = 3_600_000
const day = 24 * hour

/** A schedule whose runs take some time. Virtual time begins at midnight of 2026-01-01. */
const scheduled = async (
  cron: string,
  options: ScheduleOptions,
  takesMs = 0,
  disk: SimulatedOptions = {},
) => {
  const runs: string[] = []
  const report = workflow('report', async (ctx, { at }: Scheduled) => {
    await ctx.step('begin', () => void runs.push(new Date(at).toISOString().slice(5, 16)))
    if (takesMs > 0) await ctx.sleep('work', takesMs)
  })
  const make = (pattern: string) =>
    supervisor('app', {}, [
      flows({ workflows: [report], schedules: [schedule('daily', pattern, report, options)] }),
    ])
  const s = await simulated({ ...disk, app: make(cron) })
  return { s, runs, report, make }
}

test('a schedule goes on after a run that was removed since', async () => {
  const gone = workflow('gone', (ctx, _: Scheduled) => ctx.sleep('work', '90m'), {
    keep: { completed: 1 },
  })
  const hourly = schedule('hourly', '0 * * * *', gone)
  const tree = (...schedules: (typeof hourly)[]) => ({
    app: supervisor('app', {}, [flows({ workflows: [gone], schedules })]),
  })
  const s = await simulated(tree(hourly))
  await s.advance(hour + 1_000)
  await s.close()
  await s.start(tree())
  await s.advance(2 * day)
  expect(flow(s.app).list({ type: gone }).entries).toEqual([])
  await s.close()
  await s.start(tree(hourly))
  await s.advance(hour)
  expect(flow(s.app).list({ type: gone }).entries).toHaveLength(1)
})

test('the attributes of a schedule are those that its program says when a run starts', async () => {
  const type = workflow('report', async (_, { at }: Scheduled) => at)
  const tree = (options: ScheduleOptions) => ({
    app: supervisor('app', {}, [
      flows({ workflows: [type], schedules: [schedule('hourly', '0 * * * *', type, options)] }),
    ]),
  })
  const s = await simulated(tree({ attributes: { team: 'ops' } }))
  await s.advance(hour + 1_000)
  for (const options of [{ attributes: { team: 'dev' } }, {}]) {
    await s.kill()
    await s.start(tree(options))
    await s.advance(hour)
  }
  const found = flow(s.app).list({ type }).entries
  expect(found.map(({ id, attributes }) => [id.slice(18, 20), attributes]).sort()).toEqual([
    ['01', { team: 'ops' }],
    ['02', { team: 'dev' }],
    ['03', undefined],
  ])
  expect(() => schedule('odd', '0 * * * *', type, { attributes: { a: {} } as never })).toThrow(
    /schedule\.odd\.attributes\.a/,
  )
})

describe('a schedule', () => {
  test('starts one run at each time, under an id that says which', { tags: ['W7'] }, async () => {
    const { s, runs, report } = await scheduled('0 9 * * *', { zone: 'Europe/Berlin' })
    await s.advance(8 * hour - 1_000)
    expect(runs).toEqual([])
    await s.advance(2 * day)
    expect(runs).toEqual(['01-01T08:00', '01-02T08:00'])
    const { entries } = flow(s.app).list({ type: report })
    expect(entries.map(({ id }) => id).sort()).toEqual([
      ...['daily/2026-01-01T08:00:00.000Z', 'daily/2026-01-02T08:00:00.000Z'],
    ])
  })

  test.each([
    ['one', ['01-01T01:00', '01-01T05:00', '01-01T06:00']],
    ['none', ['01-01T01:00', '01-01T06:00']],
    ['all', [1, 2, 3, 4, 5, 6].map((at) => `01-01T0${at}:00`)],
  ] as const)('makes good of the times of a power cut: %s', async (missed, expected) => {
    const { s, runs } = await scheduled('0 * * * *', { missed, overlap: 'queue' })
    await s.advance(1.5 * hour)
    await s.powerCut()
    await s.advance(4 * hour)
    await s.start()
    await s.advance(hour)
    expect(runs).toEqual(expected)
  })

  test.each([
    ['skip', ['01-01T01:00', '01-01T03:00', '01-01T05:00']],
    ['queue', ['01-01T01:00', '01-01T02:00', '01-01T03:00']],
    ['allow', [1, 2, 3, 4, 5].map((at) => `01-01T0${at}:00`)],
  ] as const)('whose run takes longer than an hour: %s', async (overlap, expected) => {
    const { s, runs } = await scheduled('0 * * * *', { overlap }, 1.75 * hour)
    await s.advance(5.5 * hour)
    expect(runs).toEqual(expected)
  })

  test('follows its run over a power cut, and starts the next one after its end', async () => {
    const { s, runs } = await scheduled('0 * * * *', { overlap: 'queue' }, 1.75 * hour)
    await s.advance(2.5 * hour)
    await s.powerCut()
    await s.start()
    await s.advance(0.5 * hour)
    expect(runs).toEqual(['01-01T01:00', '01-01T02:00'])
  })

  test('with another pattern goes on with it, whenever the program before it ended', async () => {
    for (let atMs = 0; atMs <= 24; atMs += 2) {
      const { s, runs, make } = await scheduled('0 1 1 1 *', {}, 0, { syncMs: 5 })
      await s.advance(hour - (s.clock.now() % hour) + atMs)
      await s.kill()
      await s.start({ app: make('* * * * *') })
      await s.advance(130_000)
      const later = runs.filter((at) => at > '01-01T01:00')
      expect([atMs, later]).toEqual([atMs, ['01-01T01:01', '01-01T01:02']])
      await s.close()
    }
  })

  test('with another pattern counts from the start of the program that has it', async () => {
    const { s, runs, make } = await scheduled('0 9 * * *', {})
    await s.advance(2 * hour)
    await s.close()
    await s.start({ app: make('30 * * * *') })
    await s.advance(hour)
    expect(runs).toEqual(['01-01T02:30'])
    await s.advance(7 * hour)
    expect(runs.length).toBe(8)
  })

  test.each(['one', 'all', 'none'] as const)(
    'with another pattern starts no run for a time before the new program: missed %s',
    async (missed) => {
      const { s, runs, make } = await scheduled('0 3 * * *', { missed, overlap: 'allow' })
      await s.advance(hour)
      await s.close()
      // 03:00 of the old pattern passes while the program is down.
      await s.advance(8 * hour)
      await s.start({ app: make('*/20 * * * *') })
      await s.advance(hour / 2)
      expect(runs).toEqual(['01-01T09:20'])
    },
  )

  test.each<[string, ScheduleOptions, ScheduleOptions, string[]]>([
    ['one to all', { missed: 'one' }, { missed: 'all' }, ['01-01T05:00', '01-01T06:00']],
    [
      'all to none',
      { missed: 'all' },
      { missed: 'none' },
      [2, 3, 4, 5, 6].map((at) => `01-01T0${at}:00`),
    ],
    ['none to all', { missed: 'none' }, { missed: 'all' }, ['01-01T06:00']],
  ])(
    'with another policy has the times that passed under the old one decided by that: %s',
    async (_, old, policy, expected) => {
      const { s, runs, report } = await scheduled('0 * * * *', { ...old, overlap: 'allow' })
      await s.advance(hour + 1_000)
      expect(runs.splice(0)).toEqual(['01-01T01:00'])
      await s.powerCut()
      await s.advance(4.5 * hour)
      const changed = schedule('daily', '0 * * * *', report, { ...policy, overlap: 'allow' })
      await s.start({
        app: supervisor('app', {}, [flows({ workflows: [report], schedules: [changed] })]),
      })
      await s.advance(hour)
      expect(runs).toEqual(expected)
    },
  )

  test('takes the names of croner for common patterns', async () => {
    const { s, runs } = await scheduled('@daily', { zone: 'Europe/Berlin' })
    await s.advance(2 * day)
    expect(runs).toEqual(['01-01T23:00', '01-02T23:00'])
    for (const name of ['@yearly', '@annually', '@monthly', '@weekly', '@midnight', '@hourly'])
      schedule(
        's',
        name,
        workflow('w', async (_, __: Scheduled) => undefined),
      )
  })

  test('of a wrong pattern, zone or option is refused where it is written', () => {
    const report = workflow('report', async (_, __: Scheduled) => undefined)
    const made = (cron: string, options: object) => () => schedule('s', cron, report, options)
    const config = expect.objectContaining({ code: 'CONFIG' })
    expect(made('x', {})).toThrow(config)
    expect(made('0 9 * * *', { zone: 'Moon/Base' })).toThrow(config)
    expect(made('0 9 * * *', { missed: 'some' })).toThrow(config)
  })
})

// Only the full tier tries more than the first quarter, with one change of summer time.
const months = triesAll ? 12 : 3
const lastDay = triesAll ? '10-31T06:30' : '04-05T06:30'

test(`${months} months of a schedule have a run on each day, at its hour in its zone, over power cuts`, {
  tags: ['W7'],
}, async () => {
  const { s, runs } = await scheduled('30 2 * * *', { zone: 'America/New_York' })
  for (let month = 0; month < months; month++) {
    await s.advance(30 * day)
    await s.powerCut()
    await s.start()
  }
  await s.advance(5 * day)
  expect(runs.length).toBe(30 * months + 5)
  const summer = runs.filter((at) => at.endsWith('T06:30'))
  expect([summer[0], summer.at(-1)]).toEqual(['03-09T06:30', lastDay])
  expect(runs.filter((at) => !/T0[67]:30/.test(at))).toEqual(['03-08T07:00'])
})
