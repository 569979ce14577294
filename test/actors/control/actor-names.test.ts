/** The names of the actors of an instance, as its users have them, and what may be sent to them. */
import { expect, test } from 'vitest'
import * as actors from '../../../src/actors/index.ts'
import * as keelson from '../../../src/index.ts'
import { machine, started } from '../../support/worlds/simulated-instance.ts'

const ofShards = [
  [keelson.BlobStore, actors.BlobStore],
  [keelson.WalWriter, actors.WalWriter],
  [keelson.Applier, actors.Applier],
  [keelson.Batcher, actors.Batcher],
  [keelson.JournalActor, actors.JournalActor],
  [keelson.LmdbWriter, actors.LmdbWriter],
  [keelson.Expirer, actors.Expirer],
  [keelson.Alarms, actors.Alarms],
  [keelson.Snapshotter, actors.Snapshotter],
] as const

test.each(ofShards)('an actor of a shard has the same name here, %o', (named, actor) => {
  expect(named.name(1)).toBe(actor.name(1))
  expect(named.name('orders', 1)).toBe(actor.name('orders', 1))
  expect(named.name('default', 1)).toBe(actor.name(1))
})

test('so have control and the senders to replicas', () => {
  expect(keelson.Control.name()).toBe(actors.Control.name())
  expect(keelson.Control.name('orders')).toBe(actors.Control.name('orders'))
  expect(keelson.Replicator.name(1)).toBe(actors.Replicator.name('default', 1))
  expect(keelson.Replicator.name('orders', 1)).toBe(actors.Replicator.name('orders', 1))
})

test('every process of an instance with a name of its own has one that users can write', async () => {
  const { start } = machine()
  const { system } = await start()
  const names: string[] = [keelson.Control.name(), ...ofShards.map(([named]) => named.name(0))]

  const servers = system.processes().filter(({ kind }) => kind === 'server')

  expect(servers.flatMap(({ name = [] }) => name).sort()).toEqual(names.sort())
})

test('the calls that are offered are answered', async () => {
  const { during, app } = await started()
  const { system, store } = app
  await during(store.put('a', 1))
  const { lsn } = app.wal(0).position
  const { call } = keelson

  const writer = system.to(keelson.WalWriter.name(0))
  expect(await during(call(writer, 'sync', undefined))).toBeGreaterThanOrEqual(lsn)
  expect(await during(call(writer, 'settled', undefined))).toBeUndefined()
  expect(await during(call(writer, 'describe', undefined))).toMatchObject({ mode: 'open' })
  const applier = system.to(keelson.Applier.name(0))
  expect(await during(call(applier, 'describe', undefined))).toMatchObject({ appliedLsn: lsn })
  const projection = system.to(keelson.LmdbWriter.name(0))
  expect(await during(call(projection, 'flush', undefined))).toBe(lsn)
  expect(await during(call(projection, 'request', lsn))).toBe(lsn)
  expect(await during(call(projection, 'discard', undefined))).toBe(0)
  expect(await during(call(projection, 'describe', undefined))).toMatchObject({ lag: 0 })
  const snapshotter = system.to(keelson.Snapshotter.name(0))
  expect(await during(call(snapshotter, 'snapshot', undefined))).toMatchObject({ lsn })
  expect(await during(call(snapshotter, 'describe', undefined))).toMatchObject({
    last: { lsn },
  })
  const blobs = system.to(keelson.BlobStore.name(0))
  expect(await during(call(blobs, 'sweep', undefined))).toMatchObject({ freedBytes: 0 })
  expect(await during(call(blobs, 'describe', undefined))).toMatchObject({ pinned: 0 })
  const batcher = system.to(keelson.Batcher.name(0))
  expect(await during(call(batcher, 'describe', undefined))).toMatchObject({ groupsUnderWay: 0 })
  expect(await during(call(batcher, 'flush', undefined))).toBeUndefined()
  expect(await during(call(batcher, 'stop', undefined))).toBeUndefined()
  const control = system.to(keelson.Control.name())
  expect(await during(call(control, 'flush_all', {}))).toEqual({
    outcomes: [{ shard: 0, ok: true }],
  })
})
