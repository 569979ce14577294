/** Large values are stored beside the log, durable before any frame refers to them. */
import { describe, expect, test } from 'vitest'
import { payload } from '../../support/worlds/blob-folder.ts'
import {
  blobFiles,
  dir,
  logBytes,
  options,
  startedWithBlobs,
} from '../../support/worlds/blob-instance.ts'
import { codeOf, machine, started } from '../../support/worlds/simulated-instance.ts'

describe('a large value', () => {
  test('is stored in a blob and not in the log, and is read back unchanged', async () => {
    const { world, app } = await startedWithBlobs()
    const before = logBytes(world)
    await world.during(app.store.put('bytes', Buffer.from(payload(1, 50_000))))
    await world.during(app.store.put('text', 'ü'.repeat(20_000)))
    await world.during(app.store.put('structured', { list: Array(3000).fill('abc') }))
    expect(logBytes(world) - before).toBeLessThan(1500)
    expect(app.store.get('bytes')).toEqual(Buffer.from(payload(1, 50_000)))
    expect(app.store.get('text')).toBe('ü'.repeat(20_000))
    expect(app.store.get('structured')).toEqual({ list: Array(3000).fill('abc') })
    expect(app.store.getRange('text', 2, 6).toString()).toBe('üü')
    expect(blobFiles(world)).toHaveLength(1)
  })

  test('survives a power cut after its ack', { tags: ['slow'] }, async () => {
    for (let seed = 1; seed <= 15; seed++) {
      const { world, app } = await started(options, { seed })
      await world.during(app.store.put('key', Buffer.from(payload(seed, 20_000))))
      world.disk.crash()
      const again = await world.start(options)
      expect(again.store.get('key'), `seed ${seed}`).toEqual(Buffer.from(payload(seed, 20_000)))
    }
  })

  test('at the threshold is a blob, one byte below it is not; and 0 leaves all in frames', async () => {
    const { world, app } = await startedWithBlobs()
    await world.during(app.store.put('below', Buffer.alloc(999, 1)))
    expect(blobFiles(world)).toEqual([])
    await world.during(app.store.put('at', Buffer.alloc(1000, 1)))
    expect(blobFiles(world)).toHaveLength(1)
    await world.during(app.close())
    const inline = await world.start({ blobs: { ...options.blobs, threshold: 0 } })
    const { writes } = world.disk
    await world.during(inline.store.put('frame', Buffer.alloc(50_000, 2)))
    expect(world.disk.writes).toBeGreaterThan(writes)
    expect(blobFiles(world)).toHaveLength(1)
    // The threshold affects writes only: an existing blob is read at any threshold.
    expect(inline.store.get('at')).toEqual(Buffer.alloc(1000, 1))
  })

  test('counts at the gate with what it is compared with, which stays in its frame', async () => {
    const { world, app } = await startedWithBlobs({ wal: { queueBytes: 100_000 } })
    const swap = (key: string) =>
      app.store.compareAndSet(key, Buffer.alloc(90_000), Buffer.alloc(1_000), {
        whenFull: 'refuse',
      })
    const first = swap('a')
    expect(await world.during(codeOf(swap('b')))).toBe('BUSY')
    expect(await world.during(first)).toMatchObject({ swapped: false })
  })

  test('that no frame can hold is a blob at any threshold', async () => {
    const { world, app } = await startedWithBlobs({ blobs: { threshold: 1024 * 1024 * 1024 } })
    await world.during(app.store.put('key', Buffer.alloc(300_000, 3)))
    expect(blobFiles(world)).toHaveLength(1)
    expect(app.store.get('key')).toEqual(Buffer.alloc(300_000, 3))
  })

  test('is appended to and overwritten with only the suffix or patch', async () => {
    const { world, app } = await startedWithBlobs()
    await world.during(app.store.put('key', Buffer.from(payload(1, 20_000))))
    const written = () =>
      blobFiles(world).reduce(
        (sum, name) => sum + (world.disk.entry(`${dir}/${name}`)?.size ?? 0),
        0,
      )
    const before = written()
    await world.during(app.store.append('key', Buffer.from(payload(2, 3000))))
    await world.during(app.store.setRange('key', 10_000, Buffer.from(payload(3, 2000))))
    await world.during(app.store.append('key', Buffer.from('small')))
    expect(written() - before).toBe(2 * 4096)
    const expected = Buffer.concat([payload(1, 20_000), payload(2, 3000), Buffer.from('small')])
    expected.set(payload(3, 2000), 10_000)
    expect(app.store.get('key')).toEqual(expected)
  })

  test('of a batch or putMany shares one sync with all others of its command', async () => {
    const { world, app } = await startedWithBlobs()
    await world.during(app.store.put('first', Buffer.from(payload(0, 2000))))
    const calls = world.disk.recordCalls()
    await world.during(
      app.store.putMany(
        [1, 2, 3].map((at) => [`k${at}`, Buffer.from(payload(at, 2000 * at))] as const),
      ),
    )
    await world.during(
      app.store
        .batch()
        .put('a', Buffer.from(payload(4, 5000)))
        .put('small', 1)
        .append('first', Buffer.from(payload(5, 4000)))
        .commit(),
    )
    const blobCalls = calls.filter(
      ({ path, operation }) =>
        path.includes('/blobs/') && operation !== 'read' && operation !== 'size',
    )
    expect(blobCalls.map(({ operation }) => operation)).toEqual(['write', 'sync', 'write', 'sync'])
    expect(app.store.get('k3')).toEqual(Buffer.from(payload(3, 6000)))
    expect(app.store.get('first')).toEqual(Buffer.concat([payload(0, 2000), payload(5, 4000)]))
    expect(app.store.get('small')).toBe(1)
  })

  test('that looks like a reference stays bytes', async () => {
    const { world, app } = await startedWithBlobs()
    const forged = Buffer.from(
      '004653424c4f4202000000000000000a00000000000000000000000000000030e997afd18e5f6be004fc193aed2c90291e68ab2c7599a62538c935b7fca6ab0f',
      'hex',
    )
    await world.during(app.store.put('short', forged))
    await world.during(app.store.put('long', Buffer.concat([forged, Buffer.alloc(2000)])))
    expect(app.store.get('short')).toEqual(forged)
    expect(app.store.get('long')).toEqual(Buffer.concat([forged, Buffer.alloc(2000)]))
  })

  test('is read from a projection that was rebuilt from the log', async () => {
    const { world, app } = await startedWithBlobs()
    await world.during(app.store.put('key', Buffer.from(payload(1, 20_000)), { ack: 'projected' }))
    await world.during(app.close())
    world.projections.remove('/data/shard-0/lmdb')
    const again = await world.start(options)
    expect(again.store.get('key')).toEqual(Buffer.from(payload(1, 20_000)))
  })
})

test('wrong options are refused with their path before any process starts', async () => {
  const world = machine()
  for (const [name, value] of Object.entries({
    threshold: -1,
    segmentBytes: 100,
    graceMs: -1,
    sweepMs: 'often',
  }))
    await expect(world.start({ blobs: { [name]: value } as never })).rejects.toMatchObject({
      code: 'CONFIG',
      details: { path: `blobs.${name}` },
    })
  expect(world.disk.entry('/data')).toBeUndefined()
})

describe('writes to one key take effect in their order', () => {
  test('a small put after a large one does not overtake it, nor the reverse', async () => {
    const { world, app } = await startedWithBlobs()
    const writes = [
      app.store.put('key', Buffer.alloc(5000, 1)),
      app.store.put('key', 'small'),
      app.store.put('other', 'free'),
    ]
    await world.during(Promise.all(writes))
    expect(app.store.get('key')).toBe('small')
    await world.during(
      Promise.all([
        app.store.put('key', 1),
        app.store.put('key', Buffer.alloc(5000, 2)),
        app.store.delete('key'),
        app.store.append('key', Buffer.alloc(2000, 3)),
      ]),
    )
    expect(app.store.get('key')).toEqual(Buffer.alloc(2000, 3))
  })
})
