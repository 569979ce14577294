/** The sizes of batches: an event of each, and a histogram for Prometheus and OpenTelemetry. */
import { expect, test } from 'vitest'
import { metricProducer } from '../../../src/adapters/otel/otel.ts'
import { flow, flows, type QueueEvents, queue } from '../../../src/flow/index.ts'
import { supervisor, telemetry } from '../../../src/index.ts'
import { measurements, operations } from '../../../src/inspect/operations/operations.ts'
import { asked } from '../../support/worlds/operations-client.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

test('each batch is an event with its size, and a value of the histogram of its queue', async () => {
  const together = queue('together', async () => undefined, { batch: { max: 3, waitMs: '1s' } })
  const alone = queue('alone', async () => undefined)
  const parts = flows({ queues: [together, alone] })
  const s = await simulated({ app: supervisor('app', {}, [parts]) })
  const sizes: unknown[] = []
  const bus = telemetry<QueueEvents>(s.system)
  bus.on('queue.batch', ({ queue: name, jobs }) => sizes.push([name, jobs]))
  const page = operations(s.app, { metrics: true })
  const producer = metricProducer(measurements(s.app))

  await s.during(flow(s.app).addMany(together, ['a', 'b', 'c', 'd', 'e'] as never))
  await s.during(flow(s.app).add(alone, 'a' as never))
  await s.advance(5_000)

  expect(sizes).toEqual([
    ['together', 3],
    ['together', 2],
  ])
  const { body = '' } = (await s.during(asked(page, '/metrics'))) ?? {}
  expect(body.match(/^keelson_queue_batch_jobs_(bucket.*le="[125](\.0)?"|sum|count).*$/gm)).toEqual(
    [
      'keelson_queue_batch_jobs_bucket{queue="together",le="1.0"} 0',
      'keelson_queue_batch_jobs_bucket{queue="together",le="2.0"} 1',
      'keelson_queue_batch_jobs_bucket{queue="together",le="5.0"} 2',
      'keelson_queue_batch_jobs_sum{queue="together"} 5',
      'keelson_queue_batch_jobs_count{queue="together"} 2',
    ],
  )
  const { resourceMetrics } = await s.during(producer.collect())
  const found = resourceMetrics.scopeMetrics
    .flatMap((scope) => scope.metrics)
    .find(({ descriptor }) => descriptor.name === 'keelson.queue.batch_jobs')
  expect(found?.dataPoints[0]).toMatchObject({ value: { sum: 5, count: 2 } })
})
