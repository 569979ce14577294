/**
 * A blob that is damaged or cannot be written affects only its own value: shard and projection
 * continue.
 */
import { describe, expect, test } from 'vitest'
import { BlobStore, type StorageEvents } from '../../../src/actors/index.ts'
import { telemetry } from '../../../src/runtime/index.ts'
import { payload } from '../../support/worlds/blob-folder.ts'
import {
  blobFiles,
  dir,
  options,
  startedWithBlobs,
  watchedProjection,
} from '../../support/worlds/blob-instance.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

describe('a put whose blob cannot be written', () => {
  test('is refused with nothing in the log, and the shard continues', async () => {
    const { world, app } = await startedWithBlobs()
    await world.during(app.store.put('key', 'before'))
    const { lastLsn } = { lastLsn: app.shards[0]?.appliedLsn }
    world.disk.inject({
      at: 1,
      operation: 'sync',
      path: '/blobs/',
      fault: { kind: 'error', code: 'ENOSPC' },
    })
    expect(await world.during(codeOf(app.store.put('key', Buffer.alloc(5000))))).toBe('NO_SPACE')
    expect(app.shards[0]?.appliedLsn).toBe(lastLsn)
    expect(app.store.get('key')).toBe('before')
    await world.during(app.store.put('key', Buffer.alloc(5000, 7)))
    expect(app.store.get('key')).toEqual(Buffer.alloc(5000, 7))
    expect(app.shards[0]?.blobs.pins.size).toBe(0)
  })

  test('that is refused at the gate touches no blob', async () => {
    const { world, app } = await startedWithBlobs()
    app.shards[0]?.gate.hold('test')
    expect(await codeOf(app.store.put('key', Buffer.alloc(5000), { whenFull: 'refuse' }))).toBe(
      'BUSY',
    )
    app.shards[0]?.gate.release('test')
    expect(blobFiles(world)).toEqual([])
  })
})

