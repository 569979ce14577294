/** A write now and then: memory answers the reads of it, and it is projected later, together with others. */
import { expect, test } from 'vitest'
import type { StorageEvents } from '../../../src/actors/index.ts'
import { countsByNamespace } from '../../../src/index.ts'
import { telemetry } from '../../../src/runtime/index.ts'
import type { StartOptions } from '../../../src/supervisors/index.ts'
import type { MachineOptions } from '../../../src/testing/simulated/simulated-machine.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

/** An instance with the delays that users have, and the frames of each commit of its projection. */
const trickling = async (options: Partial<StartOptions> = {}, on: MachineOptions = {}) => {
  const { world, app, store } = await started({ ...options, lmdb: { trickleMs: 5_000 } }, on)
  const commits: number[] = []
  telemetry<StorageEvents>(app.system).on('lmdb.flushed', ({ frames }) => void commits.push(frames))
  return { ...world, app, store, commits }
}

test('writes every 50 ms are committed together after 5 s, and every read shows the last one', async () => {
  const { app, store, commits, clock, during } = await trickling()
  for (let at = 0; at < 95; at++) {
    await during(store.put('k', at))
    expect(store.get('k')).toBe(at)
    await clock.advance(50)
  }
  expect(commits).toEqual([])

  await clock.advance(1_000)
  expect(commits).toEqual([95])
  await during(app.close())
})

test('a trickle that has become more is committed as soon as the other delays say', async () => {
  const { app, store, commits, clock, during } = await trickling()
  await during(store.put('a', 1))
  await clock.advance(1_000)
  await during(store.put('b', 'x'.repeat(150 * 1024)))
  await clock.advance(1_000)
  expect(commits).toEqual([])

  await during(store.put('c', 'x'.repeat(150 * 1024)))
  await clock.advance(20)
  expect(commits).toEqual([3])
  await during(app.close())
})

test('a write with `projected`, a flush and a close do not wait for the others', async () => {
  const { app, store, commits, clock, during } = await trickling()
  const began = clock.monotonic()
  await during(store.put('a', 1))
  await during(store.put('b', 1, { ack: 'projected' }))
  expect(commits).toEqual([2])

  await during(store.put('c', 1))
  await during(app.control.flush(0))
  expect(commits).toEqual([2, 1])

  await during(store.put('d', 1))
  await during(app.close())
  expect(commits).toEqual([2, 1, 1])
  expect(clock.monotonic() - began).toBeLessThan(100)
})

test('no commit begins while the log syncs, within the lag that is allowed', async () => {
  const { app, store, commits, clock, during } = await trickling({}, { syncMs: 30 })
  const began = clock.monotonic()
  await during(store.put('a', 1))
  await clock.advance(began + 5_060 - clock.monotonic())
  const syncing = store.put('b', 1)
  await clock.advance(29)
  expect(commits).toEqual([])

  await during(syncing)
  await clock.advance(20)
  expect(commits).toEqual([2])
  await during(app.close())
})

test('a shard with a projection by users, or a producer of rows, commits as soon as before', async () => {
  const { app, store, commits, clock, during } = await trickling({
    projections: [countsByNamespace()],
  })
  await during(store.put('a', 1))
  await clock.advance(60)
  expect(commits).toEqual([1])
  await during(app.close())

  const other = await trickling()
  other.app.lmdbWriter(0).begin('producer')
  await other.during(other.store.put('a', 1))
  await other.clock.advance(60)
  expect(other.commits).toEqual([1])
  await other.during(other.app.close())
})
