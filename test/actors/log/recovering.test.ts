import { describe, expect, test } from 'vitest'
import { Applier, LmdbWriter, WalWriter } from '../../../src/actors/index.ts'
import { encodeValue } from '../../../src/storage/index.ts'
import { codeOf, machine, started } from '../../support/worlds/simulated-instance.ts'

const keys = Array.from({ length: 300 }, (_, at) => `key:${at}`)

/** An instance with 300 keys; `suspended`: none of them is projected. */
const filled = async (options = {}, { suspended = false } = {}) => {
  const { world, app } = await started(options)
  if (suspended) await world.during(app.control.suspendAll())
  await world.during(Promise.all(keys.map((key) => app.store.put(key, { key }))))
  return { ...world, app }
}

const entriesOf = (app: { store: { range(options: object): { entries: unknown } } }) =>
  app.store.range({ limit: 1_000 }).entries

describe('an instance that starts again', () => {
  test('after a clean close has every write, and cuts and copies nothing', async () => {
    const { app, start, during } = await filled()
    const before = entriesOf(app)
    await during(app.close())

    const again = await start()

    expect(entriesOf(again)).toEqual(before)
    const { report } = await during(WalWriter.describe(again.system.to(WalWriter.name(0))))
    expect(report).toMatchObject({ tail: 'clean', cutBytes: 0, copiedFrames: 0 })
  })

  test('after a power cut has every acknowledged write, with any state of the projection', async () => {
    const { app, disk, projections, start, during } = await filled()
    disk.crash()
    await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
    projections.loseCommits('/data/shard-0/lmdb', 1)

    const again = await start()

    expect(keys.filter((key) => !again.store.has(key))).toEqual([])
  })

  test('without its projection rebuilds it from the log before the first read', {
    tags: ['L30', 'M48'],
  }, async () => {
    const { app, projections, start, during } = await filled()
    await during(app.close())
    projections.remove('/data/shard-0/lmdb')

    const again = await start()

    expect(keys.filter((key) => !again.store.has(key))).toEqual([])
  })

  test('with the projection of another log rebuilds it', async () => {
    const { app, projections, start, during } = await filled()
    await during(app.close())
    projections.remove('/data/shard-0/lmdb')
    const other = projections.open('/data/shard-0/lmdb')
    const row = { value: encodeValue('of another log'), expiresAt: 0 }
    await other.commit([['key:7', row]], { walId: 'f'.repeat(32), epoch: 1, lsn: 1_000 })
    await other.close()

    const again = await start()

    expect(again.store.get('key:7')).toEqual({ key: 'key:7' })
    expect(keys.filter((key) => !again.store.has(key))).toEqual([])
  })

  test('without its logs and keelson.json refuses to begin a new log beside its projection', {
    tags: ['L10'],
  }, async () => {
    const { app, disk, start, during } = await filled()
    await during(app.control.flushAll())
    await during(app.close())
    disk.remove('/data/shard-0/wal')
    disk.remove('/data/keelson.json')

    expect(await codeOf(during(start()))).toBe('CORRUPT')
  })

  test('without its projection reads the whole log first, and refuses damage without a change', async () => {
    const { disk, projections, start, during, app } = await started({
      wal: { maxFileSize: 128 * 1024 },
    })
    const text = 'x'.repeat(1_000)
    await during(Promise.all(keys.map((key) => app.store.put(key, text))))
    await during(app.control.flushAll())
    await during(app.close())
    const [first = ''] = disk.list('/data/shard-0/wal').filter((name) => name.endsWith('.wal'))
    disk.poke(`/data/shard-0/wal/${first}`, 20_000, Uint8Array.of(1, 2, 3))
    // The projection has the damaged rows: recovery does not need those frames.
    await during((await start()).close())

    projections.remove('/data/shard-0/lmdb')
    const before = disk.clone()
    expect(await codeOf(during(start()))).toBe('CORRUPT')
    for (const name of disk.list('/data/shard-0/wal'))
      if (name !== 'LOCK')
        expect(disk.contents(`/data/shard-0/wal/${name}`)).toEqual(
          before.contents(`/data/shard-0/wal/${name}`),
        )
  })

  test('refuses a log whose first segment is gone, though the projection shows its rows', async () => {
    const { disk, start, during, app } = await started({ wal: { maxFileSize: 128 * 1024 } })
    await during(Promise.all(keys.map((key) => app.store.put(key, 'x'.repeat(1_000)))))
    await during(app.control.flushAll())
    await during(app.close())
    const [first = ''] = disk.list('/data/shard-0/wal').filter((name) => name.endsWith('.wal'))
    disk.remove(`/data/shard-0/wal/${first}`)

    // A new reader of the log would miss entries in silence.
    expect(await codeOf(during(start()))).toBe('CORRUPT')
  })

  test('refuses logs of one shard in the folder of another', async () => {
    const { disk, start, during, app } = await started({ shards: 2 })
    await during(Promise.all(keys.map((key) => app.store.put(key, 1))))
    await during(app.close())
    disk.rename('/data/shard-0', '/data/aside')
    disk.rename('/data/shard-1', '/data/shard-0')
    disk.rename('/data/aside', '/data/shard-1')

    expect(await codeOf(during(start()))).toBe('CORRUPT')
  })

  test('leaves other files in the folder alone, whether it starts or refuses', async () => {
    const { disk, start, during } = machine()
    disk.makeFolder('/data/shard-3')
    const file = disk.open('/data/shard-3/important.txt', 'create')
    file.write(Buffer.from('mine'), 0)
    file.close()

    const app = await start()
    await during(app.close())

    expect(disk.contents('/data/shard-3/important.txt').length).toBe(4)
  })

  test('refuses a log that lost frames that its projection shows', async () => {
    const { app, disk, start, during } = await filled()
    await during(app.control.flushAll())
    await during(app.close())
    const old = disk.clone()
    const more = await start()
    await during(more.store.put('more', 1))
    await during(more.control.flushAll())
    await during(more.close())
    for (const name of disk.list('/data/shard-0/wal'))
      if (name.endsWith('.wal') || name === 'MANIFEST') disk.remove(`/data/shard-0/wal/${name}`)
    copyFolder(old, disk, '/data/shard-0/wal')

    expect(await codeOf(during(start()))).toBe('CORRUPT')
  })
})

