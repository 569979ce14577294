/** Planted faults: each is named by `health()`, and by an alert on what is scraped, within 10 s. */
import { expect, onTestFinished, test } from 'vitest'
import { type Ctx, flow, flows, queue, workflow } from '../../../src/flow/index.ts'
import {
  type App,
  call,
  cast,
  type DurableServer,
  entity,
  type GenServer,
  name,
  noReply,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { operations } from '../../../src/inspect/operations/operations.ts'
import { type Simulation, startSimulated } from '../../../src/testing/index.ts'
import { alertsOn, noPromtool } from '../../support/commands/promtool.ts'
import { fillDisk } from '../../support/harm/full-disk.ts'
import { lacks } from '../../support/lacks.ts'
import { asked, openMetrics } from '../../support/worlds/operations-client.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { pay: () => void; note: () => void }
  casts: { add: () => void }
  continues: { charge: () => void }
}

let isBankAway = false

const order: DurableServer<Messages, { readonly paid: number }> = {
  init: () => ({ paid: 0 }),
  calls: {
    pay: (state) => reply(undefined, { ...state }, { continue: ['charge'] }),
    note: ({ paid }) => reply(undefined, { paid: paid + 1 }),
  },
  casts: { add: (state) => noReply({ ...state }) },
  continues: {
    charge: (state) => {
      if (isBankAway) throw new Error('the bank is away')
      return noReply({ ...state })
    },
  },
}
const orders = entity('order', order)

type Mails = { calls: object; casts: { send: () => void } }

/** Fails when it is asked to, and as often as it is asked. */
const mailer: GenServer<Mails, number> = {
  init: () => 0,
  casts: {
    send: () => {
      throw new Error('no route to the host')
    },
  },
}

const payment = workflow('payment', async (ctx: Ctx) => {
  await ctx.step(
    'charge',
    () => {
      throw new Error('the bank is away')
    },
    { retry: { max: 100, maxMs: 500 } },
  )
})
const letters = queue(
  'letters',
  () => {
    throw new Error('no paper')
  },
  { retry: { max: 1 } },
)

const mails = worker('mailer', mailer, { restart: { backoff: { fromMs: 100, toMs: 400 } } })
const parts = flows({ workflows: [payment], queues: [letters] })
const tree = (kind = orders) => ({ app: supervisor('app', {}, [kind, mails, parts]) })

/** An instance with work done, and its fault. Every second something is asked of it and it is scraped. */
const watched = async (
  fault: (s: Simulation) => Promise<unknown>,
  work: (app: App) => unknown = () => undefined,
) => {
  isBankAway = false
  const s = await startSimulated({ ...tree(), capacityBytes: 2 ** 40 })
  onTestFinished(() => s.close())
  const pay = (id: string) => call(s.app.entity(orders).ref(id), 'pay')
  await s.during(Promise.all(['1', '2', '3'].map(pay)))
  await s.during(s.app.store.put('key', 'value'))
  await fault(s)
  const handler = operations(s.app)
  const scrapes: string[] = []
  for (let second = 0; second <= 10; second++) {
    const answer = await s.during(asked(handler, '/metrics', { accept: openMetrics }))
    scrapes.push(answer?.body ?? '')
    work(s.app)
    if (second < 10) await s.advance(1_000)
  }
  return { health: s.app.health(), alerts: alertsOn(scrapes) }
}

const nothing = async (): Promise<void> => undefined

test.skipIf(lacks(noPromtool))('an instance without a fault raises no alert', async () => {
  const { alerts } = await watched(nothing, (app) => {
    app.store.put('key', 'value').catch(() => undefined)
  })
  expect(alerts).toEqual([])
})

test.skipIf(lacks(noPromtool))('a crash loop is named', async () => {
  const { health, alerts } = await watched(nothing, ({ system }) => {
    cast(system.to(name<Mails>('mailer')), 'send')
  })
  expect(health.crashing).toMatchObject({
    count: 1,
    first: [{ child: 'app/mailer', reason: expect.stringContaining('no route to the host') }],
  })
  expect(alerts).toEqual(['KeelsonCrashLoop'])
})

test.skipIf(lacks(noPromtool))('a blocked entity is named', async () => {
  const { health, alerts } = await watched(async (s) => {
    await s.close()
    await s.start(tree(entity('order', { ...order, version: 2 })))
    await s.during(codeOf(call(s.app.entity('order').ref('1'), 'pay' as never)))
  })
  expect(health.actors.blocked).toMatchObject({
    count: 1,
    first: [{ entity: 'order/1', reason: expect.stringContaining('no migrate') }],
  })
  // The others of its kind are at rest.
  expect(alerts).toEqual(['KeelsonEntityBlocked', 'KeelsonBuildBlocks'])
})

test.skipIf(lacks(noPromtool))('a lagging projection is named', async () => {
  const { health, alerts } = await watched(async (s) => {
    s.projections.failCommits('/data/shard-0/lmdb', Number.POSITIVE_INFINITY)
    await s.during(s.app.store.put('key', 'another value'))
  })
  expect(health.shards[0]?.projection).toMatchObject({ mode: 'degraded' })
  expect(health.shards[0]?.projection.behindMs).toBeGreaterThan(7_000)
  expect(alerts).toEqual(['KeelsonProjectionLagging'])
})

test.skipIf(lacks(noPromtool))('a stuck step is named', async () => {
  const { health, alerts } = await watched(async (s) => {
    isBankAway = true
    await s.during(call(s.app.entity(orders).ref('1'), 'pay'))
  })
  expect(health.actors.failing).toMatchObject({
    count: 1,
    first: [{ entity: 'order/1', what: 'continue charge', error: expect.stringContaining('bank') }],
  })
  expect(alerts).toEqual(['KeelsonStepStuck'])
})

test.skipIf(lacks(noPromtool))('a stuck step of a run is named', async () => {
  const { alerts } = await watched((s) =>
    s.during(flow(s.app).start(payment, undefined, { id: '1' })),
  )
  expect(alerts).toEqual(['KeelsonStepStuck'])
})

test.skipIf(lacks(noPromtool))('a dead job is named', async () => {
  const { alerts } = await watched((s) => s.during(flow(s.app).add(letters, undefined)))
  expect(alerts).toEqual(['KeelsonTriesEnded'])
})

test.skipIf(lacks(noPromtool))('a full disk is named', async () => {
  const { health, alerts } = await watched(fillDisk, (app) => {
    app.store.put('key', 'another value').catch(() => undefined)
  })
  expect(health.shards[0]?.space.refusing?.reason).toContain('NO_SPACE')
  expect(alerts).toEqual(['KeelsonWritesRefused'])
})
