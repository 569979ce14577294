/**
 * Work that fails again and again is named wherever trouble is shown, whatever it runs in: a durable
 * actor, a run of a workflow, a job of a queue, an entity that crashes.
 */
import { expect, onTestFinished, test } from 'vitest'
import { type Ctx, flow, flows, queue, workflow } from '../../../src/flow/index.ts'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import { Observer } from '../../../src/inspect/observe/observer.ts'
import { operations } from '../../../src/inspect/operations/operations.ts'
import type { Views } from '../../../src/observe/index.ts'
import { healthText } from '../../support/worlds/health-text.ts'
import { asked } from '../../support/worlds/operations-client.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

let isBankAway = true
const pay = (): string => {
  if (isBankAway) throw new Error('bank 503')
  return 'paid'
}

/** A second step goes on for long, so that the run is there after the first one. */
const body = async (ctx: Ctx<{ ready: string }>) => {
  await ctx.step('pay', pay, { retry: { max: 1_000, baseMs: 1_000, factor: 1, jitter: 0 } })
  await ctx.waitFor('ready')
}
const payment = workflow('payment', body)
const resting = workflow('resting', async (ctx: Ctx) => {
  await ctx.step('pay', pay, {
    retry: { max: 1_000, baseMs: 600_000, maxMs: 600_000, factor: 1, jitter: 0 },
  })
})
const mails = queue('mails', pay, {
  retry: { max: 1_000, baseMs: 1_000, factor: 1, jitter: 0 },
})
const letters = queue('letters', pay, { retry: { max: 1 } })

type Orders = { calls: { pay: () => void; look: () => number } }
const order: DurableServer<Orders, { readonly paid: number }> = {
  init: () => ({ paid: 0 }),
  calls: {
    pay: ({ paid }) => {
      pay()
      return reply(undefined, { paid: paid + 1 })
    },
    look: (state) => reply(state.paid, state),
  },
}
const orders = entity('order', order)

const instance = async () => {
  isBankAway = true
  const s = await simulated({
    app: supervisor('app', {}, [
      orders,
      flows({ workflows: [payment, resting], queues: [mails, letters] }),
    ]),
  })
  const handler = operations(s.app)
  const observer = new Observer(s.app, { isWriting: false, user: 'ann' })
  onTestFinished(() => observer.end())
  const look = async <V extends keyof Views>(view: V, query: Views[V]['query']) => {
    const answered = await s.during(observer.answer({ id: 1, look: view, query }))
    return (answered as { answer: { data: Views[V]['data'] } }).answer.data
  }
  const troubles = async () => (await look('overview', {})).troubles
  const metric = async (series: string) => {
    const { body = '' } = (await s.during(asked(handler, '/metrics'))) ?? {}
    const line = body.split('\n').find((each) => each.startsWith(`${series} `))
    return line === undefined ? undefined : Number(line.slice(series.length))
  }
  const said = () => healthText(s.app)
  return {
    s,
    app: s.app,
    look,
    troubles,
    metric,
    said,
    failing: () => s.app.health().actors.failing,
  }
}

test('a failing step of a run is named by health, page, prompt and metric until it has succeeded', async () => {
  const { s, app, troubles, metric, said, failing } = await instance()
  const failures = 'keelson_step_failures_total{kind="$flow-payment",result="error"}'
  const runs = flow(app)
  const handle = await s.during(runs.start(payment, undefined, { id: '1' }))
  await s.advance(3_500)

  expect(failing()).toMatchObject({
    count: 1,
    first: [{ entity: '$flow-payment/1', what: 'step pay', error: 'Error: bank 503' }],
  })
  expect(failing().first[0]?.tries).toBeGreaterThanOrEqual(3)
  expect(await metric('keelson_steps_stuck{kind="$flow-payment"}')).toBe(1)
  expect(await metric(failures)).toBeGreaterThanOrEqual(3)
  expect(await troubles()).toMatchObject([
    {
      ...{ kind: 'stuck step', severity: 'warning', subject: 'payment/1' },
      text: expect.stringMatching(/^step pay failed \d times: Error: bank 503$/),
      link: { view: 'run', parts: ['payment', '1'] },
    },
  ])
  expect(said()).toMatch(
    /^warning: stuck step, payment\/1, for 3 s: step pay failed \d times: Error: bank 503; flow\.show\('payment', '1'\)\n/,
  )

  isBankAway = false
  await s.advance(2_000)
  expect(failing()).toEqual({ count: 0, first: [] })
  expect(await troubles()).toEqual([])
  await s.during(handle.signal('ready', ''))
  expect(await s.during(handle.result())).toBeUndefined()
})

