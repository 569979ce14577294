/** The parts of an instance that may grow, as the page shows them. */
import { expect, test } from 'vitest'
import { Growths } from '../../../src/inspect/observe/growths.ts'
import { metrics } from '../../../src/inspect/operations/metric-table.ts'
import { operations } from '../../../src/inspect/operations/operations.ts'
import { asked } from '../../support/worlds/operations-client.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const MiB = 1024 * 1024

test('memory is what the operating system counts, with the heap and buffers beside it', async () => {
  const s = await simulated({})
  const memory = () => {
    const shown = new Growths().of(s.app, s.app.health(), undefined)
    const sizeOf = (title: string) => shown.find((each) => each.title === title)?.value ?? 0
    return {
      all: sizeOf('memory'),
      heap: sizeOf('memory: heap of V8'),
      buffers: sizeOf('memory: buffers, external'),
    }
  }
  const before = memory()
  const planted = Buffer.alloc(64 * MiB, 1)
  const after = memory()

  // Earlier buffers may go meanwhile.
  expect(after.buffers - before.buffers).toBeGreaterThan(planted.length / 2)
  expect(after.heap - before.heap).toBeLessThan(planted.length)
  expect(after.all).toBeGreaterThan(after.heap + planted.length)
  const { body = '' } = (await s.during(asked(operations(s.app), '/metrics'))) ?? {}
  const [, external = 0] = body.split(`\n${metrics.external.name} `)
  expect(Number.parseInt(String(external), 10)).toBeGreaterThanOrEqual(planted.length)
})
