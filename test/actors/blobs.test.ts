import { describe, expect, test } from 'vitest'
import { Applier, BlobStore } from '../../src/actors/index.ts'
import { resume, suspend, telemetry } from '../../src/runtime/index.ts'
import type { App, StartOptions } from '../../src/supervisors/index.ts'
import { payload } from '../support/blob-folder.ts'
import { codeOf, failNextSync, type Machine, machine } from '../support/simulated-instance.ts'

const options = { blobs: { threshold: 1000, graceMs: 60_000, sweepMs: 0 } }
const dir = '/data/shard-0/blobs'

const blobFiles = ({ disk }: Machine): string[] =>
  disk.entry(dir) ? disk.list(dir).filter((name) => name.endsWith('.bloblog')) : []

const started = async (more: Partial<StartOptions> = {}) => {
  const world = machine()
  const app = await world.start({ ...options, ...more })
  return { world, app }
}

/** Lets the grace pass, and sweeps. */
const swept = async (world: Machine, app: App, graceMs = 61_000) => {
  await world.clock.advance(graceMs)
  return world.during(BlobStore.sweep(app.system.to(BlobStore.name('default', 0))))
}

/** Counts the projections that were set aside from now on. */
const watchedProjection = (app: App) => {
  const files = app.shards[0]?.files
  if (!files) throw new Error('no shard')
  let lives = 0
  const distrust = files.distrustProjection.bind(files)
  files.distrustProjection = () => {
    lives++
    distrust()
  }
  return { projectionLives: () => lives }
}

/** The bytes of the shard's log. */
const logBytes = ({ disk }: Machine): number =>
  disk
    .list('/data/shard-0/wal')
    .filter((name) => name.endsWith('.wal'))
    .reduce(
      (sum, name) =>
        sum +
        Buffer.from(disk.contents(`/data/shard-0/wal/${name}`)).filter((byte) => byte !== 0).length,
      0,
    )

