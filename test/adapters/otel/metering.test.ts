/** The metrics of an instance as instruments, with a meter that keeps what is observed. */
import type { BatchObservableCallback, MeterProvider, Observable } from '@opentelemetry/api'
import { expect, test } from 'vitest'
import { inTraceOf, metering } from '../../../src/adapters/otel/otel.ts'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import { metrics } from '../../../src/inspect/operations/metric-table.ts'
import { measurements, operations } from '../../../src/inspect/operations/operations.ts'
import { asked } from '../../support/worlds/operations-client.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

type Instrument = { readonly kind: string; readonly name: string; readonly unit: string }
type Observed = readonly [name: string, value: number, attributes: object]

/** A provider whose meter keeps its instruments, and observes when it is asked to. */
const kept = () => {
  const instruments = new Map<Observable, Instrument>()
  const callbacks: BatchObservableCallback[] = []
  const create =
    (kind: string) =>
    (name: string, { unit }: { unit: string }) => {
      const made = { addCallback: () => undefined, removeCallback: () => undefined }
      instruments.set(made, { kind, name, unit })
      return made
    }
  const meter = {
    createObservableCounter: create('counter'),
    createObservableGauge: create('gauge'),
    addBatchObservableCallback: (each: BatchObservableCallback) => void callbacks.push(each),
    removeBatchObservableCallback: (each: BatchObservableCallback) =>
      void callbacks.splice(callbacks.indexOf(each), 1),
  }
  const provider = { getMeter: () => meter } as unknown as MeterProvider
  const observe = async (): Promise<Observed[]> => {
    const seen: Observed[] = []
    for (const callback of callbacks)
      await callback({
        observe: (instrument, value, attributes) =>
          void seen.push([instruments.get(instrument)?.name ?? '', value, attributes ?? {}]),
      })
    return seen
  }
  return { provider, callbacks, observe, instruments: () => [...instruments.values()] }
}

type Shop = { calls: { buy: () => number } }

const shop: DurableServer<Shop, number> = {
  init: () => 0,
  calls: { buy: (count) => reply(count + 1, count + 1) },
}

const stage = async () => {
  const world = machine()
  const app = await world.start({ app: supervisor('app', {}, [entity('shop', shop)]) })
  const meter = kept()
  const metered = metering(measurements(app), { meterProvider: meter.provider })
  return { ...world, app, meter, metered }
}

test('each metric of the page is an instrument, and a histogram is two counters', async () => {
  const { meter } = await stage()
  const table = Object.values(metrics)
  const histograms = table.filter(({ type }) => type === 'histogram')
  const made = meter.instruments()
  expect(made).toHaveLength(table.length + histograms.length)
  expect(new Set(made.map(({ name }) => name)).size).toBe(made.length)
  for (const { name } of made) expect(name).toMatch(/^[a-z]+(\.[a-z0-9_]+)+$/)
  expect(made.filter(({ name }) => /(_total|_seconds|_bytes)$/.test(name))).toEqual([])
  expect(made).toEqual(
    expect.arrayContaining([
      { kind: 'counter', name: 'keelson.wal.written', unit: 'By' },
      { kind: 'gauge', name: 'keelson.mailbox.messages', unit: '1' },
      { kind: 'counter', name: 'keelson.wal.sync.count', unit: '1' },
      { kind: 'counter', name: 'keelson.wal.sync.sum', unit: 's' },
      { kind: 'counter', name: 'process.cpu.time', unit: 's' },
      { kind: 'gauge', name: 'process.memory.usage', unit: 'By' },
    ]),
  )
})

test('an instrument has the values of the page, with its labels as attributes', async () => {
  const { app, meter, during } = await stage()
  const page = operations(app)
  await during(call(app.entity<Shop>('shop').ref('1'), 'buy'))
  const observed = await during(meter.observe())
  const { body = '' } = (await during(asked(page, '/metrics'))) ?? {}
  const [, turns] = /keelson_turns_total\{kind="shop",result="ok"\} (\d+)/.exec(body) ?? []
  expect(observed).toContainEqual([
    'keelson.turns',
    Number(turns),
    { 'keelson.kind': 'shop', 'keelson.result': 'ok' },
  ])
})

test.each(['stop', 'close'] as const)('after its %s nothing is observed', async (how) => {
  const { app, meter, metered, during } = await stage()
  expect(meter.callbacks).toHaveLength(1)
  if (how === 'stop') metered.stop()
  else await during(app.close())
  expect(meter.callbacks).toEqual([])
  expect(await meter.observe()).toEqual([])
})

test.each([
  [null, {}],
  [{}, {}],
  [{ take: () => undefined }, { meterProvider: {} }],
  [{ take: () => undefined }, { meterProvider: null }],
])('metering(%j, %j) is refused', (of, options) => {
  const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' })
  expect(() => metering(of as never, options as never)).toThrow(refused)
})

test('measurements of what is no instance are refused', () => {
  const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' })
  expect(() => measurements({} as never)).toThrow(refused)
})

test('work for headers without a place is done', () => {
  expect(inTraceOf({ traceparent: 'damaged' }, () => 'done')).toBe('done')
})
