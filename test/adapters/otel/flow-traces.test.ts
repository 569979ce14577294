/** The spans of runs, steps and jobs: whose parts they are, also after a crash. */
import { context, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { describe, expect, onTestFinished, test } from 'vitest'
import { tracing } from '../../../src/adapters/otel/otel.ts'
import { type BatchJob, flow, flows, queue, workflow } from '../../../src/flow/index.ts'
import { call, type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Shop = {
  calls: { order: (id: string) => void; remind: () => void }
  continues: { deliver: (id: string) => void }
  alarms: { late: () => void }
}

const world = async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  onTestFinished(() => context.disable())
  const exporter = new InMemorySpanExporter()
  const tracerProvider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  })
  const held = { mails: 0, charges: 0, cancels: false }
  const order = workflow('order', async (ctx, id: string) => {
    await ctx.step('charge', () => {
      if (held.charges-- > 0) throw new Error('canary')
    })
    await ctx.sleep('wait', '1d')
    if (held.cancels) throw new Error('canary')
    await ctx.step('close', () => id)
  })
  const mails = queue('mails', () => {
    if (held.mails-- > 0) throw new Error('canary')
  })
  const rows = queue(
    'rows',
    async (jobs: readonly BatchJob<string>[], { app: { entity: kinds } }) => {
      await call(kinds<Shop>('shop').ref('rows'), 'order', `${jobs.length}`)
    },
    { batch: { max: 2 } },
  )
  const shop: DurableServer<Shop, number> = {
    init: () => 0,
    calls: {
      order: (count, id) => reply(undefined, count + 1, { continue: ['deliver', id] }),
      remind: (count, _, own) => {
        own.setAlarm('late', { inMs: 1_000 })
        return reply(undefined, count + 1)
      },
    },
    continues: { deliver: (count) => noReply(count + 1) },
    alarms: { late: (count) => noReply(count + 1) },
  }
  const app = supervisor('app', {}, [
    entity('shop', shop),
    flows({ workflows: [order], queues: [mails, rows] }),
  ])
  const s = await simulated({ app })
  let traced = tracing(s.app, { tracerProvider })
  const named = (title: string): ReadableSpan[] =>
    exporter.getFinishedSpans().filter(({ name }) => name === title)
  const user = tracerProvider.getTracer('user')
  return {
    ...{ s, order, mails, rows, held, named },
    stop: () => traced.stop(),
    /** Asks for something as a part of a span, and returns that. */
    within: async (ask: () => Promise<unknown>): Promise<ReadableSpan> => {
      await user.startActiveSpan('request', async (span) => {
        await s.during(ask())
        span.end()
      })
      return named('request').at(-1) as ReadableSpan
    },
    /** A power cut. What was traced before is forgotten. */
    restart: async () => {
      await s.powerCut()
      exporter.reset()
      await s.start()
      traced = tracing(s.app, { tracerProvider })
    },
  }
}

const idOf = (span: ReadableSpan | undefined): string | undefined => span?.spanContext().spanId
const traceOf = (span: ReadableSpan | undefined): string | undefined => span?.spanContext().traceId
const parentOf = (span: ReadableSpan | undefined): string | undefined =>
  span?.parentSpanContext?.spanId
const hour = 3_600_000

test('a dead job has the trace of the request that added it, after a power cut too', async () => {
  const { s, mails, held, within, restart } = await world()
  held.mails = Number.POSITIVE_INFINITY
  const request = await within(() => flow(s.app).add(mails, null))
  await s.advance(60_000)
  await restart()
  const { entries } = await s.during(flow(s.app).dead(mails))
  expect(entries.map(({ traceId }) => traceId)).toEqual([traceOf(request)])
  const found = await s.during(flow(s.app).job(mails, `${entries[0]?.id}`).get())
  expect(found).toMatchObject({ state: 'dead', traceId: traceOf(request) })
})

describe('a run', () => {
  test('has a span for each activation, in the trace of its start, and none while it sleeps', async () => {
    const { s, order, named, within } = await world()
    const request = await within(() => flow(s.app).start(order, 'a', { id: '1' }))
    await s.advance(10_000)
    const [first, ...more] = named('run order')
    expect(more).toEqual([])
    expect(first?.kind).toBe(SpanKind.CONSUMER)
    expect(first?.attributes).toEqual({ 'keelson.run.type': 'order', 'keelson.run.id': '1' })
    await s.advance(25 * hour)
    const spans = named('run order')
    expect(spans).toHaveLength(2)
    for (const span of spans) {
      expect(traceOf(span)).toBe(traceOf(request))
      expect(span.duration[0]).toBeLessThan(60)
    }
  })

  test('goes on in the trace of its start after a power cut', async () => {
    const { s, order, named, within, restart } = await world()
    const request = await within(() => flow(s.app).start(order, 'a', { id: '1' }))
    const [start] = named('$flow-order call start')
    await s.advance(10_000)
    await restart()
    await s.advance(25 * hour)
    const [run] = named('run order')
    const [step] = named('step close')
    expect([traceOf(run), traceOf(step)]).toEqual([traceOf(request), traceOf(request)])
    expect([parentOf(run), parentOf(step)]).toEqual([idOf(start), idOf(run)])
  })

  test('has a span for each try of a step, and an event for each retry', async () => {
    const { s, order, held, named, within } = await world()
    held.charges = 1
    await within(() => flow(s.app).start(order, 'a', { id: '1' }))
    await s.advance(60_000)
    const [failed, good, ...more] = named('step charge')
    expect(more).toEqual([])
    expect(failed?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'failed' })
    expect(failed?.events.map(({ name }) => name)).toEqual(['exception'])
    expect(good?.status.code).toBe(SpanStatusCode.UNSET)
    const retries = named('run order').flatMap(({ events }) => events)
    expect(retries.map(({ name, attributes }) => [name, attributes?.['keelson.retry.of']])).toEqual(
      [['retry', 'charge']],
    )
    expect(JSON.stringify(failed?.events)).not.toContain('canary')
  })

  test('that fails has the status ERROR', async () => {
    const { s, order, held, named, within } = await world()
    held.cancels = true
    await within(() => flow(s.app).start(order, 'a', { id: '1' }))
    await s.advance(25 * hour)
    expect(named('run order').at(-1)?.status).toEqual({
      code: SpanStatusCode.ERROR,
      message: 'failed',
    })
  })
})

