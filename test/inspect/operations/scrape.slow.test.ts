/** What a scrape of a loaded instance has, and what it never has. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { type Ctx, flow, flows, queue, workflow } from '../../../src/flow/index.ts'
import {
  call,
  type DurableServer,
  entity,
  type GenServer,
  name,
  projection,
  reply,
  supervisor,
  sys,
  worker,
} from '../../../src/index.ts'
import { metrics } from '../../../src/inspect/operations/metric-table.ts'
import { operations } from '../../../src/inspect/operations/operations.ts'
import type { SnapshotHost } from '../../../src/storage/index.ts'
import { checkMetrics, noPromtool } from '../../support/commands/promtool.ts'
import { lacks } from '../../support/lacks.ts'
import { readOpenMetrics } from '../../support/models/open-metrics.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { asked, openMetrics } from '../../support/worlds/operations-client.ts'
import { codeOf, failNextSync, simulated } from '../../support/worlds/simulated-instance.ts'
import { startedWithSnapshots } from '../../support/worlds/snapshot-instance.ts'

const canary = 'CANARY7'

const order: DurableServer<{ calls: { pay: (card: string) => string } }, { card: string }> = {
  init: () => ({ card: '' }),
  calls: { pay: (_, card) => reply(card, { card }) },
}
const orders = entity('order', order)

type Talk = { calls: { fail: (why: string) => void; hang: (why: string) => void } }

const talker: GenServer<Talk, string, string> = {
  init: (secret) => secret,
  calls: {
    fail: (_, why) => {
      throw Object.assign(new Error(why), { name: why })
    },
    hang: () => new Promise(() => undefined),
  },
}

const shipping = workflow('ship', async (ctx, address: string) =>
  ctx.step('send', async () => address),
)
const mails = queue('mails', async () => undefined)

/** An instance in which very much was done, with a canary in every value. */
const loaded = async () => {
  const s = await simulated({
    app: supervisor('app', {}, [
      orders,
      worker('talker', talker, { arg: canary }),
      flows({ workflows: [shipping], queues: [mails] }),
    ]),
  })
  const handler = operations(s.app, { metrics: true })
  const pay = (at: number) => call(s.app.entity(orders).ref(`${canary}-${at}`), 'pay', canary)
  await s.during(Promise.all(Array.from({ length: 100 }, (_, at) => pay(at))))
  await s.during(s.app.store.put(`${canary}/key`, canary))
  await s.during(s.app.journal.append({ id: canary, type: 'order', command: { canary } }))
  const ref = s.system.to(name<Talk>('talker'))
  expect(await s.during(codeOf(call(ref, 'fail', canary)))).toBe('EXITED')
  await s.during(flow(s.app).start(shipping, canary, { id: canary }))
  await s.during(flow(s.app).add(mails, canary, { unique: canary }))
  await s.advance(10_000)
  const scraped = async (accept?: string): Promise<string> =>
    (await s.during(asked(handler, '/metrics', accept ? { accept } : {})))?.body ?? ''
  return { s, ref, scraped }
}

/** The value of a series; `undefined`: there is none. */
const sampleOf = (text: string, series: string): number | undefined => {
  const line = text.split('\n').find((each) => each.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length))
}

test.skipIf(lacks(noPromtool))('promtool accepts the text of a loaded instance', async () => {
  const { scraped } = await loaded()
  expect(checkMetrics(await scraped())).toBe('')
})

test('a reader of OpenMetrics accepts the other format, which has the same samples', async () => {
  const { scraped } = await loaded()
  const families = readOpenMetrics(await scraped(openMetrics))
  const names = Object.values(metrics).map(({ name: of }) => of.replace(/_(total|info)$/, ''))
  expect(names).toEqual(expect.arrayContaining(families.map((family) => family.name)))
  const samples = (text: string) => text.split('\n').filter((line) => /^[a-z]/.test(line)).length
  expect(samples(await scraped())).toBe(families.flatMap((family) => family.samples).length)
})

