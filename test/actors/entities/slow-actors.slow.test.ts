/** Alarms of actors whose handlers take long: nobody else waits for them. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { ReadView } from '../../../src/actors/core/read-view.ts'
import { name } from '../../../src/index.ts'
import { dueRows } from '../../../src/storage/index.ts'
import type { Simulation } from '../../../src/testing/index.ts'
import { startSlowAlarms } from '../../support/harm/slow-alarms.ts'

let simulation: Simulation | undefined
afterEach(() => simulation?.close())

test('many alarms at one moment keep no place longer than their turns take', async () => {
  const { simulation: s, begun } = await startSlowAlarms(400, { inMs: 60_000, ms: 0 })
  simulation = s

  await s.advance(65_000)

  const times = begun.map(({ at }) => at)
  expect(times).toHaveLength(400)
  expect(Math.max(...times) - Math.min(...times)).toBeLessThan(90)
  expect(s.log.lines).toEqual([])
})

test('actors whose handlers end one by one are asked in batches: half of the places at a time', async () => {
  const { simulation: s, handle, set, begun } = await startSlowAlarms(0, { inMs: 0, ms: 0 })
  simulation = s
  const count = 640
  // None of them is slow: each keeps its place until it has answered.
  const sets = Array.from({ length: count }, (_, at) =>
    set(`quick${at}`, { inMs: 60_000, ms: 1 + (at % 64) }),
  )
  await s.during(Promise.all(sets))
  const [shard] = s.app.shards
  const rows = vi.spyOn(shard?.view() as ReadView, 'rows')

  await s.advance(70_000)

  expect(begun).toHaveLength(count)
  expect(await s.during(handle.alarms())).toEqual([])
  const { lt } = dueRows(0)
  const walks = rows.mock.calls.filter(([range]) => range.lt?.startsWith(lt.slice(0, 2)))
  expect(walks.length).toBeGreaterThan(count / 64)
  expect(walks.length).toBeLessThan(count / 32 + 8)
})

describe('an actor whose handler is slow', () => {
  const among = async (count: number, ms: number) => {
    const world = await startSlowAlarms(count, { inMs: 60_000, ms })
    simulation = world.simulation
    return { s: world.simulation, ...world }
  }

  test('keeps no other waiting: with 200 of 10 s an alarm is less than half a second late', async () => {
    const { s, handle, set, begun } = await among(200, 10_000)
    const at = await s.during(set('other', { inMs: 60_500, ms: 0 }))

    await s.advance(65_000)

    const fired = begun.find(({ id }) => id === 'other')
    expect((fired?.at ?? Number.POSITIVE_INFINITY) - at).toBeLessThan(500)
    await s.advance(60_000)
    expect(handle.list().entries.every(({ state }) => state === 1)).toBe(true)
    expect(begun).toHaveLength(201)
  })

  test('is asked once, however often others are due meanwhile', async () => {
    const { s, set, begun } = await among(1, 600_000)
    await s.advance(70_000)
    for (let at = 0; at < 20; at++) await s.during(set(`quick${at}`, { inMs: at * 100, ms: 0 }))

    await s.advance(60_000)

    expect(begun).toHaveLength(21)
    const slow = s.app.system.whereis(name('waiter/slow0'))
    expect(slow && s.app.system.info(slow)?.mailbox).toBe(0)
  })

  test('handles an alarm that became due meanwhile after it', async () => {
    const { s, handle, set, begun } = await among(64, 20_000)
    await s.advance(61_000)
    const behind = set('slow0', { inMs: 5, ms: 0 })
    await s.advance(10_000)
    expect(begun).toHaveLength(64)

    await s.advance(20_000)
    await behind

    expect(handle.state('slow0')).toBe(2)
  })
})
