/** The bound of the actors that are noted as slow: `slowMax` of the alarms of a shard. */
import { expect, test } from 'vitest'
import { startSlowAlarms } from '../../support/harm/slow-alarms.ts'

test('beyond 10,000 slow actors others wait for one of them, and all alarms fire', async () => {
  const wait = { inMs: 100_000, ms: 60_000 }
  const { simulation: s, handle, set, begun } = await startSlowAlarms(10_000, wait)
  // These keep the places, while those that are noted answer.
  const last = Array.from({ length: 64 }, (_, at) =>
    set(`last${at}`, { inMs: 101_000, ms: 300_000 }),
  )
  await s.during(Promise.all(last))
  const at = await s.during(set('other', { inMs: 105_000, ms: 0 }))

  await s.advance(140_000)
  expect(begun).toHaveLength(10_064)

  await s.advance(60_000)
  const fired = begun.find(({ id }) => id === 'other')
  expect((fired?.at ?? Number.POSITIVE_INFINITY) - at).toBeLessThan(70_000)
  await s.advance(300_000)
  expect(begun).toHaveLength(10_065)
  expect(await s.during(handle.alarms())).toEqual([])
  await s.close()
}, 600_000)
