/** When a snapshot is made, what goes then, and what happens if it cannot be made. */
import { describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { type LogHost, type SnapshotHost, snapshotName } from '../../../src/storage/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { codeOf, failNext } from '../../support/worlds/simulated-instance.ts'
import {
  bytesIn,
  folders,
  heard,
  namesIn,
  options,
  overwrite,
  startedWithSnapshots,
  textOf,
} from '../../support/worlds/snapshot-instance.ts'

const KiB = 1024
const segmentBytes = 128 * KiB

const logOf = (app: App): LogHost => app.shards[0]?.files.log() as LogHost

describe('a snapshot', () => {
  test('is made when the log since the last one is long, and the log before it goes', async () => {
    const { world, app } = await startedWithSnapshots()
    const events = heard(app, 'snapshot.started', 'snapshot.made', 'log.released')
    await overwrite(world, app, 40)
    expect(namesIn(world, folders.snapshots, '.snap')).toEqual([])
    await overwrite(world, app, 60, 40)
    await world.clock.advance(500)

    expect(namesIn(world, folders.snapshots, '.snap')).toHaveLength(1)
    expect(events.slice(0, 3)).toMatchObject([
      { name: 'snapshot.started', reason: 'log', shard: 0 },
      { name: 'snapshot.made', rows: 5 },
      { name: 'log.released' },
    ])
    const { last } = app.health().shards[0]?.snapshot ?? {}
    const log = await world.during(app.wal(0).describe())
    expect(log.log?.segments[0]?.baseLsn).toBeGreaterThan(1)
    expect(log.log?.segments[0]?.baseLsn).toBeLessThanOrEqual((last?.lsn ?? 0) + 1)
    expect(app.store.get('k3')).toBe(textOf(99))
    await world.during(app.close())
  })

  test('is made on request, with everything applied before; a second one changes nothing', async () => {
    const { world, app } = await startedWithSnapshots()
    await overwrite(world, app, 8)
    const made = await world.during(app.control.snapshot(0))
    expect(made.lsn).toBe(app.health().shards[0]?.appliedLsn)
    expect(await world.during(app.control.snapshot(0))).toEqual(made)
    expect(app.health().shards[0]?.snapshot).toMatchObject({ last: made, failure: undefined })
    expect(await world.during(app.control.snapshotAll())).toMatchObject({
      outcomes: [{ shard: 0, ok: true, snapshot: made }],
    })
    await world.during(app.close())
  })

  test('of a shard without any frame is nothing: no file, and no error', async () => {
    const { world, app } = await startedWithSnapshots({ shards: 2 })
    expect(await world.during(app.control.snapshot(1))).toEqual({ lsn: 0, bytes: 0, sum: 0 })
    const { outcomes } = await world.during(app.control.snapshotAll())
    expect(outcomes).toMatchObject([
      { ok: true, snapshot: { lsn: 0 } },
      { ok: true, snapshot: { lsn: 0 } },
    ])
    expect(app.health().shards[0]?.snapshot).toMatchObject({ last: undefined, failure: undefined })
    expect(world.disk.entry(folders.snapshots)).toBeUndefined()
    await world.during(app.close())
  })

  test('with nothing new waits for more log, however long the log behind it is estimated to be', async () => {
    const rules = { ...options, snapshot: { minLogBytes: 4 * KiB, ratio: 0 } }
    let looks = 0
    const aroundLog = (host: LogHost): LogHost => ({
      run: (kind, request) => {
        if (kind === 'describe') looks++
        return host.run(kind, request)
      },
      end: () => host.end(),
    })
    const { world, app } = await startedWithSnapshots(rules, { aroundLog })
    await overwrite(world, app, 6)
    const made = await world.during(app.control.snapshot(0))
    await world.during(app.close())

    // The mark of a clean close counts like one of the long frames before it.
    const next = await world.start(rules)
    expect(await world.during(next.control.snapshot(0))).toEqual(made)
    await world.clock.advance(1_000)
    const { last, logBytes, dueBytes } = next.health().shards[0]?.snapshot ?? {}
    expect(last).toEqual(made)
    expect(logBytes).toBeGreaterThan(dueBytes ?? Number.POSITIVE_INFINITY)
    expect(looks).toBeLessThan(20)
    await world.during(next.close())
  })

  test('leaves the log after it, which is as long as the log says whenever it is asked', async () => {
    const { world, app } = await startedWithSnapshots({ snapshot: { minLogBytes: 256 * KiB } })
    const sizes = async () => {
      const { logBytes, dueBytes } = app.health().shards[0]?.snapshot ?? {}
      const { newBytes = 0 } = await world.during(logOf(app).run('state', null))
      return { dueBytes, logBytes, newBytes }
    }
    const before = await sizes()
    // The segment has a header, and the log has marks of its own.
    const isNear = ({ logBytes = 0, newBytes }: typeof before): boolean =>
      Math.abs(logBytes - newBytes) < 5 * KiB + newBytes / 10
    expect(before.dueBytes).toBe(256 * KiB)
    for (let at = 0; at < 8; at++) {
      await overwrite(world, app, 1, at)
      const now = await sizes()
      expect(now.logBytes).toBeGreaterThan((at + 1) * 8 * KiB)
      expect(now).toSatisfy(isNear)
    }
    await world.during(app.control.snapshot(0))
    expect(await sizes()).toMatchObject({ logBytes: 0 })
    await overwrite(world, app, 2)
    expect(await sizes()).toSatisfy(isNear)
    await world.during(app.close())
  })

  test('of equal states has equal bytes', async () => {
    const { world, app } = await startedWithSnapshots({ snapshot: { keep: 2 } })
    await world.during(app.store.put('a', 1))
    const first = await world.during(app.control.snapshot(0))
    await world.during(app.store.put('a', 2))
    await world.during(app.store.put('a', 1))
    const second = await world.during(app.control.snapshot(0))
    expect(second.bytes).toBe(first.bytes)
    expect(second.lsn).toBeGreaterThan(first.lsn)
    await world.during(app.close())
  })

  test('replaces the one before it; `snapshot.keep` keeps more', async () => {
    const kept = async (keep: number): Promise<number> => {
      const { world, app } = await startedWithSnapshots({ snapshot: { keep } })
      for (let at = 0; at < 4; at++) {
        await overwrite(world, app, 2, at)
        await world.during(app.control.snapshot(0))
      }
      const files = namesIn(world, folders.snapshots, '')
      await world.during(app.close())
      return files.length
    }
    expect(await kept(1)).toBe(1)
    expect(await kept(3)).toBe(3)
  })

  test('is made by one shard of an instance at a time', async () => {
    let making = 0
    let most = 0
    const watched = (host: SnapshotHost): SnapshotHost => ({
      end: () => host.end(),
      run: async (kind, request, onProgress) => {
        if (kind !== 'make') return host.run(kind, request, onProgress)
        most = Math.max(most, ++making)
        return host.run(kind, request, onProgress).finally(() => {
          making--
        })
      },
    })
    const slow = { shards: 4, snapshot: { bytesPerSecond: 100_000 } }
    const { world, app } = await startedWithSnapshots(slow, { aroundSnapshots: watched })
    await world.during(
      Promise.all(Array.from({ length: 100 }, (_, at) => app.store.put(`k${at}`, textOf(at)))),
    )
    const { outcomes } = await world.during(app.control.snapshotAll())
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true, true, true])
    expect(most).toBe(1)
    await world.during(app.close())
  })

  test('is not taken for a leftover by the tidying of a start', async () => {
    let tidyMs = 0
    const { world, app } = await startedWithSnapshots(
      {},
      {
        aroundSnapshots: (host) => ({
          run: async (kind, ...rest) => {
            if (kind === 'tidy') await new Promise<void>((end) => world.clock.after(tidyMs, end))
            return host.run(kind, ...rest)
          },
          end: () => host.end(),
        }),
      },
    )
    await overwrite(world, app, 8)
    await world.during(app.control.snapshot(0))
    await overwrite(world, app, 8)
    await world.during(app.close())
    tidyMs = 100

    const next = await world.start(options)
    const { lsn } = await world.during(next.control.snapshot(0))
    await world.clock.advance(2 * tidyMs)

    expect(namesIn(world, folders.snapshots, '.snap')).toEqual([snapshotName(lsn)])
    await world.during(next.close())
  })

  test('under way is interrupted by a close, and leaves no file', async () => {
    const { world, app } = await startedWithSnapshots({ snapshot: { bytesPerSecond: 1_000 } })
    for (let at = 0; at < 60; at++) await world.during(app.store.put(`k${at}`, textOf(at)))
    const asked = codeOf(app.control.snapshot(0))
    await world.clock.advance(200)
    expect(app.health().shards[0]?.snapshot.making).toMatchObject({ phase: 'write' })
    const began = world.clock.monotonic()
    await world.during(app.close())
    expect(world.clock.monotonic() - began).toBeLessThan(1_000)
    expect(['EXITED', 'CLOSED']).toContain(await asked)
    expect(namesIn(world, folders.snapshots, '')).toEqual([])
  })
})

