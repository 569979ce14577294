/**
 * Known defects of the blob store that ours is modelled on. Each test is named after a defect, and
 * states our behaviour.
 */
import { describe, expect, test } from 'vitest'
import { BlobPins } from '../../../src/actors/blobs/blob-pins.ts'
import { BlobStore } from '../../../src/actors/index.ts'
import { recordExtent } from '../../../src/storage/values/blob-extents.ts'
import type { BlobRef } from '../../../src/storage/values/blob-reference.ts'
import { BlobWorld, payload } from '../../support/worlds/blob-folder.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

const options = { blobs: { threshold: 1000, graceMs: 0, sweepMs: 0 } }

describe('recovery', () => {
  test('a flipped byte in the first record of the active segment cuts off acknowledged blobs: here it harms that one', {
    tags: ['R3'],
  }, () => {
    const world = new BlobWorld({ segmentBytes: 1 << 20 })
    const refs = [1, 2, 3].map((number) => world.put(payload(number, 5000))[0]) as BlobRef[]
    world.harm(refs[0] as BlobRef, 3)
    world.harm(refs[0] as BlobRef, -40)
    world.crash()
    world.put(payload(9))
    world.clearAllBut(refs)
    expect(world.whole(refs[1] as BlobRef)).toEqual(payload(2, 5000))
    expect(world.whole(refs[2] as BlobRef)).toEqual(payload(3, 5000))
  })

  test('damage in an old segment makes every later large write fail: here writes go on', {
    tags: ['R2'],
  }, () => {
    const world = new BlobWorld({ segmentBytes: 8192 })
    const [old] = world.put(payload(1, 5000)) as [BlobRef]
    world.put(payload(2, 5000))
    world.harm(old, -48)
    world.disk.open(world.file(old), 'write').truncate(100)
    world.crash()
    for (let number = 3; number < 6; number++) expect(world.put(payload(number))).toHaveLength(1)
  })

  test('the first large write after a start reads all that was ever stored: here it reads none of it', {
    tags: ['R1'],
  }, () => {
    const world = new BlobWorld({ segmentBytes: 8192 })
    for (let number = 0; number < 5; number++) world.put(payload(number, 5000))
    world.crash()
    const calls = world.disk.recordCalls()
    world.put(payload(9))
    const reads = calls.filter(({ operation }) => operation === 'read')
    expect(reads.filter(({ path }) => path.endsWith('.bloblog'))).toEqual([])
  })

  test('an empty payload at the end of a file cannot be read back: here it can', {
    tags: ['R6'],
  }, () => {
    const world = new BlobWorld()
    const [ref] = world.put(new Uint8Array(0)) as [BlobRef]
    world.crash()
    expect(world.whole(ref)).toHaveLength(0)
    expect(world.range(ref, 0, 0)).toHaveLength(0)
  })
})

describe('reading', () => {
  test('threshold 0 returns raw references: here it affects only writes', {
    tags: ['C3'],
  }, async () => {
    const { world, app } = await started(options)
    await world.during(app.store.put('key', Buffer.from(payload(1, 5000))))
    await world.during(app.close())
    const again = await world.start({ blobs: { threshold: 0 } })
    expect(again.store.get('key')).toEqual(Buffer.from(payload(1, 5000)))
    await world.during(again.store.append('key', Buffer.from(payload(2, 5000))))
    expect(again.store.get('key')).toEqual(Buffer.concat([payload(1, 5000), payload(2, 5000)]))
  })
})

describe('pins and sweeps', () => {
  test('the death of their owner forgets all pins: here they outlive every actor', {
    tags: ['P4'],
  }, async () => {
    const { world, app } = await started(options)
    const shard = app.shards[0]
    const store = () => app.system.to(BlobStore.name('default', 0))
    const pin = shard?.blobs.pins.hold()
    if (!pin || !shard) throw new Error('no shard')
    const [ref] = (await world.during(BlobStore.put(store(), [payload(1, 5000)], pin, 1000))) as [
      BlobRef,
    ]
    const process = app.system.whereis(BlobStore.name('default', 0))
    if (process) app.system.kill(process)
    await world.clock.advance(100)
    expect(shard.phase.kind).toBe('open')
    await world.during(BlobStore.sweep(store()))
    expect(shard.blobs.read(ref, 0, 5000)).toEqual(payload(1, 5000))
    pin.release()
    await world.during(BlobStore.sweep(store()))
    expect(() => shard.blobs.read(ref, 0, 1)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })

  test('one live blob keeps all dead ones of its segment: here they are freed', {
    tags: ['P1'],
  }, async () => {
    const { world, app } = await started(options)
    const late = () =>
      world.during(codeOf(app.store.put('late', payload(9, 50_000), { deadlineMs: 1 })))
    expect(await late()).toBe('NOT_SUBMITTED')
    await world.during(app.store.put('kept', Buffer.from(payload(1, 5000))))
    expect(await late()).toBe('NOT_SUBMITTED')
    const report = await world.during(BlobStore.sweep(app.system.to(BlobStore.name('default', 0))))
    expect(report).toEqual({ segments: 1, cleared: 1, freedBytes: 2 * 53_248 })
    expect(app.store.get('kept')).toEqual(Buffer.from(payload(1, 5000)))
  })

  test('counts of one segment overwrite each other: here each write has a pin of its own', {
    tags: ['P3'],
  }, () => {
    const pins = new BlobPins()
    const ref: BlobRef = { segment: 1, offset: 48, size: 10, sha256: new Uint8Array(32) }
    const [one, other] = [pins.hold(), pins.hold()]
    for (const pin of [one, other]) pin.add([ref])
    one.release()
    one.release()
    expect([...pins.extents().of(1)]).toEqual([recordExtent(ref)])
    other.release()
    expect([...pins.extents().segments]).toEqual([])
  })

  test('a pin takes the blobs of a whole chunk of a replica, however many they are', () => {
    const ref: BlobRef = { segment: 1, offset: 48, size: 10, sha256: new Uint8Array(32) }
    const pin = new BlobPins().hold()
    pin.add(Array.from({ length: 500_000 }, () => ref))
    expect(pin.refs).toHaveLength(500_000)
  })

  test('large writes wait while a sweep marks live blobs: here they do not', async () => {
    const { world, app } = await started(options, { syncMs: 5 })
    for (let at = 0; at < 10; at++)
      await world.during(app.store.put(`k${at}`, Buffer.from(payload(at, 5000))))
    await world.during(codeOf(app.store.put('late', payload(9, 9000), { deadlineMs: 1 })))
    await world.clock.advance(50)
    const order: string[] = []
    const store = app.system.to(BlobStore.name('default', 0))
    const sweeping = BlobStore.sweep(store).then(() => order.push('sweep'))
    const put = app.store.put('new', payload(11, 5000)).then(() => order.push('put'))
    await world.during(Promise.all([sweeping, put]))
    expect(order).toEqual(['put', 'sweep'])
  })
})
