/** Calls and casts to another member, in their traces. */
import { context, SpanKind } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { tracing } from '../../../src/adapters/otel/otel.ts'
import { linkKinds, readMessage, tracedFrame } from '../../../src/members/links/link-message.ts'
import { call, cast, type GenServer, name, noReply, reply } from '../../../src/runtime/index.ts'
import { encodeList } from '../../../src/storage/index.ts'
import { deskAt, type LinkedWorld, linkedWorld } from '../../support/worlds/linked-members.ts'

let world: LinkedWorld
afterEach(() => world.close())

type Shelf = { calls: { take: () => number }; casts: { note: () => void } }

/** A server whose handlers make a span, and two members of which `b` has it. */
const stage = async (knows?: number) => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  onTestFinished(() => context.disable())
  const exporter = new InMemorySpanExporter()
  const tracerProvider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  })
  const user = tracerProvider.getTracer('user')
  const shelf: GenServer<Shelf, number> = {
    kind: 'shelf',
    init: () => 7,
    calls: {
      take: (left) => {
        user.startSpan('handled').end()
        return reply(left - 1, left - 1)
      },
    },
    casts: {
      note: async (left, _, own) => {
        await call(own.to(name<Shelf>('other')), 'take')
        return noReply(left)
      },
    },
  }
  world = linkedWorld()
  const a = await world.start('a')
  const b = await world.start('b', knows === undefined ? {} : { knows })
  a.members.expect('b')
  await world.clock.settle()
  await b.system.start(shelf, undefined, { name: name<Shelf>('desk') })
  await b.system.start(shelf, undefined, { name: name<Shelf>('other') })
  for (const { system } of [a, b]) tracing(system, { tracerProvider })
  const ref = deskAt(a) as never
  const named = (title: string): ReadableSpan[] =>
    exporter.getFinishedSpans().filter(({ name: of }) => of === title)
  const within = async (ask: () => Promise<unknown>): Promise<ReadableSpan | undefined> => {
    await user.startActiveSpan('request', async (span) => {
      const asked = ask()
      await world.clock.settle()
      await asked
      span.end()
    })
    return named('request')[0]
  }
  return { named, within, ref }
}

const traceOf = (span: ReadableSpan | undefined) => span?.spanContext().traceId

test('a call to another member is one trace: a span of its caller, one there, and what is done there', async () => {
  const { named, within, ref } = await stage()
  const request = await within(() => call<Shelf, 'take'>(ref, 'take'))
  const [there] = named('call shelf take')
  const [handled] = named('handled')
  expect(there?.kind).toBe(SpanKind.CLIENT)
  expect([traceOf(there), traceOf(handled)]).toEqual([traceOf(request), traceOf(request)])
  // Members of one process share their context: only a place that came over the link is remote.
  expect(there?.parentSpanContext?.isRemote).toBe(true)
  expect(handled?.parentSpanContext?.spanId).toBe(there?.spanContext().spanId)
})

test('a cast to another member begins a trace there that is linked to its sender', async () => {
  const { named, within, ref } = await stage()
  const request = await within(async () => cast<Shelf, 'note'>(ref, 'note'))
  await world.clock.settle()
  const [asked] = named('call shelf take')
  expect(asked?.parentSpanContext).toBeUndefined()
  const linked = asked?.links.map(({ context: { traceId, isRemote } }) => [traceId, isRemote])
  expect(linked).toEqual([[traceOf(request), true]])
})

test('a member of an earlier build gets no place, and the call is done', async () => {
  const { named, within, ref } = await stage(linkKinds.traced - 1)
  await within(() => call<Shelf, 'take'>(ref, 'take'))
  expect(named('handled')).toHaveLength(1)
  const [there] = named('call shelf take')
  expect(there?.parentSpanContext?.isRemote).toBeFalsy()
})

test('a place of a peer that is malformed, or too long, is none, and never the end of its link', () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const trace = { traceparent, tracestate: 'a=1' }
  const read = (...body: unknown[]) => readMessage(encodeList([linkKinds.traced, ...body]))
  expect(readMessage(tracedFrame({ trace, isLate: true }).subarray(4))).toEqual({
    kind: linkKinds.traced,
    origin: { trace, isLate: true },
  })
  expect(read('damaged', null, false)).toMatchObject({ origin: undefined })
  expect(read(7, 7, 7)).toMatchObject({ origin: undefined })
  expect(read(traceparent, 'x'.repeat(600), false)).toMatchObject({
    origin: { trace: { traceparent }, isLate: false },
  })
})