describe('a damaged blob', () => {
  test('is CORRUPT for its readers, is reported, and harms neither other values nor writes nor the projection', {
    tags: ['R7'],
  }, async () => {
    const { world, app } = await startedWithBlobs()
    const told: unknown[] = []
    telemetry<{ 'blobs.corrupt': (event: object) => void }>(app.system).on(
      'blobs.corrupt',
      (event) => told.push(event),
    )
    await world.during(app.store.put('bad', Buffer.from(payload(1, 5000)), { ack: 'projected' }))
    await world.during(app.store.put('good', Buffer.from(payload(2, 5000)), { ack: 'projected' }))
    world.disk.flipBit(`${dir}/${blobFiles(world)[0]}`, 2000 * 8)
    expect(() => app.store.get('bad')).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    expect(app.store.has('bad')).toBe(true)
    expect(app.store.get('good')).toEqual(Buffer.from(payload(2, 5000)))
    expect(told).toHaveLength(1)
    await world.clock.advance(100)
    expect(app.shards[0]?.phase.kind).toBe('open')
    await world.during(app.store.put('bad', Buffer.from(payload(3, 5000))))
    expect(app.store.get('bad')).toEqual(Buffer.from(payload(3, 5000)))
  })

  test('is CORRUPT for a compareAndSet that needs it, which changes nothing; projection and shard continue', async () => {
    const { world, app } = await startedWithBlobs()
    const list = { list: Array(3000).fill('abc'), name: 'damaged' }
    await world.during(app.store.put('bad', list, { ack: 'projected' }))
    world.disk.flipBit(`${dir}/${blobFiles(world)[0]}`, 2000 * 8)
    const { projectionLives } = watchedProjection(app)
    const { name, ...rest } = list
    const swap = app.store.compareAndSet('bad', { name, ...rest }, 'swapped')
    expect(await world.during(codeOf(swap))).toBe('CORRUPT')
    expect(() => app.store.get('bad')).toThrow(expect.objectContaining({ code: 'CORRUPT' }))

    await world.during(app.store.put('other', 1, { ack: 'projected' }))
    expect(app.shards[0]?.phase.kind).toBe('open')
    expect(projectionLives()).toBe(0)
    await world.during(app.close())
    const again = await world.start(options)
    expect(again.store.get('other')).toBe(1)
    expect(() => again.store.get('bad')).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })

  test('in a comparison of a batch does not affect the other commands of the batch', async () => {
    const { world, app } = await startedWithBlobs()
    const list = { list: Array(3000).fill('abc'), name: 'damaged' }
    await world.during(app.store.put('bad', list, { ack: 'projected' }))
    world.disk.flipBit(`${dir}/${blobFiles(world)[0]}`, 2000 * 8)
    const { name, ...rest } = list
    const batch = app.store
      .batch()
      .compareAndSet('bad', { name, ...rest }, 1)
      .put('other', 2)
    const error = await world.during(batch.commit().catch((failure) => failure))
    expect(error).toMatchObject({
      code: 'CORRUPT',
      details: { command: 0, position: { lsn: expect.any(Number) } },
    })
    expect(app.store.get('other')).toBe(2)
  })

  test('does not prevent getSet, set, append, setRange, expire and delete', async () => {
    const { world, app } = await startedWithBlobs()
    const keys = ['getSet', 'set', 'append', 'setRange', 'expire', 'delete']
    for (const key of keys)
      await world.during(app.store.put(key, Buffer.from(payload(1, 5000)), { ack: 'projected' }))
    for (const name of blobFiles(world))
      for (let at = 0; at < keys.length; at++)
        world.disk.flipBit(`${dir}/${name}`, (at * 8192 + 2000) * 8)
    const { store } = app
    // The previous value is answered as unreadable.
    expect(await world.during(codeOf(store.getSet('getSet', 1)))).toBe('CORRUPT')
    expect(await world.during(codeOf(store.set('set', 1, { get: true })))).toBe('CORRUPT')
    expect([store.get('getSet'), store.get('set')]).toEqual([1, 1])
    expect((await world.during(store.append('append', Buffer.alloc(10)))).length).toBe(5010)
    expect((await world.during(store.setRange('setRange', 0, Buffer.alloc(5000)))).length).toBe(
      5000,
    )
    expect(store.get('setRange')).toEqual(Buffer.alloc(5000))
    expect((await world.during(store.expire('expire', 1000))).existed).toBe(true)
    expect((await world.during(store.delete('delete'))).existed).toBe(true)
    expect(app.shards[0]?.phase.kind).toBe('open')
  })
})

describe('a durable write whose old value cannot be read', () => {
  const isDurable = { code: 'CORRUPT', details: { position: { lsn: expect.any(Number) } } }

  test('is CORRUPT at its position if the disk fails the read', async () => {
    const { world, app } = await startedWithBlobs()
    await world.during(app.store.put('key', Buffer.from(payload(1, 5000)), { ack: 'projected' }))
    const fault = { kind: 'error', code: 'EIO' } as const
    world.disk.inject({ at: 1, times: 100, operation: 'read', path: '.bloblog', fault })

    await expect(world.during(app.store.getSet('key', 1))).rejects.toMatchObject({
      ...isDurable,
      cause: { code: 'SHARD_DOWN' },
    })
    expect(app.store.get('key')).toBe(1)
  })

  test('is CORRUPT at its position if the blob store dies before the read has ended', async () => {
    const { world, app } = await startedWithBlobs()
    await world.during(app.store.put('key', Buffer.from(payload(1, 2_000_000))))
    telemetry<StorageEvents>(app.system).once('applier.applied', () => {
      app.system.kill(BlobStore.name(0))
    })

    await expect(world.during(app.store.getSet('key', 1))).rejects.toMatchObject({
      ...isDurable,
      cause: { code: 'SHARD_DOWN' },
    })
    await world.clock.advance(500)
    expect(app.store.get('key')).toBe(1)
  })
})