test('the time at which the process began stays as it is, however the clock is set', async () => {
  const s = await simulated()
  const handler = operations(s.app, { metrics: true })
  const began = async () =>
    sampleOf((await s.during(asked(handler, '/metrics')))?.body ?? '', 'process_start_time_seconds')

  const first = await began()
  await s.advance(60_000)
  expect(await began()).toBe(first)
  expect(Math.abs(Number(first) - performance.timeOrigin / 1_000)).toBeLessThan(1)
})

test('what was done is measured: calls, turns, crashes, runs, jobs, writes', async () => {
  const { scraped } = await loaded()
  const text = await scraped()
  const expected = {
    // The birth of each order is a turn too.
    'keelson_turns_total{kind="order",result="ok"}': 200,
    'keelson_turn_duration_seconds_count{kind="order",result="ok"}': 200,
    'keelson_call_duration_seconds_count{server="order",message="pay",result="ok"}': 100,
    'keelson_call_duration_seconds_count{server="server",message="fail",result="EXITED"}': 1,
    'keelson_process_crashes_total{kind="server",reason="error"}': 1,
    'keelson_process_restarts_total{kind="server",reason="error"}': 1,
    'keelson_failures_total{what="handler",kind="server",reason="error"}': 1,
    'keelson_flow_runs{type="ship",status="completed"}': 1,
    'keelson_flow_run_duration_seconds_count{type="ship",status="completed"}': 1,
    'keelson_queue_jobs{queue="mails",status="dead"}': 0,
    'keelson_queue_oldest_seconds{queue="mails"}': 0,
    'keelson_shard_phase{shard="0",phase="open"}': 1,
    keelson_children_crashing: 0,
    'keelson_projection_lag_frames{shard="0",name=""}': 0,
  }
  for (const [series, value] of Object.entries(expected))
    expect(sampleOf(text, series), series).toBe(value)
  const lsn = sampleOf(text, 'keelson_wal_durable_lsn{shard="0"}') ?? 0
  expect(lsn).toBeGreaterThan(100)
  expect(sampleOf(text, 'keelson_wal_last_lsn{shard="0"}')).toBe(lsn)
})

test('a blocked run is counted as blocked, by the kind of its runs', async () => {
  const waits = (version: number) =>
    workflow('waits', (ctx: Ctx<{ go: number }>) => ctx.waitFor('go'), { version })
  const w = await flowWorld([waits(1)])
  await w.during(flow(w.s.app).start(waits(1), undefined, { id: '7' }))
  await w.crash([waits(2)])
  await w.s.advance(1_000)
  const handler = operations(w.s.app, { metrics: true })
  const { body = '' } = (await w.during(asked(handler, '/metrics'))) ?? {}
  expect(sampleOf(body, 'keelson_entities_blocked{kind="$flow-waits"}')).toBe(1)
})

test('of very many turns all are counted at the scrape, while their times are samples', async () => {
  const { s, scraped } = await loaded()
  const pay = () => call(s.app.entity(orders).ref('1'), 'pay', canary)
  for (let round = 0; round < 20; round++)
    await s.during(Promise.all(Array.from({ length: 150 }, pay)))

  const text = await scraped()

  expect(sampleOf(text, 'keelson_turns_total{kind="order",result="ok"}')).toBe(3_201)
  const timed = sampleOf(text, 'keelson_turn_duration_seconds_count{kind="order",result="ok"}')
  expect(timed).toBeLessThan(3_201)
})

test('no value of users is in any answer', async () => {
  const { scraped } = await loaded()
  expect(`${await scraped()}${await scraped(openMetrics)}`).not.toContain(canary)
})

test('a queue that does not answer is left out after a second, and hides nothing else', async () => {
  const { s, scraped } = await loaded()
  await s.during(sys.suspend(s.app.entity('$queue-mails').ref('queue')))
  const began = s.system.clock.monotonic()

  const text = await scraped()

  expect(s.system.clock.monotonic() - began).toBeCloseTo(1_000, -2)
  expect(sampleOf(text, 'keelson_queue_jobs{queue="mails",status="dead"}')).toBe(undefined)
  expect(sampleOf(text, 'keelson_flow_runs{type="ship",status="completed"}')).toBe(1)
})

