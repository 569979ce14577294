/** The metrics of an instance in a reader of the SDK of OpenTelemetry. */
import {
  AggregationTemporality,
  DataPointType,
  MeterProvider,
  type MetricData,
  type MetricProducer,
  MetricReader,
} from '@opentelemetry/sdk-metrics'
import { expect, onTestFinished, test } from 'vitest'
import { metricProducer } from '../../../src/adapters/otel/otel.ts'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import { metrics } from '../../../src/inspect/operations/metric-table.ts'
import { measurements, operations } from '../../../src/inspect/operations/operations.ts'
import { asked } from '../../support/worlds/operations-client.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

type Shop = { calls: { buy: () => number } }

const shop: DurableServer<Shop, number> = {
  init: () => 0,
  calls: { buy: (count) => reply(count + 1, count + 1) },
}

/** A reader that collects when it is asked to. */
class Asked extends MetricReader {
  protected async onShutdown(): Promise<void> {}
  protected async onForceFlush(): Promise<void> {}
}

const stage = async () => {
  const world = machine()
  const app = await world.start({ app: supervisor('app', {}, [entity('shop', shop)]) })
  const page = operations(app, { metrics: true })
  const producer: MetricProducer = metricProducer(measurements(app))
  const reader = new Asked({ metricProducers: [producer] })
  const provider = new MeterProvider({ readers: [reader] })
  onTestFinished(() => provider.shutdown())
  const read = async (): Promise<readonly MetricData[]> => {
    const { resourceMetrics, errors } = await world.during(reader.collect())
    expect(errors).toEqual([])
    return resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics)
  }
  const body = async (): Promise<string> =>
    (await world.during(asked(page, '/metrics')))?.body ?? ''
  return { ...world, app, read, body }
}

test('a histogram has the buckets of the page, and other metrics are sums and gauges', async () => {
  const { app, read, body, during, clock } = await stage()
  for (let bought = 0; bought < 3; bought++)
    await during(call(app.entity<Shop>('shop').ref('1'), 'buy'))
  const found = await read()
  const named = (name: string) => found.find(({ descriptor }) => descriptor.name === name)

  const turns = named('keelson.turn.duration')
  expect(turns).toMatchObject({
    dataPointType: DataPointType.HISTOGRAM,
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    descriptor: { unit: 's' },
  })
  const [point] = turns?.dataPoints ?? []
  expect(point?.attributes).toEqual({ 'keelson.kind': 'shop', 'keelson.result': 'ok' })
  const { bounds } = metrics.turnDuration
  const value = point?.value as { count: number; sum: number; buckets: { counts: number[] } }
  expect(value).toMatchObject({ buckets: { boundaries: [...bounds] } })
  expect(value.count).toBeGreaterThanOrEqual(3)
  // The page counts each bucket with those below it.
  const shown = await body()
  const labels = 'kind="shop",result="ok"'
  const line = /keelson_turn_duration_seconds_bucket\{kind="shop",result="ok",le="[^"]+"\} (\d+)/g
  const onPage = [...shown.matchAll(line)].map(([, count]) => Number(count))
  let below = 0
  expect(value.buckets.counts.map((count) => (below += count))).toEqual(onPage)
  expect(value.buckets.counts).toHaveLength(bounds.length + 1)
  expect(shown).toContain(`keelson_turn_duration_seconds_count{${labels}} ${value.count}\n`)
  expect(shown).toContain(`keelson_turn_duration_seconds_sum{${labels}} ${value.sum}\n`)

  expect(named('keelson.turns')).toMatchObject({
    dataPointType: DataPointType.SUM,
    isMonotonic: true,
    dataPoints: [{ value: value.count }],
  })
  expect(named('keelson.durable')).toMatchObject({
    dataPointType: DataPointType.GAUGE,
    dataPoints: [{ value: 1, attributes: {} }],
  })
  expect(point?.endTime).toEqual([Math.trunc(clock.now() / 1_000), (clock.now() % 1_000) * 1e6])
  expect(point?.startTime[0]).toBeLessThanOrEqual(point?.endTime[0] ?? 0)
})

test('after the close of the instance there are none', async () => {
  const { app, read, during } = await stage()
  await during(app.close())
  expect(await read()).toEqual([])
})

test('a failure to read is an error of the collection, and none of the process', async () => {
  const failure = new Error('no answer')
  const producer = metricProducer({
    metrics: Object.values(metrics),
    take: () => Promise.reject(failure),
    since: 0,
    now: () => 1,
    ending: new AbortController().signal,
  })
  expect((await producer.collect()).errors).toEqual([failure])
})

test.each([null, {}])('metricProducer(%j) is refused', (of) => {
  const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' })
  expect(() => metricProducer(of as never)).toThrow(refused)
})