describe('an applier that starts again', () => {
  test('rebuilds the overlay over a suspended projection, and the suspension stays', async () => {
    const { app, clock } = await filled({}, { suspended: true })
    const before = entriesOf(app)

    app.system.kill(Applier.name(0))
    await clock.advance(1_000)

    expect(entriesOf(app)).toEqual(before)
    expect(app.health().shards).toMatchObject([{ suspended: true, projectedLsn: 0 }])
  })

  test('waits for the projection if the overlay cannot hold the frames between', async () => {
    const { app, clock, projections, start, during } = await filled({}, { suspended: true })
    await during(app.close())
    projections.remove('/data/shard-0/lmdb')

    const again = await start({ overlay: { keys: 10 } })

    expect(keys.filter((key) => !again.store.has(key))).toEqual([])
    await clock.advance(100)
    expect(again.health().shards[0]?.projectedLsn).toBeGreaterThan(0)
  })

  test('answers CORRUPT for a damaged row, and rebuilds the projection', async () => {
    const { app, clock, projections, during } = await filled()
    await during(app.control.flushAll())
    await clock.advance(10)
    projections.damageRow('/data/shard-0/lmdb', 'key:7')

    expect(() => app.store.get('key:7')).toThrow(expect.objectContaining({ code: 'CORRUPT' }))

    await clock.advance(1_000)
    expect(app.store.get('key:7')).toEqual({ key: 'key:7' })
    expect(keys.filter((key) => !app.store.has(key))).toEqual([])
  })
})

describe('a projection', () => {
  test('that was set aside for damage leaves health: the new one shows LSN 0', async () => {
    const { app, clock, projections, during } = await filled({ overlay: { keys: 10 } })
    await during(app.control.flushAll())
    await during(app.control.suspendAll({ flush: false }))
    expect(app.health().shards[0]?.projectedLsn).toBeGreaterThan(0)
    projections.damageRow('/data/shard-0/lmdb', 'key:7')
    expect(() => app.store.get('key:7')).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    await clock.advance(1_000)
    expect(app.health().shards).toMatchObject([{ phase: 'recovering', projectedLsn: 0 }])

    await during(app.control.resumeAll({ force: true }))
    await clock.advance(1_000)
    expect(app.store.get('key:7')).toEqual({ key: 'key:7' })
  })

  test('is at the position in health once a flush is answered', async () => {
    const { during, app } = await started()
    for (let at = 1; at <= 20; at++) {
      await during(app.store.put('k', at))
      const shown = app.control.flush(0).then(() => app.health().shards[0]?.projectedLsn)
      expect(await during(shown)).toBe(app.health().shards[0]?.appliedLsn)
    }
  })

  test('makes room in a full overlay, regardless of its schedule', async () => {
    const { start, during, clock } = machine()
    const hour = 3_600_000
    const app = await start({
      overlay: { keys: 10 },
      lmdb: { intervalMs: hour, quietMs: hour, maxLagMs: hour },
    })
    const began = clock.monotonic()
    for (let at = 0; at < 50; at++) await during(app.store.put(`k${at}`, at))
    expect(clock.monotonic() - began).toBeLessThan(1_000)
  })
})