test('queues of a shard that is held, or down, hide and hold up no other queue for long', async () => {
  const names = [...'abcdefgh']
  const queues = names.map((each) => queue(each, () => 1))
  const s = await simulated({
    ...{ shards: 2, allowDown: true },
    app: supervisor('app', {}, [orders, flows({ queues })]),
  })
  const { entities, store } = s.app
  const isIn = (shard: number) => (each: string) =>
    entities.shardOf(`$queue-${each}/queue`).index === shard
  expect(names.filter(isIn(1)).length).toBeGreaterThan(1)
  const handler = operations(s.app)
  const shown = async () => {
    const body = (await s.during(asked(handler, '/metrics')))?.body ?? ''
    return names.filter((each) => body.includes(`keelson_queue_jobs{queue="${each}"`))
  }
  expect(await shown()).toEqual(names)

  const { token } = await s.during(s.app.control.suspend(1, { writes: true }))
  for (const each of queues) void codeOf(flow(s.app).add(each, undefined))
  await s.advance(10)
  const began = s.system.clock.monotonic()
  expect(await shown()).toEqual(names.filter(isIn(0)))
  expect(s.system.clock.monotonic() - began).toBeCloseTo(1_000, -2)
  await s.during(s.app.control.resume(1, { token }))

  failNextSync(s.disk, 1)
  const key = names.find((each) => store.shardOf(each) === 1) as string
  expect(await s.during(codeOf(store.put(key, 1)))).toBe('UNKNOWN_OUTCOME')
  expect(await shown()).toEqual(names.filter(isIn(0)))
})

test('a message that waits has waited since the scrape that saw it first', async () => {
  const { s, ref, scraped } = await loaded()
  const series = 'keelson_mailbox_oldest_seconds{kind="server"}'
  const calls = [1, 2].map(() => codeOf(call(ref, 'hang', canary, { timeoutMs: 60_000 })))
  await s.settle()
  expect(sampleOf(await scraped(), series)).toBe(0)
  await s.advance(7_000)
  const text = await scraped()
  expect(sampleOf(text, series)).toBe(7)
  expect(sampleOf(text, 'keelson_mailbox_messages_max{kind="server"}')).toBe(1)
  expect(sampleOf(text, 'keelson_handler_pending{kind="server"}')).toBe(1)
  await s.advance(60_000)
  expect(await Promise.all(calls)).toEqual(['TIMEOUT', 'TIMEOUT'])
})

test('the lag of a projection of users is that of the store, and of a halted one as the log has it', async () => {
  const live = projection('live', { version: 1, project: () => [] })
  const fragile = projection('fragile', {
    version: 1,
    project: () => {
      throw new Error('odd')
    },
  })
  const s = await simulated({ projections: [live, fragile] })
  const handler = operations(s.app)
  const lagOf = async (metric: string, name: string) => {
    const text = (await s.during(asked(handler, '/metrics')))?.body ?? ''
    return sampleOf(text, `keelson_projection_lag_${metric}{shard="0",name="${name}"}`)
  }
  await s.during(s.app.store.put('a', 1))
  await s.advance(10_000)
  expect(await lagOf('seconds', 'fragile')).toBeCloseTo(10, 1)
  await s.during(s.app.store.put('b', 'x'.repeat(5_000)))
  await s.advance(8_000)
  expect(await lagOf('seconds', 'fragile')).toBeCloseTo(18, 1)
  expect(await lagOf('frames', 'fragile')).toBeGreaterThanOrEqual(2)
  expect(await lagOf('bytes', 'fragile')).toBeGreaterThan(5_000)
  expect([await lagOf('seconds', 'live'), await lagOf('bytes', 'live')]).toEqual([0, 0])
})