describe('a job', () => {
  test('is a part of the trace of its producer, and has a span for each try', async () => {
    const { s, mails, held, named, within } = await world()
    held.mails = 1
    const request = await within(() => flow(s.app).add(mails, 'a'))
    await s.advance(30_000)
    const [failed, good, ...more] = named('process mails')
    expect(more).toEqual([])
    expect([traceOf(failed), traceOf(good)]).toEqual([traceOf(request), traceOf(request)])
    expect(failed?.kind).toBe(SpanKind.CONSUMER)
    expect(failed?.events.map(({ name }) => name)).toEqual(['retry', 'exception'])
    expect(good?.attributes).toEqual({
      'messaging.system': 'keelson',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'mails',
      'messaging.message.id': '1',
      'keelson.attempt': 2,
    })
  })

  test('has the span of its producer as the parent of its tries', async () => {
    const { s, mails, held, named, within } = await world()
    held.mails = 1
    const request = await within(() => flow(s.app).add(mails, 'a'))
    await s.advance(30_000)
    const [producer, ...more] = named('add mails')
    expect(more).toEqual([])
    expect(producer?.kind).toBe(SpanKind.PRODUCER)
    expect(parentOf(producer)).toBe(idOf(request))
    expect(producer?.attributes).toEqual({
      'messaging.system': 'keelson',
      'messaging.operation.name': 'add',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'mails',
      'messaging.message.id': '1',
    })
    expect(named('process mails').map(parentOf)).toEqual([idOf(producer), idOf(producer)])
  })

  test('of several that are added together has one producer, which counts them', async () => {
    const { s, mails, named } = await world()
    await s.during(flow(s.app).addMany(mails, ['a', 'b', 'c']))
    await s.advance(1_000)
    const [producer] = named('add mails')
    expect(producer?.attributes).toMatchObject({ 'messaging.batch.message_count': 3 })
    expect(producer?.attributes).not.toHaveProperty('messaging.message.id')
    const parents = new Set(named('process mails').map(parentOf))
    expect([...parents]).toEqual([idOf(producer)])
  })

  test('that begins more than a minute after it was added has a link to its producer', async () => {
    const { s, mails, named, within, restart } = await world()
    const request = await within(() => flow(s.app).add(mails, 'a', { delay: '2m' }))
    const added = idOf(named('add mails')[0])
    await restart()
    await s.advance(hour)
    const [job] = named('process mails')
    expect(parentOf(job)).toBeUndefined()
    expect(job?.links.map(({ context: { traceId } }) => traceId)).toEqual([traceOf(request)])
    expect(job?.links[0]?.context.spanId).toBe(added)
  })
})

test('jobs of a batch keep the traces of their producers, and the call of the handler has links to them', async () => {
  const { s, rows, named, within } = await world()
  await s.during(flow(s.app).pause(rows))
  const requests = [
    await within(() => flow(s.app).add(rows, 'a')),
    await within(() => flow(s.app).add(rows, 'b')),
  ]
  await s.during(flow(s.app).resume(rows))
  await s.advance(1_000)
  const jobs = named('process rows')
  expect(jobs.map(traceOf)).toEqual(requests.map(traceOf))
  const [batch, ...more] = named('batch rows')
  expect(more).toEqual([])
  expect(batch?.attributes).toEqual({
    'messaging.system': 'keelson',
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.destination.name': 'rows',
    'messaging.batch.message_count': 2,
  })
  expect(batch?.links.map(({ context: { spanId } }) => spanId)).toEqual(jobs.map(idOf))
  expect(requests.map(traceOf)).not.toContain(traceOf(batch))
  // What the handler asks for is a part of the call.
  expect(traceOf(named('shop call order')[0])).toBe(traceOf(batch))
})

describe('over a power cut', () => {
  test('an alarm has a link to the turn that set it', async () => {
    const { s, named, within, restart } = await world()
    const request = await within(() => call(s.app.entity<Shop>('shop').ref('1'), 'remind'))
    const [turn] = named('shop call remind')
    await restart()
    await s.advance(2_000)
    const [alarm] = named('shop alarm late')
    expect(alarm?.links.map(({ context: { spanId } }) => spanId)).toEqual([idOf(turn)])
    expect(alarm?.links[0]?.context.traceId).toBe(traceOf(request))
  })
})

test('rows that were written without a tracer are read with one, and begin traces of their own', async () => {
  const { s, order, mails, named, stop, restart } = await world()
  stop()
  await s.during(flow(s.app).start(order, 'a', { id: '1' }))
  await s.during(flow(s.app).add(mails, 'a', { delay: '2m' }))
  await s.during(call(s.app.entity<Shop>('shop').ref('1'), 'remind'))
  expect(JSON.stringify(s.app.entity('$flow-order').state('1'))).not.toContain('trace')
  await restart()
  await s.advance(25 * hour)
  for (const title of ['run order', 'process mails', 'shop alarm late']) {
    expect([title, parentOf(named(title)[0])]).toEqual([title, undefined])
  }
})
