/** `keelson/otel` with the SDK's exporter in memory: which spans there are, whose children, and with which links. */

import { PassThrough } from 'node:stream'
import { context, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { describe, expect, onTestFinished, test } from 'vitest'
import { tracing } from '../../../src/adapters/otel/otel.ts'
import {
  call,
  cast,
  createSystem,
  type DurableServer,
  entity,
  type GenServer,
  jsonLogger,
  name,
  noReply,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import type { ProcessSystem } from '../../../src/runtime/server/system.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

type Order = {
  calls: {
    pay: (card: { secret: string }) => string
    read: () => number
    book: () => void
    crash: () => void
  }
  casts: { cancel: () => void }
  continues: { charge: (card: { secret: string }) => void }
  alarms: { unpaid: (text: string) => void }
}

const order: DurableServer<Order, number> = {
  init: () => 0,
  calls: {
    pay: (count, card, context) => {
      context.setAlarm('unpaid', { inMs: 1_000 }, card.secret)
      return reply(card.secret, count + 1, { continue: ['charge', card] })
    },
    read: (count) => reply(count, count),
    book: async (count, _, context) => {
      await call(context.to(name<Stock>('stock')), 'take', 'tea')
      cast(context.to(name<Stock>('stock')), 'note')
      return reply(undefined, count + 1)
    },
    crash: () => {
      throw new Error('canary in a text')
    },
  },
  casts: { cancel: (count) => noReply(count + 1) },
  continues: { charge: (count) => noReply(count + 1) },
  alarms: { unpaid: (count) => noReply(count + 1) },
}

type Stock = {
  calls: { take: (what: string) => number; need: () => number }
  casts: { note: () => void }
}

const stock: GenServer<Stock, number> = {
  kind: 'stock',
  init: () => 7,
  calls: { take: (left) => reply(left - 1, left - 1), need: (left) => reply(left, left) },
  casts: {
    note: async (left, _, context) => {
      await call(context.to(name<Stock>('other')), 'need')
      return noReply(left)
    },
  },
}

const stage = async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  onTestFinished(() => context.disable())
  const exporter = new InMemorySpanExporter()
  const tracerProvider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  })
  const world = machine()
  const log = new PassThrough()
  const app = await world.start({
    app: supervisor('app', {}, [
      entity('order', order, { idleMs: 60_000 }),
      worker('stock', stock, { name: name<Stock>('stock') }),
      worker('other', stock, { name: name<Stock>('other') }),
    ]),
    system: createSystem({ clock: world.clock, logger: jsonLogger({ stream: log }) }),
  })
  const traced = tracing(app, { tracerProvider })
  const spans = (): ReadableSpan[] => exporter.getFinishedSpans()
  const span = (title: string): ReadableSpan => {
    const [found, ...more] = spans().filter((each) => each.name === title)
    if (!found || more.length > 0)
      throw new Error(`${more.length + 1} of ${title}: ${spans().map((each) => each.name)}`)
    return found
  }
  const ref = app.entity<Order>('order').ref('17')
  const { during, clock } = world
  const user = tracerProvider.getTracer('user')
  return { app, during, clock, traced, spans, span, ref, user, log }
}

const linksOf = ({ links }: ReadableSpan): string[] => links.map((link) => link.context.spanId)
const idOf = (span: ReadableSpan): string => span.spanContext().spanId
const traceOf = (span: ReadableSpan): string => span.spanContext().traceId

describe('a call', () => {
  test('is a span of its caller, and the turn is its child, with frame and durability', async () => {
    const { during, span, ref, user } = await stage()
    const { position } = await during(
      user.startActiveSpan('request', async (request) => {
        const answer = await call(ref, 'pay', { secret: 'canary' }, { position: true })
        request.end()
        return answer
      }),
    )
    const [request, called, turn] = [
      span('request'),
      span('call entity pay'),
      span('order call pay'),
    ]
    expect(called.parentSpanContext?.spanId).toBe(idOf(request))
    expect(turn.parentSpanContext?.spanId).toBe(idOf(called))
    expect([called.kind, turn.kind]).toEqual([2, 1])
    expect(called.attributes).toEqual({ 'keelson.server': 'entity', 'keelson.message': 'pay' })
    expect(turn.attributes).toEqual({
      'keelson.entity.kind': 'order',
      'keelson.entity.id': '17',
      'keelson.entity.seq': 1,
      'keelson.entity.shard': 0,
      'keelson.entity.lsn': position.lsn,
      'keelson.turn': 'call pay',
    })
    expect(turn.events.map((event) => event.name)).toEqual(['durable'])
  })

  test('of a handler is a part of its turn, also by a plain server', async () => {
    const { during, span, ref } = await stage()
    await during(call(ref, 'book'))
    const [turn, taken] = [span('order call book'), span('call stock take')]
    expect(traceOf(taken)).toBe(traceOf(span('call entity book')))
    expect(taken.parentSpanContext?.spanId).toBe(idOf(turn))
  })

  test('that fails has the status ERROR with the code', async () => {
    const { during, span, ref } = await stage()
    await during(call(ref, 'crash').catch(() => undefined))
    expect(span('call entity crash').status).toEqual({
      code: SpanStatusCode.ERROR,
      message: 'EXITED',
    })
    expect(span('order call crash').status).toEqual({
      code: SpanStatusCode.ERROR,
      message: 'failed',
    })
    expect(span('order call crash').attributes['error.type']).toBe('failed')
    const [exception] = span('order call crash').events
    expect(exception?.name).toBe('exception')
    const { 'exception.stacktrace': stack } = exception?.attributes ?? {}
    expect(String(stack).split('\n').slice(0, 2)).toEqual([
      'Error',
      expect.stringMatching(/^ {4}at crash \(.*otel\.test\.ts:\d+:\d+\)$/),
    ])
    // The text of an error may have anything in it.
    expect(String(stack)).not.toContain('canary')
  })
})

