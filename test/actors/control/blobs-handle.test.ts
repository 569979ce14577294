/** `app.blobs`: large values that are durable before the write of their command. */
import { describe, expect, test } from 'vitest'
import { BlobStore, type Command } from '../../../src/index.ts'
import { encodeValue, noExpiry, shardOf } from '../../../src/storage/index.ts'
import { outcomesOf } from '../../support/worlds/batched-instance.ts'
import { blobFiles, options, startedWithBlobs, swept } from '../../support/worlds/blob-instance.ts'
import { codeOf, failNext } from '../../support/worlds/simulated-instance.ts'

const large = (of = 'x'): string => of.repeat(5_000)
const put = (key: string, value: unknown): Command => ({
  kind: 'put',
  key,
  value: encodeValue(value),
  expiry: noExpiry,
})

describe('sideChannelCandidate', () => {
  test('is true from the threshold on, for any value of a command', async () => {
    const { app } = await startedWithBlobs()
    const { blobs } = app

    expect(blobs.sideChannelCandidate(put('a', 'x'.repeat(999)))).toBe(false)
    expect(blobs.sideChannelCandidate(put('a', 'x'.repeat(1_000)))).toBe(true)
    const entries = ['small', large()].map((value, at) => ({
      key: `k${at}`,
      value: encodeValue(value),
      expiry: noExpiry,
    }))
    expect(blobs.sideChannelCandidate({ kind: 'putMany', entries })).toBe(true)
    expect(blobs.sideChannelCandidate({ kind: 'delete', key: 'a' })).toBe(false)
    for (const wrong of [undefined, null, { kind: 'put' }, { kind: 'putMany' }])
      expect(() => blobs.sideChannelCandidate(wrong as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
  })
})

describe('a prepared command', () => {
  test('has its large values in the blob store, and its write waits for no blob', async () => {
    const { world, app } = await startedWithBlobs()

    const prepared = await world.during(app.blobs.prepare(0, put('a', large())))
    expect([prepared.shard, prepared.hasBlobs, app.store.has('a')]).toEqual([0, true, false])
    expect(blobFiles(world).length).toBe(1)
    failNext(world.disk, 'write', '/data/shard-0/blobs/')
    const { answer } = await world.during(app.batcher.write(0, prepared))

    expect(answer).toEqual({ kind: 'put' })
    expect(app.store.get('a')).toBe(large())
    await swept(world, app)
    expect(app.store.get('a')).toBe(large())
  })

  test('may stand among other commands of a batch, and without blobs it is any command', async () => {
    const { world, app } = await startedWithBlobs()
    const one = await world.during(app.blobs.prepare(0, put('a', large('a'))))
    const two = await world.during(app.blobs.prepare(0, put('b', large('b'))))
    const small = await world.during(app.blobs.prepare(0, put('c', 'small')))
    expect(small.hasBlobs).toBe(false)

    await world.during(app.batcher.writeBatch(0, [one, put('d', large('d')), two, small]))

    const read = [...'abcd'].map((key) => app.store.get(key))
    expect(read).toEqual([large('a'), large('b'), 'small', large('d')])
  })

  test('that is never written leaves an orphan, which is freed after its grace', async () => {
    const { world, app } = await startedWithBlobs()
    const prepared = await world.during(app.blobs.prepare(0, put('a', large())))
    await world.during(app.control.sweep(0))
    expect(blobFiles(world).length).toBe(1)

    const { freedBytes } = await swept(world, app)

    expect(freedBytes).toBeGreaterThan(0)
    expect(await codeOf(world.during(app.batcher.write(0, prepared)))).toBe('DISCARDED')
    expect([app.store.has('a'), prepared.release()]).toEqual([false, false])
  })

  test('that is released is an orphan at once, and cannot be written', async () => {
    const { world, app } = await startedWithBlobs()
    const prepared = await world.during(app.blobs.prepare(0, put('a', large())))

    expect([prepared.release(), prepared.release()]).toEqual([true, false])

    expect(app.shards[0]?.blobs.pins.size).toBe(0)
    expect(await codeOf(world.during(app.batcher.write(0, prepared)))).toBe('DISCARDED')
  })

  test('keeps its blobs for the deadline of its call where there is no grace', async () => {
    const { world, app } = await startedWithBlobs({ blobs: { ...options.blobs, graceMs: 0 } })
    const prepared = await world.during(
      app.blobs.prepare(0, put('a', large()), { deadlineMs: 5_000 }),
    )
    await world.clock.advance(4_000)
    await world.during(app.control.sweep(0))

    await world.during(app.batcher.write(0, prepared))

    expect(app.store.get('a')).toBe(large())
    expect(app.shards[0]?.blobs.pins.size).toBe(0)
  })

  test('is for one write, which may be repeated if the gate refused it', async () => {
    const { world, app } = await startedWithBlobs()
    const prepared = await world.during(app.blobs.prepare(0, put('a', large())))
    await world.during(app.control.suspend(0, { writes: true }))
    expect(await codeOf(app.batcher.write(0, prepared, { whenFull: 'refuse' }))).toBe('BUSY')
    await world.during(app.control.resume(0))

    expect(await codeOf(world.during(app.batcher.write(0, prepared)))).toBe('ok')
    expect(await codeOf(world.during(app.batcher.write(0, prepared)))).toBe('DISCARDED')
    expect(app.shards[0]?.blobs.pins.size).toBe(0)
  })

  test('is for its shard, and its keys are of that shard', async () => {
    const { world, app } = await startedWithBlobs({ shards: 2 })
    const key = [...'abcdefgh'].find((each) => shardOf(each, 2) === 1) ?? ''
    expect(await codeOf(world.during(app.blobs.prepare(0, put(key, large()))))).toBe('CROSS_SHARD')

    const prepared = await world.during(app.blobs.prepare(1, put(key, large())))
    expect(await codeOf(world.during(app.batcher.write(0, prepared)))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(world.during(app.batcher.write(1, prepared)))).toBe('ok')
  })

  test('survives the death of the blob store and of the writer of the log', async () => {
    const { world, app } = await startedWithBlobs()
    const preparing = app.blobs.prepare(0, put('a', large()))
    app.system.kill(BlobStore.name(0))
    const prepared = await world.during(preparing)
    app.system.kill(BlobStore.name(0))
    await world.clock.advance(100)
    await world.during(app.control.sweep(0))

    expect(await codeOf(world.during(app.batcher.write(0, prepared)))).toBe('ok')
    expect(app.store.get('a')).toBe(large())
  })
})

describe('a command that cannot be prepared', () => {
  test('leaves no pin and no place at the gate behind', async () => {
    const { world, app } = await startedWithBlobs()
    for (const wrong of [undefined, {}, { ...put('a', large()), more: 1 }])
      expect(await codeOf(world.during(app.blobs.prepare(0, wrong as never)))).toBe(
        'INVALID_ARGUMENT',
      )
    expect(await codeOf(world.during(app.blobs.prepare(2, put('a', large()))))).toBe(
      'INVALID_ARGUMENT',
    )
    failNext(world.disk, 'write', '/data/shard-0/blobs/', 'ENOSPC')
    expect(await codeOf(world.during(app.blobs.prepare(0, put('a', large()))))).toBe('NO_SPACE')

    const [shard] = app.shards
    expect([shard?.blobs.pins.size, shard?.gate.load.entered]).toEqual([0, 0])
    expect(await codeOf(world.during(app.blobs.prepare(0, put('a', large()))))).toBe('ok')
  })

  test('waits at the gate while writes are paused', async () => {
    const { world, app } = await startedWithBlobs()
    await world.during(app.control.suspend(0, { writes: true }))
    const busy = app.blobs.prepare(0, put('a', large()), { whenFull: 'refuse' })
    expect(await codeOf(busy)).toBe('BUSY')
    const outcomes = outcomesOf([app.blobs.prepare(0, put('a', large()))])
    await world.clock.advance(100)
    expect([outcomes, blobFiles(world)]).toEqual([['pending'], []])

    await world.during(app.control.resume(0))
    await world.clock.advance(10)
    expect(outcomes).toEqual(['ok'])
  })
})
