/** How a shard opens when its projection is lost and the log does not begin with its first frame. */
import { describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import type { SnapshotHost } from '../../../src/storage/index.ts'
import type { App, StartOptions, StartProgress } from '../../../src/supervisors/index.ts'
import type { Machine } from '../../support/worlds/simulated-instance.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'
import {
  folders,
  namesIn,
  options,
  overwrite,
  startedWithSnapshots,
  textOf,
} from '../../support/worlds/snapshot-instance.ts'

/** A closed machine with a snapshot, log behind it, and none before it. */
const released = async (more: Partial<StartOptions> = {}, on = {}) => {
  const { world, app } = await startedWithSnapshots(more, on)
  for (let at = 0; at < 50; at++) await world.during(app.store.put(`old${at}`, textOf(at)))
  await overwrite(world, app, 100)
  await world.during(app.control.snapshot(0))
  await overwrite(world, app, 10, 100)
  await world.during(app.close())
  return world
}

const isWhole = (app: App): void => {
  for (let at = 0; at < 50; at++) expect(app.store.get(`old${at}`)).toBe(textOf(at))
  for (let at = 106; at < 110; at++) expect(app.store.get(`k${at % 4}`)).toBe(textOf(at))
  expect(app.store.range({ limit: 100 }).entries).toHaveLength(54)
}

const snapshotFile = (world: Machine): string => {
  const [name = ''] = namesIn(world, folders.snapshots, '.snap')
  return `${folders.snapshots}/${name}`
}

const harm = (world: Machine): void =>
  world.disk.poke(snapshotFile(world), 5_000, Uint8Array.of(1, 2, 3, 4))

const contentsOf = ({ disk }: Machine, dir: string): Map<string, Uint8Array> =>
  new Map(
    disk
      .list(dir)
      .filter((name) => name !== 'LOCK')
      .map((name) => [name, disk.contents(`${dir}/${name}`)]),
  )

describe('a shard whose log does not reach its first frame', () => {
  test('opens a sound projection as ever, and its snapshot is not even opened', async () => {
    const asked: string[] = []
    const around = (host: SnapshotHost): SnapshotHost => ({
      end: () => host.end(),
      run: (kind, request, onProgress) => {
        asked.push(kind)
        return host.run(kind, request, onProgress)
      },
    })
    const world = await released({}, { aroundSnapshots: around })
    asked.length = 0
    const app = await world.start(options)
    isWhole(app)
    expect(asked.filter((kind) => kind !== 'tidy')).toEqual([])
    await world.during(app.close())
  })

  test.each([
    ['lost', (world: Machine) => world.projections.remove(folders.lmdb)],
    ['damaged', (world: Machine) => world.projections.damage(folders.lmdb, 'a bit flipped')],
  ])('loads the snapshot and the log behind it when its projection is %s', async (_, hurt) => {
    const world = await released()
    hurt(world)
    const app = await world.start(options)
    isWhole(app)
    await world.during(app.control.flushAll())
    expect(app.health().shards[0]).toMatchObject({ phase: 'open', recovery: undefined })
    await world.during(app.close())
  })

  test('loads it when a damaged row is met, while it runs', async () => {
    const world = await released()
    const app = await world.start(options)
    await world.during(app.control.flushAll())
    world.projections.damageRow(folders.lmdb, 'old7')
    expect(() => app.store.get('old7')).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    await world.clock.advance(2_000)
    isWhole(app)
    await world.during(app.close())
  })

  test('tells how far the load is, and goes on with one that was interrupted', async () => {
    let loads = 0
    let clock: Machine['clock'] | undefined
    const around = (host: SnapshotHost): SnapshotHost => ({
      end: () => host.end(),
      run: async (kind, request, onProgress) => {
        if (kind !== 'load') return host.run(kind, request, onProgress)
        await new Promise<void>((go) => clock?.after(1_500, go))
        onProgress?.({ phase: 'load', rows: 7, bytes: 300_000 })
        const loading = host.run(kind, request, onProgress)
        // As by the death of its process.
        if (++loads === 1) void host.end()
        return loading
      },
    })
    const world = await released({}, { aroundSnapshots: around })
    clock = world.clock
    world.projections.remove(folders.lmdb)
    const told: StartProgress[] = []
    const app = await world.start({ ...options, onProgress: (each) => told.push(each) })
    isWhole(app)
    expect(loads).toBe(2)
    expect(told.flatMap(({ recovery }) => recovery ?? [])[0]).toMatchObject({
      source: 'snapshot',
      count: 7,
      bytes: 300_000,
      bytesPerSecond: 200_000,
      bytesOfAll: world.disk.entry(snapshotFile(world))?.size,
    })
    await world.during(app.close())
  })

  test('is refused with DEGRADED after `deadlineMs` if there is no room for the load', async () => {
    let isFull = true
    const around = (host: SnapshotHost): SnapshotHost => ({
      end: () => host.end(),
      run: (kind, request, onProgress) =>
        kind === 'load' && isFull
          ? Promise.reject(new KeelsonError('NO_SPACE', 'there is no room'))
          : host.run(kind, request, onProgress),
    })
    const world = await released({}, { aroundSnapshots: around })
    world.projections.remove(folders.lmdb)
    const began = world.clock.monotonic()
    expect(await codeOf(world.start({ ...options, deadlineMs: 3_000 }))).toBe('DEGRADED')
    expect(world.clock.monotonic() - began).toBeLessThan(5_000)
    isFull = false
    const app = await world.start(options)
    isWhole(app)
    await world.during(app.close())
  })

  test('is CORRUPT when the snapshot is damaged too, and nothing is changed', async () => {
    const world = await released()
    world.projections.remove(folders.lmdb)
    harm(world)
    const before = contentsOf(world, folders.wal)
    expect(await codeOf(world.start(options))).toBe('CORRUPT')
    expect(contentsOf(world, folders.wal)).toEqual(before)
    expect(namesIn(world, folders.snapshots, '.snap')).toHaveLength(1)
  })

  test('is CORRUPT when the snapshot is missing too', async () => {
    const world = await released()
    world.projections.remove(folders.lmdb)
    world.disk.remove(snapshotFile(world))
    expect(await codeOf(world.start(options))).toBe('CORRUPT')
  })

  test('uses the snapshot before a damaged one, when that is kept', async () => {
    const more = { snapshot: { minLogBytes: 512 * 1024, keep: 2 } }
    const world = await released(more)
    const names = namesIn(world, folders.snapshots, '.snap')
    expect(names).toHaveLength(2)
    world.disk.poke(`${folders.snapshots}/${names[1]}`, 5_000, Uint8Array.of(1, 2, 3, 4))
    world.projections.remove(folders.lmdb)
    const app = await world.start({ ...options, ...more })
    isWhole(app)
    // The damaged one is made anew by itself.
    await world.clock.advance(2_000)
    expect(app.health().shards[0]?.snapshot.failure).toBeUndefined()
    await world.during(app.close())
    world.projections.remove(folders.lmdb)
    const [older = ''] = namesIn(world, folders.snapshots, '.snap')
    world.disk.remove(`${folders.snapshots}/${older}`)
    const again = await world.start({ ...options, ...more })
    isWhole(again)
    await world.during(again.close())
  })

  test('is CORRUPT when the log does not begin right behind the snapshot', async () => {
    const world = await released()
    world.projections.remove(folders.lmdb)
    const [first = ''] = namesIn(world, folders.wal, '.wal')
    world.disk.remove(`${folders.wal}/${first}`)
    expect(await codeOf(world.start(options))).toBe('CORRUPT')
  })
})

describe('a snapshot that the log names and that is gone', () => {
  test('is told and made anew, while the projection is sound', async () => {
    const world = await released()
    world.disk.remove(snapshotFile(world))
    const app = await world.start(options)
    await world.clock.advance(1_000)
    expect(namesIn(world, folders.snapshots, '.snap')).toHaveLength(1)
    await world.during(app.close())
    world.projections.remove(folders.lmdb)
    const again = await world.start(options)
    isWhole(again)
    await world.during(again.close())
  })
})
