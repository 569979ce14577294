/** The order of the parts of a tree does not matter to the work that is due at its start. */
import { expect, test } from 'vitest'
import {
  type Ctx,
  flow,
  flows,
  type QueueEvents,
  queue,
  type Try,
  workflow,
} from '../../../src/flow/index.ts'
import {
  type AppContext,
  type ChildSpec,
  call,
  type DurableServer,
  entity,
  type GenServer,
  name,
  noReply,
  reply,
  supervisor,
  telemetry,
  worker,
} from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { ask: (how: string) => number }
  continues: { step: (how: string) => void }
  alarms: { due: () => void }
}

type Later = { calls: { hear: (text: string) => void } }

/** Takes five seconds to start. */
const slow: GenServer<Record<never, never>, number, undefined> = {
  init: async (_, { system }) => {
    await new Promise<void>((resolve) => void system.clock.after(5_000, resolve))
    return 0
  },
}

const world = async (isRun = false) => {
  const heard: string[] = []
  const failed: string[] = []
  const hears = workflow('hears', async (ctx: Ctx, text: string) => {
    await ctx.step('hear', () => void heard.push(`run ${text}`))
  })
  const calls = workflow('calls', async (ctx: Ctx, text: string) => {
    await ctx.sleep('nap', 3_000)
    const ask = ({ app }: Try) => call(app.entity<Later>('ear').ref('1'), 'hear', text)
    await ctx.step('call', ask, { retry: { max: 1 } })
  })
  const mails = queue('mails', (text: string) => void heard.push(`job ${text}`))
  const early = queue(
    'early',
    async (text: string, { app }) => {
      await new Promise<void>((resolve) => void s.clock.after(3_000, resolve))
      await call(app.entity<Later>('ear').ref('1'), 'hear', text)
    },
    { retry: { max: 1 } },
  )
  const later: GenServer<Later, number> = {
    init: () => 0,
    calls: {
      hear: (state, text) => {
        heard.push(`later ${text}`)
        return reply(undefined, state)
      },
    },
  }
  const acts: DurableServer<Messages, number, Record<never, never>, string, AppContext> = {
    init: () => 0,
    retry: { max: 1 },
    onFailed: (state, { name: what, error }) => {
      failed.push(`${what}: ${error.message}`)
      return noReply(state)
    },
    calls: {
      ask: (state, how, context) => {
        if (how === 'call') {
          flow(context).start(hears, how, { id: how })
          flow(context).add(mails, how)
        } else if (how === 'alarm') context.setAlarm('due', { inMs: 5 })
        else context.addContinue('step', how)
        return reply(state, state + 1)
      },
    },
    continues: {
      step: async (state, how, context) => {
        if (how === 'name') await call(context.system.to(name<Later>('later')), 'hear', how)
        else await flow(context.app).start(hears, how, { id: how })
        return noReply(state)
      },
    },
    alarms: {
      due: (state, _, context) => {
        flow(context).start(hears, 'alarm', { id: 'alarm' })
        return noReply(state)
      },
    },
  }
  const actor = entity('actor', acts)
  const parts = flows({ workflows: [hears, calls], queues: [mails, early] })
  const worked = worker('later', later)
  const ear = entity('ear', later as never)
  const all = supervisor('app', {}, [worked, ear, parts, actor])
  const s = await simulated({ app: all, syncMs: 7 })
  await s.advance(1_000)
  const ask = (how: string) => s.during(call(s.app.entity<Messages>('actor').ref(how), 'ask', how))
  /** Kills the program, and starts it with the actor before the parts that it needs. */
  const again = async () => {
    await s.kill()
    const late = worker('slow', slow)
    const order = isRun ? [parts, late, ear, worked, actor] : [actor, late, ear, worked, parts]
    await s.start({ app: supervisor('app', {}, order) })
    await s.advance(60_000)
  }
  return { s, calls, early, ask, again, heard, failed }
}

