/** The memory and the space of an instance, as the page shows them. */
import { expect, onTestFinished, test } from 'vitest'
import { Looks } from '../../../src/inspect/observe/looks.ts'
import { metrics } from '../../../src/inspect/operations/metric-table.ts'
import { operations } from '../../../src/inspect/operations/operations.ts'
import type { Overview } from '../../../src/observe/index.ts'
import { asked } from '../../support/worlds/operations-client.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const MiB = 1024 * 1024

test('memory is what the operating system counts, with the heap and buffers beside it', {
  tags: ['slow'],
}, async () => {
  const s = await simulated({})
  const looks = new Looks(s.app, false)
  onTestFinished(() => looks.end())
  const sizes = async () => ((await s.during(looks.answer('overview', {}))).data as Overview).sizes
  const before = await sizes()
  const planted = Buffer.alloc(64 * MiB, 1)
  // Earlier buffers may go at any time, so the figure is between those before and after it.
  const bounds = [process.memoryUsage().external]
  const after = await sizes()
  bounds.push(process.memoryUsage().external)

  expect(after.externalBytes).toBeGreaterThanOrEqual(planted.length)
  expect(after.externalBytes).toBeGreaterThan(Math.min(...bounds) - 8 * MiB)
  expect(after.externalBytes).toBeLessThan(Math.max(...bounds) + 8 * MiB)
  expect(after.heapBytes - before.heapBytes).toBeLessThan(planted.length)
  expect(after.residentBytes).toBeGreaterThan(after.heapBytes + planted.length)
  const { body = '' } = (await s.during(asked(operations(s.app), '/metrics'))) ?? {}
  const [, external = 0] = body.split(`\n${metrics.external.name} `)
  expect(Number.parseInt(String(external), 10)).toBeGreaterThanOrEqual(planted.length)
})
