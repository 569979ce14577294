/** Expired rows are removed in time, and only the space shows it. */
import { describe, expect, test } from 'vitest'
import { Expirer, type StorageEvents } from '../../../src/actors/index.ts'
import { telemetry } from '../../../src/runtime/index.ts'
import { rowClassOf } from '../../../src/storage/values/row-key.ts'
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import type { MachineOptions } from '../../../src/testing/simulated/simulated-machine.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

/** An instance, and the keys of all rows of its projection but those of its own projections. */
const expiring = async (options: Partial<StartOptions> = {}, on: MachineOptions = {}) => {
  const begun = await started(options, on)
  const { projections, during } = begun
  const rowKeys = async (app = begun.app): Promise<string[]> => {
    await during(app.control.flush(0))
    const keys = [...projections.open('/data/shard-0/lmdb').range({})].map(([key]) => key)
    return keys.filter((key) => !/^\0[vV]\$/.test(key))
  }
  return { ...begun, rowKeys }
}

/** The number of values, compounds and locks that each command has removed so far. */
const removals = (app: App): number[] => {
  const keys: number[] = []
  telemetry<StorageEvents>(app.system).on('expiry.removed', (event) => keys.push(event.keys))
  return keys
}

describe('an expired row', () => {
  test('is removed by a command in the log: values, compounds with their fields, locks', async () => {
    const { app, clock, during, store, rowKeys } = await expiring()
    await during(store.put('kept', 1))
    await during(store.put('later', 1, { ttlMs: 60_000 }))
    await during(store.put('ends', 1, { ttlMs: 500 }))
    await during(
      store.putFields('compound', [
        ['a', 1],
        ['b', 2],
      ]),
    )
    await during(store.expire('compound', 500))
    await during(store.lock(['kept'], { owner: 'ann', leaseMs: 500 }))
    const removed = removals(app)

    await clock.advance(5_000)
    expect(await rowKeys()).toEqual(['\0c', 'kept', 'later'])
    expect(removed).toEqual([3])
    expect(store.get('later')).toBe(1)
  })

  test('is removed soon after its expiry, and without expired rows nothing is written', async () => {
    const { app, clock, during, store, rowKeys } = await expiring()
    await clock.advance(5_000)
    await during(store.put('k', 1, { ttlMs: 3_600_000 }))
    const removed = removals(app)
    await clock.advance(3_599_000)
    expect(removed).toEqual([])

    await clock.advance(3_000)
    expect(removed).toEqual([1])
    expect(await rowKeys()).toEqual([])
  })

  test('is removed at its own expiry, even long after the one before', async () => {
    const { app, clock, during, store, rowKeys } = await expiring()
    for (const ttlMs of [50_000, 500, 5_000, 500_000])
      await during(store.put(`${ttlMs}`, 1, { ttlMs }))
    const removed = removals(app)
    const left = async (ms: number) => {
      await clock.advance(ms)
      return rowKeys()
    }
    expect(await left(3_000)).toEqual(['5000', '50000', '500000'])
    expect(await left(5_000)).toEqual(['50000', '500000'])
    expect(await left(45_000)).toEqual(['500000'])
    expect(await left(450_000)).toEqual([])
    expect(removed).toEqual([1, 1, 1, 1])
  })

  test('is removed even if it was written before this start', async () => {
    const { app, clock, during, start, store, rowKeys } = await expiring()
    await during(store.put('k', 1, { ttlMs: 500 }))
    await during(app.close())
    await clock.advance(60_000)

    const again = await start()
    await clock.advance(5_000)
    expect(await rowKeys(again)).toEqual([])
  })

  test('stays while writes are held, and is removed afterwards', async () => {
    const { app, clock, during, store, rowKeys } = await expiring()
    await during(store.put('k', 1, { ttlMs: 500 }))
    const { token } = await during(app.control.suspendAll({ writes: true }))
    const removed = removals(app)
    await clock.advance(30_000)
    expect(removed).toEqual([])

    await during(app.control.resumeAll(token ? { token } : { force: true }))
    await clock.advance(5_000)
    expect(await rowKeys()).toEqual([])
  })

  test('is removed if it expired before it was projected, or was projected behind the walk', async () => {
    const { app, clock, during, store, rowKeys } = await expiring()
    await clock.advance(5_000)
    // The first walk finds no row in the projection. The second one passes the place of `late`
    // while it is in the overlay.
    const { token } = await during(app.control.suspendAll())
    await during(store.put('early', 1, { ttlMs: 500 }))
    await during(store.put('late', 1, { ttlMs: 20_000 }))
    await clock.advance(10_000)
    await during(app.control.resumeAll(token ? { token } : { force: true }))
    expect(await rowKeys()).toEqual(['early', 'late'])
    await clock.advance(3_000)
    expect(await rowKeys()).toEqual(['late'])
    await clock.advance(10_000)
    expect(await rowKeys()).toEqual([])
  })

  test('is removed in bounded steps, with commands that fit any log', {
    tags: ['slow'],
  }, async () => {
    const { clock, during, store, rowKeys } = await expiring({ wal: { maxFileSize: 128 * 1024 } })
    const name = (at: number) => `${at}`.padStart(900, 'k')
    const puts = Array.from({ length: 400 }, (_, at) =>
      store.put(name(at), 1, at % 10 === 0 ? {} : { ttlMs: 500 }),
    )
    await during(Promise.all(puts))
    await clock.advance(120_000)
    expect(await rowKeys()).toHaveLength(40)
  })

  test('is removed even if the expirer was killed on the way', async () => {
    const { app, clock, during, store, rowKeys } = await expiring()
    await during(store.put('k', 1, { ttlMs: 500 }))
    await clock.advance(400)
    app.system.kill(app.system.to(Expirer.name(0)))
    await clock.advance(10_000)
    expect(await rowKeys()).toEqual([])
  })

  test('stays if it was rewritten meanwhile', async () => {
    const { clock, during, store } = await expiring({}, { syncMs: 50 })
    await during(store.put('k', 'old', { ttlMs: 100 }))
    for (let round = 0; round < 40; round++) {
      await clock.advance(37)
      await during(store.put('k', round, { ttlMs: 100 }))
      expect(store.get('k')).toBe(round)
    }
  })
})

describe('a stream that keeps its messages for some time', () => {
  test('loses them after it without an append, and goes on at the same offsets, also after a crash', async () => {
    const { app, clock, during, rowKeys } = await expiring()
    const stream = app.streams.open<number>('a', { keep: { ageMs: 60_000 } })
    const first = await during(stream.append(1))
    const second = await during(stream.append(2))
    await clock.advance(50_000)
    expect(await during(stream.head())).toMatchObject({ messages: 2 })

    await clock.advance(12_000)
    expect(await during(stream.head())).toMatchObject({ messages: 0, bytes: 0, end: second })
    expect((await rowKeys()).filter((key) => rowClassOf(key) === 'streamChunk')).toEqual([])
    await expect(during(stream.page({ from: first }))).rejects.toMatchObject({ code: 'BAD_CURSOR' })

    const third = await during(stream.append(3))
    expect(third > second).toBe(true)
    const page = await during(stream.page({ from: second }))
    expect(page.messages).toEqual([{ value: 3, offset: third }])
  })

  test('loses them after a start, as well', async () => {
    const { world, app, clock, during } = await expiring()
    await during(app.streams.open('a', { keep: { ageMs: 60_000 } }).append(1))
    await during(app.close())
    await clock.advance(70_000)
    const again = await world.start()
    await clock.advance(5_000)
    expect(await during(again.streams.open('a').head())).toMatchObject({ messages: 0 })
  })
})