test('a step is a part of the trace of the turn that recorded it', async () => {
  const { during, span, clock, ref } = await stage()
  await during(call(ref, 'pay', { secret: 'canary' }))
  await clock.advance(10)
  const [turn, step] = [span('order call pay'), span('order continue charge')]
  expect(step.parentSpanContext?.spanId).toBe(idOf(turn))
  expect(traceOf(step)).toBe(traceOf(turn))
})

describe('a new trace, linked to its cause', () => {
  test('has a cast', async () => {
    const { during, span, clock, ref, user } = await stage()
    await during(call(ref, 'read'))
    user.startActiveSpan('request', (request) => {
      cast(ref, 'cancel')
      request.end()
    })
    await clock.advance(10)
    const turn = span('order cast cancel')
    expect(turn.parentSpanContext).toBeUndefined()
    expect(traceOf(turn)).not.toBe(traceOf(span('request')))
    expect(linksOf(turn)).toEqual([idOf(span('request'))])
  })

  test('has an alarm, to the turn that set it', async () => {
    const { during, span, clock, ref } = await stage()
    await during(call(ref, 'pay', { secret: 'canary' }))
    await clock.advance(2_000)
    expect(span('order alarm unpaid').parentSpanContext).toBeUndefined()
    expect(linksOf(span('order alarm unpaid'))).toEqual([idOf(span('order call pay'))])
  })

  test('has a call that a cast to a plain server makes', async () => {
    const { during, span, clock, ref } = await stage()
    await during(call(ref, 'book'))
    await clock.advance(10)
    const need = span('call stock need')
    expect(linksOf(need)).toEqual([idOf(span('order call book'))])
    expect(need.parentSpanContext).toBeUndefined()
  })
})

test('no span has a byte of a payload, a reply or the text of an error', async () => {
  const { app, during, clock, spans, ref } = await stage()
  await during(call(ref, 'pay', { secret: 'canary' }))
  await clock.advance(2_000)
  await during(call(ref, 'crash').catch(() => undefined))
  await during(app.control.flush(0))
  const shown = spans().map(({ name: title, attributes, events, links, status, resource }) =>
    JSON.stringify([title, attributes, events, links, status, resource.attributes]),
  )
  expect(shown.length).toBeGreaterThan(9)
  expect(shown.filter((text) => text.includes('canary'))).toEqual([])
})