describe('an attempt that fails', () => {
  const failing = (failures: KeelsonError[]) => {
    const rates: (number | undefined)[] = []
    const around = (host: SnapshotHost): SnapshotHost => ({
      end: () => host.end(),
      run: (kind, request, onProgress) => {
        if (kind !== 'make') return host.run(kind, request, onProgress)
        rates.push((request as { bytesPerSecond?: number }).bytesPerSecond)
        const failure = failures.shift()
        return failure ? Promise.reject(failure) : host.run(kind, request, onProgress)
      },
    })
    return { around, rates }
  }

  test('tells its reason, and the next one follows by itself', async () => {
    const { around } = failing([new KeelsonError('NO_SPACE', 'there is no room')])
    const { world, app } = await startedWithSnapshots({}, { aroundSnapshots: around })
    const events = heard(app, 'snapshot.failed', 'snapshot.made')
    await overwrite(world, app, 80)
    expect(app.health().shards[0]?.snapshot.failure).toMatch(/NO_SPACE.*no room/)
    await world.clock.advance(1_500)
    expect(app.health().shards[0]?.snapshot.failure).toBeUndefined()
    expect(events.slice(0, 2)).toMatchObject([
      { name: 'snapshot.failed', failures: 1 },
      { name: 'snapshot.made' },
    ])
    await world.during(app.close())
  })

  test('because it pinned too much is made again at once, without a limit of its speed', async () => {
    const pinned = new KeelsonError('BUSY', 'it grew', { details: { reason: 'pinned' } })
    const { around, rates } = failing([pinned])
    const { world, app } = await startedWithSnapshots({}, { aroundSnapshots: around })
    await overwrite(world, app, 80)
    await world.clock.advance(100)
    expect(rates.slice(0, 2)).toEqual([undefined, Number.POSITIVE_INFINITY])
    expect(namesIn(world, folders.snapshots, '.snap')).toHaveLength(1)
    await world.during(app.close())
  })

  test('because the disk is full is as fast as it can, and gives writers room', async () => {
    const { around, rates } = failing([])
    const rules = { snapshot: { minLogBytes: 64 * 1024 * KiB } }
    const { world, app } = await startedWithSnapshots(rules, { aroundSnapshots: around })
    await overwrite(world, app, 30)
    await world.during(app.control.flushAll())
    // No room for another segment.
    world.disk.capacityBytes = 0
    world.disk.capacityBytes = 220 * KiB - world.disk.freeBytes
    let refusal: unknown = 'ok'
    for (let at = 0; refusal === 'ok' && at < 80; at++)
      refusal = await world.during(codeOf(app.store.put(`k${at % 4}`, textOf(at))))
    expect(refusal).toBe('NO_SPACE')
    await world.clock.advance(1_000)
    expect(rates).toEqual([Number.POSITIVE_INFINITY])
    expect(await world.during(codeOf(app.store.put('k0', textOf(1))))).toBe('ok')
    await world.during(app.close())
  })

  test('because of a damaged row has the projection rebuilt, and is made again', async () => {
    const { world, app } = await startedWithSnapshots()
    await overwrite(world, app, 8)
    await world.during(app.control.flushAll())
    world.projections.damageRow(folders.lmdb, 'k1')
    expect(await world.during(codeOf(app.control.snapshot(0)))).toBe('CORRUPT')
    await world.clock.advance(2_000)
    expect(app.store.get('k1')).toBe(textOf(5))
    expect(await world.during(codeOf(app.control.snapshot(0)))).toBe('ok')
    await world.during(app.close())
  })

  test.each([
    ['names the snapshot', 'sync', '/MANIFEST'],
    ['gives the log back', 'syncFolder', ''],
  ] as const)(
    'takes the shard down at once when a sync fails as it %s',
    async (_, operation, file) => {
      const wal = { ...options.wal, idleMarkerMs: 0 }
      const { world, app } = await startedWithSnapshots({ wal })
      await overwrite(world, app, 40)
      failNext(world.disk, operation, folders.wal + file)

      expect(await codeOf(world.during(app.control.snapshot(0)))).not.toBe('ok')
      expect(app.health().shards[0]?.phase).toBe('down')
      await world.during(app.control.reopen(0))
      expect(app.store.get('k3')).toBe(textOf(39))
    },
  )

  test('on a full disk leaves no file, and writing goes on', async () => {
    const world = (await startedWithSnapshots()).world
    const { disk } = world
    const app = await world.start({ ...options, instance: 'other', dir: '/other' })
    for (let at = 0; at < 40; at++) await world.during(app.store.put(`key${at}`, textOf(at)))
    await world.during(app.control.flushAll())
    // Room for a part of a snapshot.
    disk.capacityBytes = 0
    disk.capacityBytes = 150 * KiB - disk.freeBytes
    expect(await world.during(codeOf(app.control.snapshot(0)))).toBe('NO_SPACE')
    expect(namesIn(world, '/other/shard-0/snapshot', '')).toEqual([])
    expect(app.health().shards[0]?.snapshot.failure).toMatch(/NO_SPACE/)
    expect(await world.during(codeOf(app.store.put('a', 1)))).toBe('ok')
    disk.capacityBytes = Number.POSITIVE_INFINITY
    expect(await world.during(codeOf(app.control.snapshot(0)))).toBe('ok')
    await world.during(app.close())
  })
})

describe('under a steady load of overwrites', () => {
  test('the disk holds at most twice what lives, and the log between two snapshots', {
    tags: ['slow'],
  }, async () => {
    const { world, app } = await startedWithSnapshots()
    let most = 0
    for (let round = 0; round < 60; round++) {
      await overwrite(world, app, 20, 20 * round)
      most = Math.max(most, bytesIn(world, folders.wal) + bytesIn(world, folders.snapshots))
    }
    const live = 4 * 8 * KiB
    // The log that calls for a snapshot, what came while it was made, the segment that fills and its
    // spare, MANIFEST; two snapshots while one replaces the other.
    expect(most).toBeLessThan(512 * KiB + 20 * 8 * KiB + 4 * segmentBytes + 2 * (live + 8 * KiB))
    expect(app.store.get('k3')).toBe(textOf(1_199))
    await world.during(app.close())
  })
})
