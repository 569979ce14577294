/** The bound of the actors that are noted as slow: `slowMax` of the alarms of a shard. */
import { expect, test } from 'vitest'
import { startSlowAlarms } from '../../support/slow-alarms.ts'

test('beyond 10,000 slow actors others wait for one of them, and all alarms fire', async () => {
  const slow = 10_000 + 64
  const wait = { inMs: 100_000, ms: 60_000 }
  const { simulation: s, handle, set, begun } = await startSlowAlarms(slow, wait)
  const at = await s.during(set('other', { inMs: 105_000, ms: 0 }))

  await s.advance(140_000)
  expect(begun).toHaveLength(slow)

  await s.advance(60_000)
  const fired = begun.find(({ id }) => id === 'other')
  expect((fired?.at ?? Number.POSITIVE_INFINITY) - at).toBeLessThan(60_000)
  await s.advance(100_000)
  expect(begun).toHaveLength(slow + 1)
  expect(await s.during(handle.alarms())).toEqual([])
  await s.close()
}, 600_000)
