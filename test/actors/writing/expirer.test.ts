/** Expired rows are removed in time, and only the space shows it. */
import { describe, expect, test } from 'vitest'
import { Expirer, type StorageEvents } from '../../../src/actors/index.ts'
import { telemetry } from '../../../src/runtime/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { type Machine, machine } from '../../support/worlds/simulated-instance.ts'

/** The keys of all rows in the projection but those of its own projections, after it has caught up. */
const rowKeys = async ({ projections, during }: Machine, app: App): Promise<string[]> => {
  await during(app.control.flush(0))
  const store = projections.open('/data/shard-0/lmdb')
  const keys = [...store.range({})].map(([key]) => key)
  return keys.filter((key) => !/^\0[vV]\$/.test(key))
}

/** The number of values, compounds and locks that each command has removed so far. */
const removals = (app: App): number[] => {
  const keys: number[] = []
  telemetry<StorageEvents>(app.system).on('expiry.removed', (event) => keys.push(event.keys))
  return keys
}

describe('an expired row', () => {
  test('is removed by a command in the log: values, compounds with their fields, locks', async () => {
    const here = machine()
    const { clock, start, during } = here
    const app = await start()
    await during(app.store.put('kept', 1))
    await during(app.store.put('later', 1, { ttlMs: 60_000 }))
    await during(app.store.put('ends', 1, { ttlMs: 500 }))
    await during(
      app.store.putFields('compound', [
        ['a', 1],
        ['b', 2],
      ]),
    )
    await during(app.store.expire('compound', 500))
    await during(app.store.lock(['kept'], { owner: 'ann', leaseMs: 500 }))
    const removed = removals(app)

    await clock.advance(5_000)
    expect(await rowKeys(here, app)).toEqual(['\0c', 'kept', 'later'])
    expect(removed).toEqual([3])
    expect(app.store.get('later')).toBe(1)
  })

  test('is removed soon after its expiry, and without expired rows nothing is written', async () => {
    const here = machine()
    const { clock, start, during } = here
    const app = await start()
    await clock.advance(5_000)
    await during(app.store.put('k', 1, { ttlMs: 3_600_000 }))
    const removed = removals(app)
    await clock.advance(3_599_000)
    expect(removed).toEqual([])

    await clock.advance(3_000)
    expect(removed).toEqual([1])
    expect(await rowKeys(here, app)).toEqual([])
  })

  test('is removed at its own expiry, even long after the one before', async () => {
    const here = machine()
    const { clock, start, during } = here
    const app = await start()
    for (const ttlMs of [50_000, 500, 5_000, 500_000])
      await during(app.store.put(`${ttlMs}`, 1, { ttlMs }))
    const removed = removals(app)
    const left = async (ms: number) => {
      await clock.advance(ms)
      return rowKeys(here, app)
    }
    expect(await left(3_000)).toEqual(['5000', '50000', '500000'])
    expect(await left(5_000)).toEqual(['50000', '500000'])
    expect(await left(45_000)).toEqual(['500000'])
    expect(await left(450_000)).toEqual([])
    expect(removed).toEqual([1, 1, 1, 1])
  })

  test('is removed even if it was written before this start', async () => {
    const here = machine()
    const { clock, start, during } = here
    const first = await start()
    await during(first.store.put('k', 1, { ttlMs: 500 }))
    await during(first.close())
    await clock.advance(60_000)

    const app = await start()
    await clock.advance(5_000)
    expect(await rowKeys(here, app)).toEqual([])
  })

  test('stays while writes are held, and is removed afterwards', async () => {
    const here = machine()
    const { clock, start, during } = here
    const app = await start()
    await during(app.store.put('k', 1, { ttlMs: 500 }))
    const { token } = await during(app.control.suspendAll({ writes: true }))
    const removed = removals(app)
    await clock.advance(30_000)
    expect(removed).toEqual([])

    await during(app.control.resumeAll(token ? { token } : { force: true }))
    await clock.advance(5_000)
    expect(await rowKeys(here, app)).toEqual([])
  })

  test('is removed if it expired before it was projected, or was projected behind the walk', async () => {
    const here = machine()
    const { clock, start, during } = here
    const app = await start()
    await clock.advance(5_000)
    // The first walk finds no row in the projection. The second one passes the place of `late`
    // while it is in the overlay.
    const { token } = await during(app.control.suspendAll())
    await during(app.store.put('early', 1, { ttlMs: 500 }))
    await during(app.store.put('late', 1, { ttlMs: 20_000 }))
    await clock.advance(10_000)
    await during(app.control.resumeAll(token ? { token } : { force: true }))
    expect(await rowKeys(here, app)).toEqual(['early', 'late'])
    await clock.advance(3_000)
    expect(await rowKeys(here, app)).toEqual(['late'])
    await clock.advance(10_000)
    expect(await rowKeys(here, app)).toEqual([])
  })

  test('is removed in bounded steps, with commands that fit any log', async () => {
    const here = machine()
    const { clock, start, during } = here
    const app = await start({ wal: { maxFileSize: 128 * 1024 } })
    const name = (at: number) => `${at}`.padStart(900, 'k')
    const puts = Array.from({ length: 400 }, (_, at) =>
      app.store.put(name(at), 1, at % 10 === 0 ? {} : { ttlMs: 500 }),
    )
    await during(Promise.all(puts))
    await clock.advance(120_000)
    expect(await rowKeys(here, app)).toHaveLength(40)
  })

  test('is removed even if the expirer was killed on the way', async () => {
    const here = machine()
    const { clock, start, during } = here
    const app = await start()
    await during(app.store.put('k', 1, { ttlMs: 500 }))
    await clock.advance(400)
    app.system.kill(app.system.to(Expirer.name(0)))
    await clock.advance(10_000)
    expect(await rowKeys(here, app)).toEqual([])
  })

  test('stays if it was rewritten meanwhile', async () => {
    const here = machine({ syncMs: 50 })
    const { clock, start, during } = here
    const app = await start()
    await during(app.store.put('k', 'old', { ttlMs: 100 }))
    for (let round = 0; round < 40; round++) {
      await clock.advance(37)
      await during(app.store.put('k', round, { ttlMs: 100 }))
      expect(app.store.get('k')).toBe(round)
    }
  })
})
