/** Schedules at run time: they are rows, act like those of the tree, and outlive programs. */
import { describe, expect, test } from 'vitest'
import {
  type Attributes,
  type Ctx,
  flow,
  flows,
  type Scheduled,
  schedule,
  workflow,
} from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const hour = 3_600_000
const day = 24 * hour
const midnight = Date.UTC(2026, 0, 1)

/** Virtual time begins at midnight of 2026-01-01. The runs of `report` take `takesMs`. */
const world = async (takesMs = 0) => {
  const runs: string[] = []
  const inputs: unknown[] = []
  const report = workflow('report', async (ctx: Ctx, { at }: Scheduled) => {
    await ctx.step('begin', () => void runs.push(new Date(at).toISOString().slice(5, 16)))
    if (takesMs > 0) await ctx.sleep('work', takesMs)
  })
  const mail = workflow('mail', async (_: Ctx, to: { name: string } | undefined) => {
    inputs.push(to)
  })
  const daily = schedule('daily', '0 9 * * *', report)
  const tree = (workflows = [report, mail] as readonly (typeof report | typeof mail)[]) => ({
    app: supervisor('app', {}, [
      flows({ workflows, schedules: workflows.includes(report) ? [daily] : [] }),
    ]),
  })
  const s = await simulated(tree())
  await s.advance(1_000)
  return {
    ...{ s, runs, inputs, report, mail, tree },
    get schedules() {
      return flow(s.app).schedules
    },
    during: <T>(work: Promise<T>): Promise<T> => s.during(work),
    ids: (type: typeof report | typeof mail): string[] =>
      flow(s.app)
        .list({ type })
        .entries.map(({ id }) => id)
        .sort(),
  }
}

const conflict = { code: 'CONFLICT' }