describe('a projection that takes no changes', () => {
  test('holds writers only when the overlay is full, and releases them when it takes changes again', async () => {
    const { clock, projections, during, app } = await started({ overlay: { keys: 50 } })
    projections.failCommits('/data/shard-0/lmdb', Number.POSITIVE_INFINITY)

    await during(Promise.all(keys.map((key) => app.store.put(key, 1))))
    let answered = false
    const late = app.store.put('late', 1).then(() => {
      answered = true
    })
    await clock.advance(3_000)
    expect(answered).toBe(false)
    expect(await codeOf(app.store.put('x', 1, { whenFull: 'refuse' }))).toBe('BUSY')
    const writer = app.system.to(LmdbWriter.name(0))
    expect(await during(LmdbWriter.describe(writer))).toMatchObject({ mode: 'degraded' })

    projections.failCommits('/data/shard-0/lmdb', 0)
    await during(late)
    expect([...keys, 'late'].filter((key) => !app.store.has(key))).toEqual([])
  })

  test('refuses waits for it with DEGRADED meanwhile', async () => {
    const { clock, projections, during, app } = await started()
    projections.failCommits('/data/shard-0/lmdb', Number.POSITIVE_INFINITY)
    await during(app.store.put('a', 1))
    await clock.advance(500)

    expect(await codeOf(during(app.store.put('b', 1, { ack: 'projected' })))).toBe('DEGRADED')
    expect(app.store.get('b')).toBe(1)
  })
})

describe('close', () => {
  test('answers admitted writes, refuses new ones, and ends with a clean log', async () => {
    const { start, during, app } = await started({ wal: { queueBytes: 1_000 } }, { syncMs: 5 })
    const admitted = [app.store.put('a', 1), app.store.put('b', 2)].map(codeOf)
    const waiting = [3, 4, 5].map((value) => codeOf(app.store.put('c', value)))

    const closing = app.close()
    const late = codeOf(app.store.put('d', 1))

    expect(await during(Promise.all(admitted))).toEqual(['ok', 'ok'])
    expect(await during(Promise.all(waiting))).toEqual(['ok', 'CLOSED', 'CLOSED'])
    expect(await late).toBe('CLOSED')
    await during(closing)
    await during(app.close())
    expect(await app.closed).toBe('normal')
    expect(() => app.store.get('a')).toThrow(expect.objectContaining({ code: 'CLOSED' }))

    const again = await start()
    expect(['a', 'b', 'c', 'd'].map((key) => again.store.get(key))).toEqual([1, 2, 3, undefined])
  })

  test('leaves no timer, no process and no lock behind', async () => {
    const { app, clock, start, during } = await filled()

    await during(app.close())

    expect(clock.untilNext()).toBeUndefined()
    expect(app.system.processes()).toEqual([])
    await during(start())
  })

  test('happens by itself when the root gives up, with the reason', async () => {
    const { app, clock, start, during } = await filled()

    for (let round = 0; round < 5; round++) {
      app.system.kill('shards' as never)
      await clock.advance(50)
    }

    expect(await during(app.closed)).toBe('shutdown')
    expect(await codeOf(app.store.put('a', 1))).toBe('CLOSED')
    const again = await start()
    expect(keys.filter((key) => !again.store.has(key))).toEqual([])
  })
})

type Disk = ReturnType<typeof machine>['disk']

const copyFolder = (from: Disk, to: Disk, dir: string): void => {
  for (const name of from.list(dir)) {
    const path = `${dir}/${name}`
    if (name === 'LOCK' || from.entry(path)?.kind === 'folder') continue
    const file = to.open(path, 'create')
    file.write(from.contents(path), 0)
    file.sync()
    file.close()
  }
}