test.each([
  ['call', ['job call', 'run call']],
  ['alarm', ['run alarm']],
  ['step', ['run step']],
  ['name', ['later name']],
])(
  'an actor of one try, with a %s that is due before its target runs, waits for it',
  async (how, expected) => {
    const { ask, again, heard, failed } = await world()
    await ask(how)
    await again()
    expect([heard.sort(), failed]).toEqual([expected, []])
  },
)

test('a step of one try of a run, which calls a part that comes after flows, waits for it', async () => {
  const { s, calls, again, heard } = await world(true)
  await s.during(flow(s.app).start(calls, 'run', { id: '1' }))
  await again()
  expect([heard, flow(s.app).get(calls, '1')?.status]).toEqual([['later run'], 'completed'])
})

test('a schedule whose workflow comes in later flows starts the run of a time that passed, and goes on', async () => {
  const begun: string[] = []
  const nap = workflow('nap', (ctx: Ctx) => ctx.sleep('nap', 1))
  const report = workflow('report', async (ctx: Ctx, _: unknown) => {
    await ctx.step('begin', () => void begun.push(ctx.id.slice(5, 21)))
  })
  const quick: typeof slow = {
    init: async (_, { system }) => {
      await new Promise<void>((resolve) => void system.clock.after(500, resolve))
      return 0
    },
  }
  const last = supervisor('last', {}, [flows({ workflows: [report] })])
  const parts = [flows({ workflows: [nap] }), worker('slow', quick), last]
  const s = await simulated({ app: supervisor('app', {}, parts) })
  await s.during(flow(s.app).schedules.create('mine', '0 * * * *', report))
  await s.kill()
  await s.advance(1.5 * 3_600_000)
  await s.start()
  await s.advance(3_600_000)
  expect(begun).toEqual(['2026-01-01T01:00', '2026-01-01T02:00'])
})

test('a job that comes too early is begun no more often than its rate grants', async () => {
  const [begun, started]: [number[], number[]] = [[], []]
  const early = queue(
    'early',
    async (text: string, { app, attempt }) => {
      begun.push(s.clock.now())
      await call(app.entity<Later>('ear').ref('1'), 'hear', `${text}${attempt}`)
    },
    { retry: { max: 1 }, rate: { max: 2, per: '1s' } },
  )
  const heard: string[] = []
  const ear: GenServer<Later, number> = {
    init: () => 0,
    calls: {
      hear: (state, text) => {
        heard.push(text)
        return reply(undefined, state)
      },
    },
  }
  const queues = flows({ queues: [early] })
  const last = entity('ear', ear as never)
  const s = await simulated({ app: supervisor('app', {}, [last, queues]) })
  const add = (job: string) => s.during(flow(s.app).add(early, job, { delay: '1s' }))
  for (const job of ['a', 'b', 'c']) await add(job)
  await s.kill()
  const listens: ChildSpec = {
    id: 'listens',
    start: ({ system }) => {
      telemetry<QueueEvents>(system).on('queue.started', ({ at }) => started.push(at))
      return { ignore: true }
    },
  }
  const parts = [listens, queues, worker('slow', slow), last]
  await s.start({ app: supervisor('app', {}, parts) })
  await s.advance(10_000)

  expect([heard.sort(), flow(s.app).dead(early).entries]).toEqual([['a1', 'b1', 'c1'], []])
  expect(begun.length).toBeGreaterThan(6)
  expect(started).toEqual(begun)
  for (const at of begun)
    expect(begun.filter((other) => other >= at && other < at + 1_000).length).toBeLessThan(3)
})

test('a job of one try, which calls a part that comes after its queue, waits for it', async () => {
  const { s, early, again, heard } = await world(true)
  await s.during(flow(s.app).add(early, 'job'))
  await again()
  expect([heard, flow(s.app).dead(early).entries]).toEqual([['later job'], []])
})
