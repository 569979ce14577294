/** Somebody sets the machine's clock: what waits for a time comes at that time of the shard. */
import { expect, test } from 'vitest'
import { type Ctx, flow, flows, queue, schedule, workflow } from '../../../src/flow/index.ts'
import {
  call,
  type DurableServer,
  entity,
  noReply,
  ok,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const hour = 3_600_000

/** Everything that waits four seconds, or until each second, with the seconds at which it came. */
const world = async () => {
  const came: Record<string, number[]> = {}
  const note = (name: string): void => {
    came[name] = [...(came[name] ?? []), Math.round((s.clock.monotonic() - begun) / 1_000)]
  }
  const sleeps = workflow('sleeps', async (ctx: Ctx) => {
    await ctx.sleep('pause', '4s')
    await ctx.step('end', () => note('sleep'))
  })
  const retries = workflow('retries', async (ctx: Ctx) => {
    const policy = { retry: { baseMs: 4_000, jitter: 0 } }
    await ctx.step(
      'end',
      ({ attempt }) => (attempt > 1 ? note('retry') : Promise.reject(new Error('no'))),
      policy,
    )
  })
  const waits = workflow('waits', async (ctx: Ctx<{ go: null }>) => {
    await ctx.waitFor('go', { timeout: '4s' })
    await ctx.step('end', () => note('timeout'))
  })
  const ticks = workflow('ticks', (ctx: Ctx) => ctx.step('end', () => note('schedule')))
  const mails = queue('mails', () => note('job'))
  const rated = queue('rated', () => note('rate'), { rate: { max: 1, per: '4s' } })
  const server: DurableServer<{ calls: { set: () => null }; alarms: { due: () => void } }, number> =
    {
      init: () => ok(0),
      calls: {
        set: (state, _, context) => {
          context.setAlarm('due', { inMs: 4_000 })
          return reply(null, state)
        },
      },
      alarms: {
        due: (state) => {
          note('alarm')
          return noReply(state)
        },
      },
    }
  const clocks = entity('clocks', server)
  const all = flows({
    workflows: [sleeps, retries, waits, ticks],
    queues: [mails, rated],
    schedules: [schedule('each', '* * * * * *', ticks, { overlap: 'allow' })],
  })
  const s = await simulated({ app: supervisor('app', {}, [clocks, all]) })
  const runs = flow(s.app)
  let begun = s.clock.monotonic()
  const starts = async (): Promise<void> => {
    begun = s.clock.monotonic()
    for (const name of Object.keys(came)) delete came[name]
    await s.during(
      Promise.all([
        ...[sleeps, retries, waits].map((each) =>
          runs.start(each, undefined, { id: String(s.clock.now()) }),
        ),
        runs.add(mails, undefined, { delay: '4s' }),
        ...[1, 2].map(() => runs.add(rated, undefined)),
        call(s.app.entity(clocks).ref('1') as never, 'set' as never),
      ]),
    )
  }
  return { s, came, starts }
}

const once = { sleep: [4], retry: [4], timeout: [4], job: [4], rate: [0, 4], alarm: [4] }

test.each([hour, -hour])(
  'a clock that is set by %i ms and right again holds nothing up',
  async (byMs) => {
    const { s, came, starts } = await world()
    await starts()
    await s.advance(2_000)
    s.clock.set(s.clock.now() + byMs)
    await s.advance(4_000)
    s.clock.set(s.clock.now() - byMs)
    await s.advance(4_000)

    const { schedule: ticks = [], ...others } = came
    expect(others).toEqual(once)
    expect(ticks.length).toBeGreaterThanOrEqual(9)
    expect(ticks.length).toBeLessThanOrEqual(11)
  },
)

test('an accepted clock lets everything come that is due by it', async () => {
  const { s, came, starts } = await world()
  await starts()
  s.clock.set(s.clock.now() + hour)
  await s.advance(1_500)
  expect(came).toMatchObject({ rate: [0] })
  expect(Object.keys(came)).not.toContain('sleep')

  await s.during(s.app.control.acceptClock())
  await s.advance(1_000)
  const { schedule: _, ...others } = came
  const soon = expect.arrayContaining([2])
  expect(others).toEqual({
    ...Object.fromEntries(Object.keys(once).map((name) => [name, soon])),
    rate: [0, 2],
  })
})
