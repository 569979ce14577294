/** Looks at runs through `flow(app)`: pages, operations, counts, and their removal. */
import { expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const work = workflow(
  'work',
  async (ctx: Ctx, input: number) => {
    ctx.report({ half: true })
    await ctx.step(
      'try',
      () => {
        if (input === 0) throw new TypeError('zero')
        return input
      },
      { retry: { max: 1 } },
    )
    await ctx.sleep('pause', input * 1_000)
    return input
  },
  { keep: { completed: '1h' } },
)

const world = async () => {
  const w = await flowWorld([work])
  for (const n of [0, 1, 2, 5_000])
    await w.during(w.flow.start(work, n, { id: `${n}`, correlation: n % 2 ? 'odd' : 'even' }))
  await w.s.advance(10_000)
  return w
}

test('runs are listed by status, correlation and time, in pages', async () => {
  const w = await world()
  const idsOf = (options: object): readonly string[] =>
    w.flow.list({ type: work, ...options }).entries.map(({ id }) => id)

  expect(idsOf({})).toEqual(['0', '1', '2', '5000'])
  expect(idsOf({ status: 'completed' })).toEqual(['1', '2'])
  expect(idsOf({ status: 'completed', order: 'desc' })).toEqual(['2', '1'])
  expect(idsOf({ correlation: 'even' })).toEqual(['0', '2', '5000'])
  const ends = w.flow.list({ type: work, status: 'completed' }).entries.map(({ since }) => since)
  expect(idsOf({ status: 'completed', until: ends[1] })).toEqual(['1'])
  expect(idsOf({ status: 'completed', since: ends[1] })).toEqual(['2'])
  const first = w.flow.list({ type: work, limit: 3 })
  expect(first.exhausted).toBe(false)
  expect(idsOf({ limit: 3, cursor: first.cursor })).toEqual(['5000'])
  expect(() => w.flow.list({ type: work, status: 'failed', parent: 'a/b' })).toThrow('one of')
})

test('a row has the status, the error and the progress of its run', async () => {
  const w = await world()

  const [failed, ...others] = w.flow.list({ type: work }).entries
  expect(failed?.error).toEqual({ name: 'TypeError', message: 'zero' })
  expect(others.map(({ status, progress }) => [status, progress])).toEqual([
    ...[
      ['completed', { half: true }],
      ['completed', { half: true }],
    ],
    ['waiting', { half: true }],
  ])
  expect(await w.during(w.flow.counts(work))).toEqual({ completed: 2, failed: 1, waiting: 1 })
})

test('the last progress is that before the end', async () => {
  const reports = workflow('reports', async (ctx: Ctx, _: undefined) => {
    ctx.report(1)
    await ctx.step('first', () => undefined)
    ctx.report(2)
  })
  const w = await flowWorld([reports])
  const run = await w.during(w.flow.start(reports, undefined, { id: '1' }))
  await w.during(run.result())

  expect(w.flow.list({ type: reports }).entries[0]?.progress).toBe(2)
})

test('the operations of a run are listed in the order in which they were recorded', async () => {
  const w = await world()

  const { entries } = w.flow.steps(work, '5000')
  expect(entries.map(({ key, kind, outcome }) => [key, kind, outcome])).toEqual([
    ...[
      ['try', 'step', 'ok'],
      ['pause', 'sleep', undefined],
    ],
  ])
  expect((entries[1]?.dueAt ?? 0) - w.s.clock.now()).toBeGreaterThan(30_000)
  expect(w.flow.steps(work, '0').entries[0]?.error?.message).toBe('zero')
  expect(w.flow.steps(work, 'none')).toEqual({ entries: [], exhausted: true })
})

test('a run is removed when its time is over, and nothing that is pending', {
  tags: ['W11'],
}, async () => {
  const w = await world()
  await w.during(w.flow.start(work, 10_000, { id: '10000' }))
  // The keeper looks each hour: at its first look the runs have not been over for an hour.
  await w.s.advance(7_300_000)

  const { entries } = w.flow.list({ type: work })
  expect(entries.map(({ id, status }) => [id, status])).toEqual([
    ['0', 'failed'],
    ['10000', 'waiting'],
    ['5000', 'completed'],
  ])
  const run = await w.during(w.flow.start(work, 3, { id: '1' }))
  expect(run.repeated).toBe(false)
})

test('wrong options of a start are refused', async () => {
  const w = await flowWorld([work])

  for (const options of [
    {},
    { id: '' },
    { id: '{x}' },
    { id: '1', delay: 'soon' },
    { id: '1', x: 1 },
  ])
    expect(await w.during(codeOf(w.flow.start(work, 1, options as never)))).toBe('INVALID_ARGUMENT')
})
