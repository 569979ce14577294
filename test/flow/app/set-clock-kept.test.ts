/** The machine's clock is wrong for a while: what flows have kept stays right. */
import { expect, test } from 'vitest'
import { type Ctx, flow, flows, schedule, workflow } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const hour = 3_600_000
const day = 24 * hour
const years = 2 * 365 * day

/** A workflow that sleeps until four seconds after its first step, and notes when it has slept. */
const world = async (shards = 1) => {
  const slept: number[] = []
  const ticks: number[] = []
  const sleeps = workflow('sleeps', async (ctx: Ctx) => {
    await ctx.step('first', () => null)
    await ctx.sleep('pause', { at: ctx.now() + 4_000 })
    await ctx.step('end', () => void slept.push(s.clock.monotonic()))
  })
  const short = workflow('short', async () => undefined, { keep: { completed: '4h' } })
  const tick = workflow(
    'tick',
    async (_: Ctx, { at }: { readonly at: number }) => void ticks.push(at),
  )
  const all = flows({
    workflows: [sleeps, short, tick],
    schedules: [schedule('s', '0 * * * *', tick)],
  })
  const s = await simulated({ shards, app: supervisor('app', {}, [all]) })
  return { s, slept, ticks, sleeps, short, runs: () => flow(s.app) }
}

test('a run that has ended is kept for its time, though the clock was 40 days ahead for two hours', async () => {
  const { s, short, runs } = await world()
  await s.during(runs().start(short, undefined, { id: '1' }))
  await s.advance(1_000)
  s.clock.set(s.clock.now() + 40 * day)
  await s.advance(2 * hour)
  expect(await s.during(runs().start(short, undefined, { id: '1' }))).toMatchObject({
    repeated: true,
  })
  s.clock.set(s.clock.now() - 40 * day)
  await s.advance(hour)
  expect(runs().get(short, '1')).toMatchObject({ status: 'completed' })
  await s.advance(2 * hour)
  expect(runs().get(short, '1')).toBeUndefined()
})

test.each([hour, -hour])(
  'a run that begins while the clock is set by %i ms sleeps until a time of its own',
  async (byMs) => {
    const { s, slept, sleeps, runs } = await world()
    const right = s.clock.now() - s.clock.monotonic()
    s.clock.set(s.clock.now() + byMs)
    await s.advance(1_500)
    const began = s.clock.monotonic()
    await s.during(runs().start(sleeps, undefined, { id: '1' }))
    await s.advance(10_000)
    expect(slept).toHaveLength(1)
    expect((slept[0] as number) - began).toBeGreaterThanOrEqual(4_000)
    expect((slept[0] as number) - began).toBeLessThanOrEqual(4_500)
    const { startedAt, since } = runs().get(sleeps, '1') as never
    expect(
      [startedAt - right - began, since - right - began].every((ms) => ms >= 0 && ms < 10_000),
    ).toBe(true)
  },
)

test('runs of shards with a life two years ahead have the time of day, and sleep as others do', async () => {
  const { s, slept, ticks, sleeps, runs } = await world(2)
  const ids = ['1', '2', '3', '4', '5', '6']
  await s.advance(hour - s.clock.monotonic())
  const right = s.clock.now()
  await s.close()
  s.clock.set(right + years)
  await s.start()
  await s.during(s.app.store.put('key', 1))
  await s.advance(2 * hour)
  await s.close()
  s.clock.set(right + 3 * hour)
  await s.start()
  const ahead = s.app.health().shards.map(({ clockAheadMs }) => clockAheadMs > years - 10 * hour)
  expect(ahead).toContain(true)
  ticks.length = 0

  const began = s.clock.monotonic()
  await s.during(Promise.all(ids.map((id) => runs().start(sleeps, undefined, { id }))))
  await s.advance(10_000)

  expect(slept).toHaveLength(ids.length)
  for (const at of slept) expect(at - began).toBeLessThanOrEqual(4_500)
  for (const id of ids) {
    const { startedAt } = runs().get(sleeps, id) as never
    expect(Math.abs(startedAt - right - 3 * hour)).toBeLessThanOrEqual(5_000)
  }
  await s.advance(2 * hour)
  expect(ticks).toEqual([right + 4 * hour, right + 5 * hour])
})
