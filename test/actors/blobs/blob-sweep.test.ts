/** A sweep frees blobs without references after their grace, and no others. */
import { describe, expect, test } from 'vitest'
import type { BlobPin } from '../../../src/actors/blobs/blob-pins.ts'
import { Applier, BlobStore } from '../../../src/actors/index.ts'
import { resume, suspend } from '../../../src/runtime/index.ts'
import type { LogHost } from '../../../src/storage/index.ts'
import { payload } from '../../support/worlds/blob-folder.ts'
import {
  blobFiles,
  dir,
  options,
  startedWithBlobs,
  swept,
  watchedProjection,
} from '../../support/worlds/blob-instance.ts'
import { codeOf, failNextSync, started } from '../../support/worlds/simulated-instance.ts'

describe('a sweep', () => {
  test('frees no blob that a row or a frame of the log refers to', async () => {
    const { world, app } = await startedWithBlobs()
    for (const at of [1, 2, 3])
      await world.during(app.store.put(`k${at}`, Buffer.from(payload(at, 9000))))
    await world.during(app.store.delete('k2'))
    await world.during(app.store.put('k3', 'small'))
    expect(await swept(world, app)).toMatchObject({ segments: 1, cleared: 0, freedBytes: 0 })
    expect(app.store.get('k1')).toEqual(Buffer.from(payload(1, 9000)))
  })

  test('frees the blob of an abandoned write, once its grace has passed', {
    tags: ['C4'],
  }, async () => {
    const { world, app } = await startedWithBlobs()
    await world.during(app.store.put('kept', Buffer.from(payload(1, 9000))))
    await world.clock.advance(120_000)
    // Its deadline passes while its blob is written: it never reaches the log.
    const late = app.store.put('late', Buffer.from(payload(2, 9000)), { deadlineMs: 1 })
    expect(await world.during(codeOf(late))).toBe('NOT_SUBMITTED')
    await world.during(app.store.put('kept too', Buffer.from(payload(3, 9000))))
    expect(await swept(world, app, 30_000)).toMatchObject({ freedBytes: 0 })
    expect(await swept(world, app, 31_000)).toMatchObject({ cleared: 1, freedBytes: 12_288 })
    expect(app.store.get('kept')).toEqual(Buffer.from(payload(1, 9000)))
    expect(app.store.get('kept too')).toEqual(Buffer.from(payload(3, 9000)))
    expect(await swept(world, app)).toMatchObject({ cleared: 0 })
  })

  test('frees the blob of a refused write, although the log names it', async () => {
    const { world, app } = await startedWithBlobs()
    await world.during(app.store.lock(['locked'], { owner: 'me', leaseMs: 600_000 }))
    expect(await world.during(codeOf(app.store.put('locked', Buffer.from(payload(1, 9000)))))).toBe(
      'LOCKED',
    )
    expect(blobFiles(world)).toHaveLength(1)
    expect(await swept(world, app)).toMatchObject({ cleared: 1 })
    expect(blobFiles(world)).toEqual([])
  })

  test('fails with SHARD_DOWN while the log is opened on another thread, and goes on after it', async () => {
    const { world, app } = await startedWithBlobs()
    await world.during(app.store.put('kept', Buffer.from(payload(1, 9000))))
    await world.clock.advance(120_000)
    for (const thread of world.threads('log')) thread.die()
    const codes = new Set<unknown>()
    for (let ms = 0; ms < 20; ms++) {
      const sweep = BlobStore.sweep(app.system.to(BlobStore.name('default', 0)))
      void codeOf(sweep).then((code) => codes.add(code))
      await world.clock.advance(0.5)
    }
    await world.clock.advance(1_000)
    expect([...codes].sort()).toEqual(['SHARD_DOWN', 'ok'])
    expect(app.store.get('kept')).toEqual(Buffer.from(payload(1, 9000)))
  })

  test('frees it after a restart too, and after a rebuild of the projection', async () => {
    const { world, app } = await startedWithBlobs()
    await world.during(app.store.lock(['locked'], { owner: 'me', leaseMs: 600_000 }))
    const [refused, kept] = [Buffer.alloc(9000, 'refused'), Buffer.alloc(9000, 'kept')]
    expect(await world.during(codeOf(app.store.put('locked', refused)))).toBe('LOCKED')
    await world.during(app.store.put('free', kept))
    await world.during(app.store.delete('free'))
    await world.during(app.close())
    for (const rebuild of [false, true]) {
      if (rebuild) world.projections.remove('/data/shard-0/lmdb')
      const again = await world.start(options)
      expect(await swept(world, again)).toMatchObject({ cleared: rebuild ? 0 : 1 })
      // A blob that the log names stays as long as the log does.
      expect(blobFiles(world)).toHaveLength(1)
      await world.during(again.close())
    }
    const left = world.disk.contents(`${dir}/${blobFiles(world)[0]}`)
    expect(Buffer.from(left).includes('refused')).toBe(false)
    expect(Buffer.from(left).includes(kept)).toBe(true)
  })

  test('reads no frame that the rows already show, also at the first sweep of a process', async () => {
    const { world, app } = await startedWithBlobs()
    await world.during(app.store.lock(['locked'], { owner: 'me', leaseMs: 600_000 }))
    for (let at = 0; at < 5; at++)
      await world.during(app.store.put(`k${at}`, Buffer.from(payload(at, 9000))))
    await world.during(codeOf(app.store.put('locked', Buffer.from(payload(9, 9000)))))
    await world.during(app.close())
    const again = await world.start(options)
    await world.clock.advance(61_000)
    const calls = world.disk.recordCalls()
    expect(await swept(world, again, 1)).toMatchObject({ cleared: 1 })
    const ofLog = calls.filter(
      ({ path, operation }) => path.includes('/wal/') && operation === 'read',
    )
    expect(ofLog).toEqual([])
  })

  test('frees no blob of a write under way, however long it takes', { tags: ['P2'] }, async () => {
    const { world, app } = await startedWithBlobs({ blobs: { ...options.blobs, graceMs: 0 } })
    await world.during(app.store.put('first', Buffer.from(payload(1, 9000))))
    const shard = app.shards[0]
    const pin = shard?.blobs.pins.hold()
    const store = app.system.to(BlobStore.name('default', 0))
    if (!pin) throw new Error('no shard')
    const [ref] = await world.during(BlobStore.put(store, [payload(2, 9000)], pin, 1000))
    expect(await swept(world, app, 3_600_000)).toMatchObject({ cleared: 0 })
    pin.harden()
    // The log was checked: it has no such write, and never will.
    expect(await swept(world, app, 1)).toMatchObject({ cleared: 1 })
    expect(shard?.blobs.pins.size).toBe(0)
    expect(() => shard?.blobs.read(ref as never, 0, 1)).toThrow(
      expect.objectContaining({ code: 'CORRUPT' }),
    )
  })

  test('frees no blob of a reader that came during its marking', async () => {
    let come = (): void => undefined
    const aroundLog = (host: LogHost): LogHost => ({
      run(kind, request) {
        if (kind === 'sync') come()
        return host.run(kind, request)
      },
      end: () => host.end(),
    })
    const { world, app } = await started({ blobs: { ...options.blobs, graceMs: 0 } }, { aroundLog })
    const pins = app.shards[0]?.blobs.pins
    if (!pins) throw new Error('no shard')
    const writer = pins.hold()
    const store = app.system.to(BlobStore.name('default', 0))
    const refs = await world.during(BlobStore.put(store, [payload(2, 9000)], writer, 1000))
    writer.release()
    const readers: BlobPin[] = []
    come = () => {
      const reader = pins.hold()
      reader.add(refs)
      readers.push(reader)
    }
    expect(await swept(world, app, 1)).toMatchObject({ cleared: 0 })
    expect(readers).toHaveLength(1)
    come = () => undefined
    readers[0]?.release()
    expect(await swept(world, app, 1)).toMatchObject({ cleared: 1 })
  })

  test('keeps the blobs of a write with an unknown outcome until the log was checked', {
    tags: ['P5'],
  }, async () => {
    const { world, app } = await started({ blobs: { ...options.blobs, graceMs: 0 } }, { syncMs: 5 })
    await world.during(app.store.put('first', Buffer.from(payload(1, 9000))))
    // The blob takes 5 ms and the log 5 ms: the write gives up in between.
    const late = app.store.put('late', Buffer.from(payload(2, 9000)), { deadlineMs: 8 })
    expect(await world.during(codeOf(late))).toBe('UNKNOWN_OUTCOME')
    const pins = app.shards[0]?.blobs.pins
    expect(pins?.hardened()).toHaveLength(1)
    expect(await swept(world, app, 1)).toMatchObject({ cleared: 0 })
    expect(pins?.size).toBe(0)
    expect(app.store.get('late')).toEqual(Buffer.from(payload(2, 9000)))
  })

  test('reads frames without rows from the log, and frees nothing if it cannot', async () => {
    const { world, app } = await started({ blobs: { ...options.blobs, graceMs: 0 } }, { syncMs: 5 })
    await world.during(app.store.put('kept', Buffer.from(payload(1, 9000))))
    const applier = app.system.to(Applier.name('default', 0))
    await world.during(suspend(applier))
    const late = app.store.put('late', Buffer.from(payload(2, 9000)), { deadlineMs: 100 })
    expect(await world.during(codeOf(late))).toBe('UNKNOWN_OUTCOME')
    const { appliedLsn } = app.shards[0] ?? {}
    world.disk.inject({
      at: 1,
      times: 1000,
      operation: 'read',
      path: '/wal/',
      fault: { kind: 'error', code: 'EIO' },
    })
    const failed = swept(world, app, 1)
    expect(await codeOf(failed)).not.toBe('ok')
    world.disk.clearFaults()
    expect(await swept(world, app, 1)).toMatchObject({ cleared: 0 })

    expect(app.shards[0]?.appliedLsn).toBe(appliedLsn)
    await world.during(resume(applier))
    await world.clock.advance(10)
    expect(app.store.get('kept')).toEqual(Buffer.from(payload(1, 9000)))
    expect(app.store.get('late')).toEqual(Buffer.from(payload(2, 9000)))
  })

  test('that cannot read a row frees nothing, and has the projection rebuilt', async () => {
    const { world, app } = await startedWithBlobs({ blobs: { ...options.blobs, graceMs: 0 } })
    await world.during(app.store.put('kept', Buffer.from(payload(1, 9000)), { ack: 'projected' }))
    const late = app.store.put('late', Buffer.from(payload(2, 9000)), { deadlineMs: 1 })
    expect(await world.during(codeOf(late))).toBe('NOT_SUBMITTED')
    const { projectionLives } = watchedProjection(app)
    world.projections.damageRow('/data/shard-0/lmdb', 'kept')
    expect(await codeOf(swept(world, app, 1))).toBe('CORRUPT')
    await world.clock.advance(1_000)
    expect(projectionLives()).toBe(1)
    expect(app.store.get('kept')).toEqual(Buffer.from(payload(1, 9000)))
    expect(await swept(world, app, 1)).toMatchObject({ cleared: 1 })
  })

  test('does not judge blobs written meanwhile', async () => {
    const { world, app } = await startedWithBlobs({ blobs: { ...options.blobs, graceMs: 0 } })
    await world.during(
      codeOf(app.store.put('late', Buffer.from(payload(9, 9000)), { deadlineMs: 1 })),
    )
    const sweeping = swept(world, app, 1)
    const writes = [1, 2, 3, 4, 5].map((at) =>
      app.store.put(`k${at}`, Buffer.from(payload(at, 9000))),
    )
    await world.during(Promise.all([sweeping, ...writes]))
    await swept(world, app, 1)
    for (const at of [1, 2, 3, 4, 5])
      expect(app.store.get(`k${at}`)).toEqual(Buffer.from(payload(at, 9000)))
  })

  test('after a restart begins the grace again, then frees the blobs of the process before', async () => {
    const { world, app } = await startedWithBlobs()
    await world.during(app.store.put('kept', Buffer.from(payload(1, 9000))))
    await world.during(
      codeOf(app.store.put('late', Buffer.from(payload(2, 9000)), { deadlineMs: 1 })),
    )
    world.disk.crash()
    const again = await world.start(options)
    expect(await swept(world, again, 1)).toMatchObject({ cleared: 0 })
    expect(await swept(world, again)).toMatchObject({ cleared: 1 })
    expect(again.store.get('kept')).toEqual(Buffer.from(payload(1, 9000)))
  })

  test('runs on request of control, shard by shard, and reports a shard that is down', async () => {
    const { world, app } = await startedWithBlobs({ shards: 2 })
    await world.during(app.store.lock(['locked'], { owner: 'me', leaseMs: 600_000 }))
    await world.during(codeOf(app.store.put('locked', Buffer.alloc(9000))))
    await world.clock.advance(61_000)
    const { outcomes } = await world.during(app.control.sweepAll())
    const reports = outcomes.map(({ ok, report }) => [ok, report?.cleared])
    expect(reports.sort()).toEqual([
      [true, 0],
      [true, 1],
    ])
    expect(await world.during(app.control.sweep(0))).toMatchObject({ cleared: 0, freedBytes: 0 })
    failNextSync(world.disk, 1)
    await world.during(
      Promise.all(['a', 'b', 'c', 'd'].map((key) => codeOf(app.store.put(key, 1)))),
    )
    expect(await world.during(codeOf(app.control.sweep(1)))).toBe('SHARD_DOWN')
    const after = await world.during(app.control.sweepAll())
    expect(after.outcomes.map(({ ok, error }) => [ok, error?.code])).toEqual([
      [true, undefined],
      [false, 'SHARD_DOWN'],
    ])
  })

  test('runs every `sweepMs`, and opens no folder without blobs', async () => {
    const { world, app } = await startedWithBlobs({
      blobs: { ...options.blobs, graceMs: 10, sweepMs: 5000 },
    })
    const described = () => BlobStore.describe(app.system.to(BlobStore.name('default', 0)))
    await world.clock.advance(5100)
    expect(await world.during(described())).toMatchObject({ isOpen: false })
    await world.during(
      codeOf(app.store.put('late', Buffer.from(payload(2, 9000)), { deadlineMs: 1 })),
    )
    await world.clock.advance(11_000)
    expect(await world.during(described())).toMatchObject({ isOpen: true, lastFailure: undefined })
    expect(blobFiles(world)).toEqual([])
  })
})