describe('a schedule made at run time', () => {
  test('starts one run at each time, over kills and power cuts', { tags: ['W7'] }, async () => {
    const w = await world()
    const { schedules } = w
    expect(await w.during(schedules.create('hourly', '0 * * * *', w.report))).toEqual({
      repeated: false,
    })
    await w.s.advance(1.5 * hour)
    await w.s.powerCut()
    await w.s.start()
    await w.s.advance(hour)
    await w.s.kill()
    await w.s.start()
    await w.s.advance(hour)
    expect(w.runs).toEqual(['01-01T01:00', '01-01T02:00', '01-01T03:00'])
    expect(w.ids(w.report)[0]).toBe('hourly/2026-01-01T01:00:00.000Z')
  })

  test('is made once, and another of its name is refused', async () => {
    const w = await world()
    const make = (cron: string) => w.during(w.schedules.create('mine', cron, w.report))
    await make('0 * * * *')
    expect(await make('0 * * * *')).toEqual({ repeated: true })
    await expect(make('5 * * * *')).rejects.toMatchObject(conflict)
    expect(w.schedules.get('mine')?.cron).toBe('0 * * * *')
  })

  test('gives its attributes to its runs, and changed ones to those that start later', async () => {
    const w = await world()
    const make = (attributes: Attributes) =>
      w.during(w.schedules.create('hourly', '0 * * * *', w.report, { attributes }))
    await make({ team: 'ops', tier: 2 })
    expect(await make({ tier: 2, team: 'ops' })).toEqual({ repeated: true })
    await expect(make({ team: 'dev' })).rejects.toMatchObject(conflict)
    await expect(make({ status: 'x' } as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await w.s.advance(hour)
    await w.s.kill()
    await w.s.start()
    await w.s.advance(1_000)
    await w.during(w.schedules.change('hourly', { attributes: { team: 'dev' } }))
    await w.s.advance(hour)
    await w.during(w.schedules.change('hourly', { cron: '30 * * * *' }))
    expect(w.schedules.get('hourly')?.attributes).toEqual({ team: 'dev' })
    await w.during(w.schedules.change('hourly', { attributes: {} }))
    expect(w.schedules.get('hourly')?.attributes).toBe(undefined)
    await w.s.advance(hour)

    const found = (where: Attributes) =>
      flow(w.s.app)
        .list({ type: w.report, where })
        .entries.map(({ id }) => id.slice(-13, -8))
    expect([found({ team: 'ops', tier: 2 }), found({ team: 'dev' })]).toEqual([
      ['01:00'],
      ['02:00'],
    ])
    expect(w.ids(w.report)).toHaveLength(3)
  })

  test('gives its own input to its runs, which may be undefined', async () => {
    const w = await world()
    const { schedules, mail } = w
    await w.during(schedules.create('eve', '0 1 * * *', mail, { input: { name: 'Eve' } }))
    await w.during(schedules.create('none', '0 2 * * *', mail, { input: undefined }))
    await w.s.advance(3 * hour)
    expect(w.inputs).toEqual([{ name: 'Eve' }, undefined])
    await w.during(schedules.change('eve', { input: { name: 'Ada' } }))
    await w.s.advance(day)
    expect(w.inputs.slice(2)).toEqual([{ name: 'Ada' }, undefined])
  })

  test.each([
    ['one', ['01-01T01:00', '01-01T05:00', '01-01T06:00']],
    ['none', ['01-01T01:00', '01-01T06:00']],
    ['all', [1, 2, 3, 4, 5, 6].map((at) => `01-01T0${at}:00`)],
  ] as const)('makes good of the times of a power cut: %s', async (missed, expected) => {
    const w = await world()
    const options = { missed, overlap: 'queue' } as const
    await w.during(w.schedules.create('hourly', '0 * * * *', w.report, options))
    await w.s.advance(1.5 * hour)
    await w.s.powerCut()
    await w.s.advance(4 * hour)
    await w.s.start()
    await w.s.advance(hour)
    expect(w.runs).toEqual(expected)
  })

  test('follows its run over a power cut, and starts the next one after its end', async () => {
    const w = await world(1.75 * hour)
    await w.during(w.schedules.create('hourly', '0 * * * *', w.report, { overlap: 'queue' }))
    await w.s.advance(2.5 * hour)
    await w.s.powerCut()
    await w.s.start()
    // Its next time is not due yet when the first run ends: the keeper has woken it.
    await w.s.advance(0.3 * hour)
    expect(w.runs).toEqual(['01-01T01:00', '01-01T02:00'])
  })

  test('changes from the change on: a new pattern starts nothing for an earlier time', async () => {
    const w = await world()
    await w.during(w.schedules.create('mine', '0 * * * *', w.report))
    await w.s.advance(1.2 * hour)
    await w.during(w.schedules.change('mine', { cron: '30 * * * *', zone: 'Europe/Berlin' }))
    await w.s.advance(1.5 * hour)
    expect(w.runs).toEqual(['01-01T01:00', '01-01T01:30', '01-01T02:30'])
    expect(w.schedules.get('mine')).toMatchObject({ cron: '30 * * * *', zone: 'Europe/Berlin' })
  })

  test('is deleted for good, and its run goes on', async () => {
    const w = await world(hour)
    await w.during(w.schedules.create('mine', '0 * * * *', w.report))
    await w.s.advance(1.5 * hour)
    expect(await w.during(w.schedules.delete('mine'))).toBe(true)
    expect(await w.during(w.schedules.delete('mine'))).toBe(false)
    expect(w.schedules.get('mine')).toBe(undefined)
    await w.s.powerCut()
    await w.s.start()
    await w.s.advance(5 * hour)
    expect(w.runs).toEqual(['01-01T01:00'])
    expect(flow(w.s.app).list({ type: w.report, status: 'completed' }).entries).toHaveLength(1)
  })

  test('rests while its workflow is not in the tree, and goes on when it is back', async () => {
    const w = await world()
    await w.during(w.schedules.create('mine', '0 * * * *', w.report))
    await w.s.close()
    await w.s.start(w.tree([w.mail]))
    await w.s.advance(3.5 * hour)
    const reason = 'the workflow report is not in the tree'
    expect(w.schedules.get('mine')).toMatchObject({ broken: reason, next: undefined })
    expect(w.s.app.health().parts.flow).toMatchObject({
      // The first time that started nothing, and not the last one.
      schedules: { count: 1, first: [{ schedule: 'mine', reason, since: midnight + hour }] },
    })
    await expect(w.during(w.schedules.trigger('mine'))).rejects.toMatchObject(conflict)
    await w.s.close()
    await w.s.start(w.tree())
    await w.s.advance(hour)
    expect(w.runs).toEqual(['01-01T03:00', '01-01T04:00'])
    expect(w.s.app.health().parts.flow).toMatchObject({ schedules: { count: 0 } })
  })

  test('rests while the zones of its Node lack its own, and can be changed', async () => {
    const w = await world()
    await w.during(w.schedules.create('mine', '0 * * * *', w.report, { zone: 'Europe/Kyiv' }))
    await w.during(w.schedules.create('other', '0 12 * * *', w.report, { zone: 'Europe/Kyiv' }))
    await w.s.close()
    const reason = 'this program has no times for the pattern 0 * * * * in the zone Europe/Kyiv'
    const { DateTimeFormat } = Intl
    Intl.DateTimeFormat = class extends DateTimeFormat {
      constructor(locale: string, options: Intl.DateTimeFormatOptions) {
        if (options.timeZone === 'Europe/Kyiv') throw new RangeError('Invalid time zone')
        super(locale, options)
      }
    } as never
    try {
      await w.s.start()
      await w.s.advance(3.5 * hour)
      expect(w.schedules.get('mine')).toMatchObject({ broken: reason, next: undefined })
      expect(w.s.app.health().parts.flow).toMatchObject({
        schedules: { count: 2, first: [{ schedule: 'mine', reason, since: midnight + hour }, {}] },
      })
      const missing = { code: 'UNSUPPORTED_VERSION' }
      await expect(w.during(w.schedules.pause('mine'))).rejects.toMatchObject(missing)
      await expect(w.during(w.schedules.trigger('mine'))).rejects.toMatchObject(conflict)
      await w.during(w.schedules.change('other', { zone: 'Europe/Berlin' }))
      expect(w.schedules.get('other')).toMatchObject({ broken: undefined, zone: 'Europe/Berlin' })
      expect(w.runs).toEqual([])
    } finally {
      Intl.DateTimeFormat = DateTimeFormat
    }
    await w.s.close()
    await w.s.start()
    await w.s.advance(hour)
    expect(w.runs).toEqual(['01-01T03:00', '01-01T04:00'])
  })

  test('whose workflow is not in the tree while a run of it goes on can be changed and deleted', async () => {
    const w = await world()
    const endless = workflow('endless', (ctx: Ctx, _: Scheduled) => ctx.sleep('long', '300d'))
    await w.s.close()
    await w.s.start(w.tree([w.report, endless]))
    await w.during(w.schedules.create('mine', '@yearly', endless))
    await w.during(w.schedules.trigger('mine'))
    await w.s.advance(1_000)
    expect(w.schedules.get('mine')?.running).toBeDefined()

    await w.s.close()
    await w.s.start(w.tree())
    await w.s.advance(60_000)
    await w.during(w.schedules.pause('mine'))
    await w.during(w.schedules.change('mine', { cron: '@monthly' }))
    expect(w.schedules.get('mine')).toMatchObject({ cron: '@monthly', isPaused: true })
    expect(await w.during(w.schedules.delete('mine'))).toBe(true)
    expect(w.schedules.get('mine')).toBe(undefined)
  })
})

describe('a schedule', () => {
  test.each(['mine', 'daily'])('that is paused starts nothing, over restarts: %s', async (name) => {
    const w = await world()
    await w.during(w.schedules.create('mine', '0 9 * * *', w.report))
    await w.during(w.schedules.pause(name))
    await w.s.powerCut()
    await w.s.start()
    await w.s.advance(2 * day)
    expect(w.schedules.get(name)).toMatchObject({ isPaused: true, next: undefined, skipped: 0 })
    expect(w.ids(w.report).filter((id) => id.startsWith(name))).toEqual([])
    await w.during(w.schedules.resume(name))
    await w.s.advance(day)
    // The times of the pause are not made good.
    expect(w.ids(w.report).filter((id) => id.startsWith(name))).toEqual([
      `${name}/2026-01-03T09:00:00.000Z`,
    ])
  })

  test.each(['mine', 'daily'])('is triggered now, also while paused: %s', async (name) => {
    const w = await world()
    await w.during(w.schedules.create('mine', '0 9 * * *', w.report))
    await w.during(w.schedules.pause(name))
    const { id, waits } = await w.during(w.schedules.trigger(name))
    expect([waits, id.startsWith(`${name}/2026-01-01T00:00:0`)]).toEqual([false, true])
    await w.during(flow(w.s.app).handle(w.report, id).result())
    const other = await w.during(w.schedules.trigger(name))
    expect(other.id).not.toBe(id)
    await w.s.advance(1_000)
    expect(w.runs).toEqual(['01-01T00:00', '01-01T00:00'])
  })

  test('with a run that goes on leaves a trigger out, lets it wait, or starts it', async () => {
    const w = await world(hour)
    const trigger = (name: string) => w.during(w.schedules.trigger(name))
    for (const overlap of ['skip', 'queue', 'allow'] as const)
      await w.during(w.schedules.create(overlap, '0 9 * * *', w.report, { overlap }))
    for (const name of ['skip', 'queue', 'allow']) await trigger(name)
    await expect(trigger('skip')).rejects.toMatchObject(conflict)
    expect((await trigger('allow')).waits).toBe(false)
    const { id, waits } = await trigger('queue')
    expect([waits, w.schedules.get('queue')?.waiting]).toEqual([true, 1])
    await w.s.powerCut()
    await w.s.start()
    await w.s.advance(1.5 * hour)
    expect(flow(w.s.app).get(w.report, id)?.status).toBe('waiting')
    expect(w.runs).toHaveLength(5)
  })

  test('of the tree is listed first, and changed and deleted in the tree alone', async () => {
    const w = await world()
    const { schedules } = w
    for (const name of ['b', 'a']) await w.during(schedules.create(name, '@daily', w.report))
    const names = (page: { entries: readonly { name: string }[] }) =>
      page.entries.map(({ name }) => name)
    expect(names(schedules.list())).toEqual(['daily', 'a', 'b'])
    const first = schedules.list({ limit: 1 })
    expect(names(first)).toEqual(['daily', 'a'])
    expect(names(schedules.list({ cursor: first.cursor as string }))).toEqual(['b'])
    expect(schedules.get('daily')).toEqual({
      ...{ name: 'daily', cron: '0 9 * * *', zone: 'UTC', missed: 'one', overlap: 'skip' },
      ...{ workflow: 'report', input: undefined, isOfTree: true, isPaused: false, skipped: 0 },
      ...{ broken: undefined, next: 9 * hour + Date.UTC(2026, 0, 1), running: undefined },
      waiting: 0,
    })
    for (const refused of [
      () => schedules.create('daily', '@daily', w.report),
      () => schedules.change('daily', { cron: '@hourly' }),
      () => schedules.delete('daily'),
    ])
      await expect(w.during<unknown>(refused())).rejects.toMatchObject({
        code: 'CONFLICT',
        message: expect.stringContaining('declared in the schedules'),
      })
    expect(schedules.get('daily')?.cron).toBe('0 9 * * *')
  })

  test('that there is not is refused, and wrong arguments leave nothing', async () => {
    const w = await world()
    const { schedules } = w
    for (const missing of [
      () => schedules.change('none', { cron: '@daily' }),
      () => schedules.pause('none'),
      () => schedules.resume('none'),
      () => schedules.trigger('none'),
    ])
      await expect(w.during<unknown>(missing())).rejects.toMatchObject(conflict)
    const absent = workflow('absent', async (_: Ctx, __: Scheduled) => undefined)
    const make = (name: string, cron: string, options: object, type = w.report) =>
      schedules.create(name, cron, type as typeof w.report, options)
    for (const [code, wrong] of [
      ['INVALID_ARGUMENT', () => make('a/b', '@daily', {})],
      ['INVALID_ARGUMENT', () => make('', '@daily', {})],
      ['INVALID_ARGUMENT', () => make('a', '0 0 30 2 *', {})],
      ['INVALID_ARGUMENT', () => make('a', '@daily', { zone: 'Nowhere/Land' })],
      ['INVALID_ARGUMENT', () => make('a', '@daily', { overlap: 'some' })],
      ['INVALID_ARGUMENT', () => make('a', '@daily', { every: 5 })],
      ['INVALID_ARGUMENT', () => make('a', '@daily', { input: [undefined] })],
      ['TOO_LARGE', () => make('a', '@daily', { input: 'x'.repeat(70_000) })],
      ['INVALID_ARGUMENT', () => make('a', '@daily', {}, absent as never)],
      ['INVALID_ARGUMENT', () => schedules.change('a', { zone: '' })],
    ] as const)
      await expect(w.during<unknown>(wrong())).rejects.toMatchObject({ code })
    expect(schedules.list().entries.map(({ name }) => name)).toEqual(['daily'])
  })

  test('made at run time rests while the tree declares one of its name, and can be removed', async () => {
    const w = await world()
    await w.during(w.schedules.create('mine', '0 * * * *', w.report))
    await w.s.close()
    const mine = schedule('mine', '30 * * * *', w.report)
    await w.s.start({
      app: supervisor('app', {}, [flows({ workflows: [w.report, w.mail], schedules: [mine] })]),
    })
    await w.s.advance(2 * hour)
    expect(w.runs).toEqual(['01-01T00:30', '01-01T01:30'])
    expect(w.s.app.health().parts.flow).toMatchObject({
      schedules: { first: [{ schedule: 'mine', reason: 'the tree has a schedule mine too' }] },
    })
    const shown = () =>
      w.schedules.list().entries.map(({ isOfTree, cron, broken }) => [isOfTree, cron, !!broken])
    expect(shown()).toEqual([
      [true, '30 * * * *', false],
      [false, '0 * * * *', true],
    ])
    expect(await w.during(w.schedules.delete('mine'))).toBe(true)
    expect(shown()).toEqual([[true, '30 * * * *', false]])
    await expect(w.during(w.schedules.delete('mine'))).rejects.toMatchObject(conflict)
  })
})