test('logs that do not answer leave the lags out that they know, and hold up nothing else for long', async () => {
  const fragile = ['one', 'two'].map((name) =>
    projection(name, {
      version: 1,
      project: () => {
        throw new Error('odd')
      },
    }),
  )
  const s = await simulated({ shards: 2, projections: fragile })
  const handler = operations(s.app)
  for (const key of 'abcdefgh') await s.during(s.app.store.put(key, 1))
  await s.advance(10_000)
  const began = s.system.clock.monotonic()
  s.syncMs = 60_000

  const text = (await s.during(asked(handler, '/metrics')))?.body ?? ''
  s.syncMs = 1

  expect(s.system.clock.monotonic() - began).toBeCloseTo(1_000, -2)
  for (const shard of [0, 1])
    for (const name of ['one', 'two']) {
      const lag = (metric: string) =>
        sampleOf(text, `keelson_projection_lag_${metric}{shard="${shard}",name="${name}"}`)
      expect([lag('bytes'), lag('seconds')]).toEqual([undefined, undefined])
      expect(lag('frames')).toBeGreaterThan(0)
    }
})

test('writes that were not admitted are counted by the code of their refusal', async () => {
  const { s, scraped } = await loaded()
  const { token } = await s.during(s.app.control.suspendAll({ writes: true }))
  const put = () => codeOf(s.app.store.put('a', 1, { whenFull: 'refuse' }))
  expect(await s.during(Promise.all([put(), put()]))).toEqual(['BUSY', 'BUSY'])
  const series = 'keelson_writes_refused_total{shard="0",reason="BUSY"}'
  expect(sampleOf(await scraped(), series)).toBe(2)
  await s.during(s.app.control.resumeAll(token === undefined ? {} : { token }))
})

test('an entry that the journal does not take yet is counted among the refused writes', async () => {
  const s = await simulated({ journal: { replay: 'required' } })
  const handler = operations(s.app)
  const append = () => codeOf(s.app.journal.append({ id: 'a', type: 'order' }))
  expect(await s.during(Promise.all([append(), append()]))).toEqual(['BUSY', 'BUSY'])
  const text = (await s.during(asked(handler, '/metrics')))?.body ?? ''
  expect(sampleOf(text, 'keelson_writes_refused_total{shard="0",reason="BUSY"}')).toBe(2)
})

test('snapshots that were made and failed before the first look are in it', async () => {
  let isDamaged = true
  const aroundSnapshots = (host: SnapshotHost): SnapshotHost => ({
    end: () => host.end(),
    run: (kind, request, onProgress) =>
      kind === 'make' && isDamaged
        ? Promise.reject(new KeelsonError('BUSY', 'not now'))
        : host.run(kind, request, onProgress),
  })
  const { world, app } = await startedWithSnapshots({}, { aroundSnapshots })
  await world.during(app.store.put('a', 1))
  expect(await world.during(codeOf(app.control.snapshot(0)))).toBe('BUSY')
  isDamaged = false
  await world.during(app.control.snapshot(0))
  await world.clock.advance(5_000)
  await world.during(app.store.put('a', 'x'.repeat(10_000)))

  const text = (await world.during(asked(operations(app), '/metrics')))?.body ?? ''
  expect(sampleOf(text, 'keelson_snapshot_age_seconds{shard="0"}')).toBeGreaterThanOrEqual(5)
  expect(sampleOf(text, 'keelson_snapshot_failures_total{shard="0"}')).toBe(1)
  const since = sampleOf(text, 'keelson_log_since_snapshot_bytes{shard="0"}')
  expect(since).toBeGreaterThan(10_000)
  expect(since).toBeLessThan(20_000)
  await world.during(app.close())
})

test('without a scrape no write, call or turn is measured', async () => {
  const s = await simulated()
  const handler = operations(s.app)
  await s.during(s.app.store.put('a', 1))
  const first = await s.during(asked(handler, '/metrics'))
  expect(first?.body).not.toContain('keelson_wal_sync_seconds')
  await s.during(s.app.store.put('a', 2))
  const second = await s.during(asked(handler, '/metrics'))
  expect(second?.body).toContain('keelson_wal_sync_seconds_count{shard="0"} 1\n')
})

test('two scrapes at one time get the same values', async () => {
  const s = await simulated()
  const handler = operations(s.app)
  const both = Promise.all([asked(handler, '/metrics'), asked(handler, '/metrics')])
  const [one, other] = await s.during(both)
  expect(one?.body).toBe(other?.body)
})