test('a run that rests between two tries stays named, and one that is cancelled does not', async () => {
  const { s, app, failing, metric } = await instance()
  const runs = flow(app)
  const named = async (id: string) => {
    await s.during(runs.start(resting, undefined, { id }))
    await s.advance(60_000)
    expect(runs.get(resting, id)?.status).toBe('waiting')
  }
  await named('1')
  await named('2')
  await named('3')
  expect(failing().count).toBe(3)
  await s.during(runs.handle(resting, '1').cancel())
  await s.during(runs.handle(resting, '2').cancel({ force: true } as never))
  await s.advance(5_000)
  expect(failing()).toMatchObject({ count: 1, first: [{ entity: '$flow-resting/3', tries: 1 }] })
  expect(await metric('keelson_steps_stuck{kind="$flow-resting"}')).toBe(0)
})

test('a failing job is named until it is done, and dead jobs are a trouble of their queue', async () => {
  const { s, app, troubles, metric, said, failing } = await instance()
  const runs = flow(app)
  await s.during(runs.add(mails, 'ann'))
  for (const to of ['ann', 'ben']) await s.during(runs.add(letters, to))
  await s.advance(3_500)

  expect(failing()).toMatchObject({
    count: 1,
    first: [{ entity: '$queue-mails/queue', what: 'job 1', error: 'Error: bank 503' }],
  })
  expect(await metric('keelson_steps_stuck{kind="$queue-mails"}')).toBe(1)
  expect(await metric('keelson_queue_jobs{queue="letters",status="dead"}')).toBe(2)
  expect(await troubles()).toMatchObject([
    {
      ...{ severity: 'critical', kind: 'dead jobs', subject: 'letters' },
      ...{ text: expect.stringContaining('2 jobs'), link: { view: 'queue', parts: ['letters'] } },
    },
    { kind: 'stuck step', subject: 'mails', link: { view: 'job', parts: ['mails', '1'] } },
  ])
  expect(said()).toMatch(
    /^critical: dead jobs, letters, for \d+ s: 2 jobs .*\nwarning: stuck step, mails, for 3 s: job 1 failed \d times: Error: bank 503/,
  )

  isBankAway = false
  await s.advance(2_000)
  expect(failing().count).toBe(0)
  for (const id of ['1', '2']) await s.during(runs.retry(letters, id))
  await s.advance(2_000)
  expect(await troubles()).toEqual([])
})

test('an entity that crashes again and again by one message is a crash loop', async () => {
  const { s, app, look, troubles, metric, said } = await instance()
  const ref = app.entity(orders).ref('17')
  for (let at = 0; at < 500; at++) {
    expect(await s.during(codeOf(call(ref, 'pay')))).toBe('EXITED')
    await s.advance(1_200)
  }

  expect(app.health().crashing).toMatchObject({
    count: 1,
    first: [{ child: 'order/17', isEntity: true, message: 'call pay', reason: 'Error: bank 503' }],
  })
  expect(await metric('keelson_children_crashing')).toBe(1)
  expect(await troubles()).toMatchObject([
    {
      ...{ severity: 'critical', kind: 'crash loop', subject: 'order/17' },
      text: expect.stringMatching(
        /^failed \d+ times in a minute, now at call pay: Error: bank 503$/,
      ),
      link: { view: 'entity', parts: ['order', '17'] },
    },
  ])
  // Its page has the stack, though it was never born.
  expect(await look('entity', { kind: 'order', id: '17' })).toMatchObject({
    failures: [
      {
        title: expect.stringMatching(/^it crashed 500 times, first at \S+, at \S+, in call pay$/),
        lines: expect.arrayContaining([
          'Error: bank 503',
          expect.stringContaining('failing-work.slow.test.ts'),
        ]),
      },
    ],
  })
  expect(said()).toMatch(
    /^critical: crash loop, order\/17, for 10 min: failed \d+ times in a minute, now at call pay: /,
  )

  await s.advance(60_000)
  expect(await troubles()).toEqual([])
})