describe('a large value', () => {
  test('lies in a blob and not in the log, and is read back as it was put', async () => {
    const { world, app } = await started()
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

  test('survives a power cut after its ack', async () => {
    for (let seed = 1; seed <= 15; seed++) {
      const world = machine({ seed })
      const app = await world.start(options)
      await world.during(app.store.put('key', Buffer.from(payload(seed, 20_000))))
      world.disk.crash()
      const again = await world.start(options)
      expect(again.store.get('key'), `seed ${seed}`).toEqual(Buffer.from(payload(seed, 20_000)))
    }
  })

  test('at the threshold is a blob, one byte below it is not; and 0 leaves all in frames', async () => {
    const { world, app } = await started()
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
    // The threshold is about writing: what was stored as a blob is read whatever it is now.
    expect(inline.store.get('at')).toEqual(Buffer.alloc(1000, 1))
  })

  test('that no frame could hold is a blob whatever the threshold', async () => {
    const { world, app } = await started({ blobs: { threshold: 1024 * 1024 * 1024 } })
    await world.during(app.store.put('key', Buffer.alloc(300_000, 3)))
    expect(blobFiles(world)).toHaveLength(1)
    expect(app.store.get('key')).toEqual(Buffer.alloc(300_000, 3))
  })

  test('is appended to and overwritten by its suffix and its patch alone', async () => {
    const { world, app } = await started()
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

  test('of a batch and of putMany takes one sync with all others of its command', async () => {
    const { world, app } = await started()
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

  test('that looks like a reference is bytes like any other', async () => {
    const { world, app } = await started()
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
    const { world, app } = await started()
    await world.during(app.store.put('key', Buffer.from(payload(1, 20_000)), { ack: 'projected' }))
    await world.during(app.close())
    world.projections.remove('/data/shard-0/lmdb')
    const again = await world.start(options)
    expect(again.store.get('key')).toEqual(Buffer.from(payload(1, 20_000)))
  })
})

test('options that are wrong are refused by their path before anything starts', async () => {
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
  test('a small put behind a large one does not overtake it, nor the other way round', async () => {
    const { world, app } = await started()
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

describe('a put whose blob cannot be written', () => {
  test('is refused with nothing in the log, and the shard goes on', async () => {
    const { world, app } = await started()
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
    const { world, app } = await started()
    app.shards[0]?.gate.hold('test')
    expect(await codeOf(app.store.put('key', Buffer.alloc(5000), { whenFull: 'refuse' }))).toBe(
      'BUSY',
    )
    app.shards[0]?.gate.release('test')
    expect(blobFiles(world)).toEqual([])
  })
})

describe('a damaged blob', () => {
  test('is CORRUPT for its readers, is told, and harms neither other values nor writes nor the projection', async () => {
    const { world, app } = await started()
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

  test('is CORRUPT for a compareAndSet that needs it, which changes nothing; projection and shard go on', async () => {
    const { world, app } = await started()
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

  test('of a comparison in a batch leaves the other commands of the batch as they are', async () => {
    const { world, app } = await started()
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

  test('does not keep getSet, set, append, setRange, expire and delete from doing their work', async () => {
    const { world, app } = await started()
    const keys = ['getSet', 'set', 'append', 'setRange', 'expire', 'delete']
    for (const key of keys)
      await world.during(app.store.put(key, Buffer.from(payload(1, 5000)), { ack: 'projected' }))
    for (const name of blobFiles(world))
      for (let at = 0; at < keys.length; at++)
        world.disk.flipBit(`${dir}/${name}`, (at * 8192 + 2000) * 8)
    const { store } = app
    // What was there is answered as what it is: it cannot be read.
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

describe('a sweep', () => {
  test('takes nothing that a row or a frame of the log refers to', async () => {
    const { world, app } = await started()
    for (const at of [1, 2, 3])
      await world.during(app.store.put(`k${at}`, Buffer.from(payload(at, 9000))))
    await world.during(app.store.delete('k2'))
    await world.during(app.store.put('k3', 'small'))
    expect(await swept(world, app)).toMatchObject({ segments: 1, cleared: 0, freedBytes: 0 })
    expect(app.store.get('k1')).toEqual(Buffer.from(payload(1, 9000)))
  })

  test('C4: takes the blob of a write that was abandoned, once its grace has passed', async () => {
    const { world, app } = await started()
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

  test('takes the blob of a write that was refused, although the log names it', async () => {
    const { world, app } = await started()
    await world.during(app.store.lock(['locked'], { owner: 'me', leaseMs: 600_000 }))
    expect(await world.during(codeOf(app.store.put('locked', Buffer.from(payload(1, 9000)))))).toBe(
      'LOCKED',
    )
    expect(blobFiles(world)).toHaveLength(1)
    expect(await swept(world, app)).toMatchObject({ cleared: 1 })
    expect(blobFiles(world)).toEqual([])
  })

  test('takes it after a restart too, and after the projection was built anew', async () => {
    const { world, app } = await started()
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
      // What the log names stays, as long as it does.
      expect(blobFiles(world)).toHaveLength(1)
      await world.during(again.close())
    }
    const left = world.disk.contents(`${dir}/${blobFiles(world)[0]}`)
    expect(Buffer.from(left).includes('refused')).toBe(false)
    expect(Buffer.from(left).includes(kept)).toBe(true)
  })

  test('reads nothing of the log that the rows show already, the first one of a process neither', async () => {
    const { world, app } = await started()
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

  test('takes nothing whose write is still on its way', async () => {
    const { world, app } = await started({ blobs: { ...options.blobs, graceMs: 0 } })
    await world.during(app.store.put('first', Buffer.from(payload(1, 9000))))
    const shard = app.shards[0]
    const pin = shard?.blobs.pins.hold()
    const store = app.system.to(BlobStore.name('default', 0))
    if (!pin) throw new Error('no shard')
    const [ref] = await world.during(BlobStore.put(store, [payload(2, 9000)], pin, 1000))
    expect(await swept(world, app, 1)).toMatchObject({ cleared: 0 })
    pin.harden()
    // The log has been asked: it has no such write, and never will.
    expect(await swept(world, app, 1)).toMatchObject({ cleared: 1 })
    expect(shard?.blobs.pins.size).toBe(0)
    expect(() => shard?.blobs.read(ref as never, 0, 1)).toThrow(
      expect.objectContaining({ code: 'CORRUPT' }),
    )
  })

  test('P5: keeps what a write of unknown outcome has written until the log has been asked', async () => {
    const world = machine({ syncMs: 5 })
    const app = await world.start({ blobs: { ...options.blobs, graceMs: 0 } })
    await world.during(app.store.put('first', Buffer.from(payload(1, 9000))))
    // The blob takes 5 ms and so does the log: it gives up in between.
    const late = app.store.put('late', Buffer.from(payload(2, 9000)), { deadlineMs: 8 })
    expect(await world.during(codeOf(late))).toBe('UNKNOWN_OUTCOME')
    const pins = app.shards[0]?.blobs.pins
    expect(pins?.hardened()).toHaveLength(1)
    expect(await swept(world, app, 1)).toMatchObject({ cleared: 0 })
    expect(pins?.size).toBe(0)
    expect(app.store.get('late')).toEqual(Buffer.from(payload(2, 9000)))
  })

  test('reads what no row shows yet from the log, and takes nothing when it cannot', async () => {
    const world = machine({ syncMs: 5 })
    const app = await world.start({ blobs: { ...options.blobs, graceMs: 0 } })
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

  test('that cannot read a row takes nothing, and has the projection made anew', async () => {
    const { world, app } = await started({ blobs: { ...options.blobs, graceMs: 0 } })
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

  test('leaves what is written while it goes on', async () => {
    const { world, app } = await started({ blobs: { ...options.blobs, graceMs: 0 } })
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

  test('after a restart lets the grace begin anew, then takes what the process before it left', async () => {
    const { world, app } = await started()
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

  test('is made by control at once, shard by shard, and a shard that is down says so', async () => {
    const { world, app } = await started({ shards: 2 })
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

  test('happens by itself every `sweepMs`, and opens nothing where there is no blob', async () => {
    const { world, app } = await started({
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