describe('commits and projections', () => {
  test('are linked to their turns, to 32 of them', async () => {
    const { app, during, spans, ref } = await stage()
    await during(call(ref, 'read'))
    const refs = Array.from({ length: 40 }, (_, id) => app.entity<Order>('order').ref(`${id}`))
    await during(Promise.all(refs.map((each) => call(each, 'pay', { secret: 'canary' }))))
    await during(app.control.flush(0))
    const turns = spans().filter((each) => each.name === 'order call pay')
    const titled = (title: string) => spans().filter((each) => each.name === title)
    const commits = titled('commit')
    const linked = commits.flatMap(linksOf)
    expect(new Set(linked).size).toBe(linked.length)
    expect(commits.every(({ links }) => links.length <= 32)).toBe(true)
    expect(
      commits.reduce((sum, { attributes }) => sum + Number(attributes['keelson.turns']), 0),
    ).toBe(spans().filter(({ attributes }) => attributes['keelson.entity.lsn']).length)
    expect(linked).toContain(turns[0] && idOf(turns[0]))
    expect(titled('projection').some(({ links }) => links.length > 0)).toBe(true)
  })

  test('a turn that is known to be durable after the next commit is linked to none', async () => {
    const { app, spans } = await stage()
    const { events, tracer } = app.system as ProcessSystem
    const commit = (lsn: number): void => {
      const facts = { instance: 'default', shard: 0, at: 1_000 }
      const times = { frames: 1, bytes: 1, waitMs: 0, syncMs: 1 }
      events.emit('wal.commit', { ...facts, ...times, durableLsn: lsn })
      const load = { overlayKeys: 0, overlayBytes: 0 }
      events.emit('applier.applied', { ...facts, ...load, frames: 1, appliedLsn: lsn })
    }
    const turn = tracer?.turn({
      ...{ instance: 'default', shard: 0, kind: 'order', id: '1', what: 'cast cancel' },
      ...{ origin: undefined, seq: 1 },
    })
    commit(501)
    turn?.end(undefined, { lsn: 501 })
    commit(502)
    expect(spans().map((each) => each.name)).toEqual(['order cast cancel'])
  })

  /** Turns with the LSNs from `first` to `last`, and commits of LMDB that show those up to an LSN. */
  const projecting = async () => {
    const { app, spans } = await stage()
    const { events, tracer } = app.system as ProcessSystem
    const turns = (first: number, last: number): void => {
      for (let lsn = first; lsn <= last; lsn++)
        tracer
          ?.turn({
            ...{ instance: 'default', shard: 0, kind: 'order', id: '1', what: 'cast cancel' },
            ...{ origin: undefined, seq: lsn },
          })
          .end(undefined, { lsn })
    }
    const flushed = (projectedLsn: number): void => {
      const facts = { instance: 'default', shard: 0, at: 1_000, lag: 0, durationMs: 1 }
      const times = { frames: 1, rows: 1, operations: 0, result: 'ok' }
      events.emit('lmdb.flushed', { ...facts, ...times, projectedLsn })
    }
    const shown = () =>
      spans().flatMap(({ name: of, attributes, links }) =>
        of === 'projection' ? [[attributes['keelson.turns'], links.length]] : [],
      )
    return { turns, flushed, shown }
  }

  test('a projection counts and links the turns that it shows, and leaves later ones to the next', async () => {
    const { turns, flushed, shown } = await projecting()
    turns(1_001, 1_040)
    flushed(1_035)
    flushed(1_040)
    flushed(1_041)
    expect(shown()).toEqual([
      [35, 32],
      [5, 5],
    ])
  })

  test('a projection that was behind counts every turn, with links to the first and the last ones', {
    tags: ['slow'],
  }, async () => {
    const { turns, flushed, shown } = await projecting()
    turns(1_001, 12_000)
    for (const lsn of [1_100, 1_200, 11_900, 12_000]) flushed(lsn)
    expect(shown()).toEqual([
      [100, 32],
      [100, 0],
      [9_799, 0],
      [1_001, 32],
    ])
  })

  test('without a turn have no span', async () => {
    const { app, during, spans } = await stage()
    await during(app.store.put('a', 1))
    await during(app.control.flush(0))
    expect(spans()).toEqual([])
  })
})

test('a line of the log has the trace of the code at hand', async () => {
  const { app, log, user } = await stage()
  const id = user.startActiveSpan('request', (request) => {
    app.system.logger.info('here')
    return request.spanContext().traceId
  })
  expect(JSON.parse(String(log.read()).trim())).toMatchObject({ msg: 'here', trace_id: id })
})

test.each(['onStart', 'onEnd'] as const)(
  'a processor whose %s throws costs no call',
  async (at) => {
    const broken = () => {
      throw new Error('the processor is broken')
    }
    const nothing = {
      onStart() {},
      onEnd() {},
      forceFlush: async () => {},
      shutdown: async () => {},
    }
    const { app, during, traced, ref } = await stage()
    traced.stop()
    const spanProcessors = [{ ...nothing, [at]: broken }]
    tracing(app, { tracerProvider: new BasicTracerProvider({ spanProcessors }) })

    await during(call(ref, 'pay', { secret: 'canary' }))
    expect(await during(call(ref, 'read'))).toBe(2) // the turn and its step
  },
)

test.each([
  [null, {}],
  [{}, {}],
  ['app', {}],
  [createSystem(), { tracerProvider: {} }],
  [createSystem(), { tracerProvider: null }],
])('tracing(%s, %s) is refused', (of, options) => {
  const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' })
  expect(() => tracing(of as never, options as never)).toThrow(refused)
})

test('after stop there are no spans; a second tracer is refused', async () => {
  const { app, during, traced, spans, ref } = await stage()
  expect(() => tracing(app)).toThrow(expect.objectContaining({ code: 'CONFLICT' }))
  traced.stop()
  await during(call(ref, 'read'))
  expect(spans()).toEqual([])
  expect(trace.getActiveSpan()).toBeUndefined()
})
