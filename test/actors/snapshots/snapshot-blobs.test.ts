/** Blobs live as long as a value, a frame in the log, a kept snapshot or a write under way refers to them. */
import { describe, expect, test } from 'vitest'
import type { App } from '../../../src/index.ts'
import { payload } from '../../support/worlds/blob-folder.ts'
import {
  blobFiles,
  options as blobOptions,
  dir,
  swept,
} from '../../support/worlds/blob-instance.ts'
import { codeOf, type Machine, machine } from '../../support/worlds/simulated-instance.ts'
import {
  bytesIn,
  folders,
  heard,
  namesIn,
  options,
} from '../../support/worlds/snapshot-instance.ts'

const blob = (at: number): Buffer => Buffer.from(payload(at, 9_000))

/** An instance with blobs from 1,000 bytes on. Snapshots are made on request only. */
const started = async (keep = 1) => {
  const world = machine()
  const all = {
    ...options,
    ...blobOptions,
    snapshot: { minLogBytes: 2 ** 40, keep },
  }
  const app = await world.start(all)
  /** Rolls the segment, so that a snapshot gives the log before it back. */
  const fill = async (): Promise<void> => {
    for (let at = 0; at < 160; at++)
      await world.during(app.store.put('filler', `${at}`.padEnd(900, 'x')))
  }
  return { world, app, all, fill }
}

/** Overwrites bytes in the middle of a snapshot. */
const harmed = ({ disk }: Machine, name: string): void => {
  const path = `${folders.snapshots}/${name}`
  disk.poke(path, (disk.entry(path)?.size ?? 0) >> 1, Uint8Array.of(1, 2, 3))
}

describe('a blob', () => {
  test('of a value stays when the log has given its frame back', async () => {
    const { world, app, fill, all } = await started()
    await world.during(app.store.put('a', blob(1)))
    await fill()
    await world.during(app.control.snapshot(0))
    expect(await swept(world, app)).toMatchObject({ freedBytes: 0 })
    expect(app.store.get('a')).toEqual(blob(1))
    await world.during(app.close())
    world.projections.remove(folders.lmdb)
    const again = await world.start(all)
    expect(again.store.get('a')).toEqual(blob(1))
    expect(await swept(world, again)).toMatchObject({ freedBytes: 0 })
    expect(again.store.get('a')).toEqual(blob(1))
    await world.during(again.close())
  })

  test('of a deleted value goes at the sweep after the first snapshot without it', {
    tags: ['slow'],
  }, async () => {
    const { world, app, fill } = await started()
    await world.during(app.store.put('a', blob(1)))
    await fill()
    await world.during(app.control.snapshot(0))
    await world.during(app.store.delete('a'))
    // The log has no frame of it, but the snapshot has the value.
    expect(await swept(world, app)).toMatchObject({ freedBytes: 0 })
    await fill()
    await world.during(app.control.snapshot(0))
    expect(await swept(world, app)).toMatchObject({ segments: 1 })
    expect(blobFiles(world)).toEqual([])
    await world.during(app.close())
  })

  test('of a kept snapshot stays with `snapshot.keep`, and a start from it has the value', {
    tags: ['slow'],
  }, async () => {
    const { world, app, fill, all } = await started(2)
    await world.during(app.store.put('a', blob(1)))
    await fill()
    await world.during(app.control.snapshot(0))
    await world.during(app.store.append('a', 'more'))
    await world.during(app.store.delete('a'))
    await fill()
    await world.during(app.control.snapshot(0))
    expect(await swept(world, app)).toMatchObject({ freedBytes: 0 })
    await world.during(app.close())
    // From the older snapshot on, the append reads the blob.
    const [, newer = ''] = namesIn(world, folders.snapshots, '.snap')
    harmed(world, newer)
    world.projections.remove(folders.lmdb)
    const again = await world.start(all)
    expect(again.store.has('a')).toBe(false)
    expect(again.store.get('filler')).toBe('159'.padEnd(900, 'x'))
    await world.during(again.close())
  })

  test('of a frame in the log stays after a load, whose snapshot has no rows of blobs', async () => {
    const { world, app, all } = await started()
    await world.during(app.store.put('a', blob(1)))
    await world.during(app.store.delete('a'))
    await world.during(app.store.put('b', 1))
    // The one segment is still filled: the frames stay.
    await world.during(app.control.snapshot(0))
    await world.during(app.close())
    world.projections.remove(folders.lmdb)
    const again = await world.start(all)
    expect(await swept(world, again)).toMatchObject({ freedBytes: 0 })
    await world.during(again.close())
  })

  test('of the last frame that a snapshot has stays after a load of it', async () => {
    const { world, app, all } = await started()
    await world.during(app.store.batch().put('a', blob(1)).put('a', 1).commit())
    await world.during(app.control.snapshot(0))
    await world.during(app.close())
    world.projections.remove(folders.lmdb)
    const again = await world.start(all)
    expect(again.store.get('a')).toBe(1)
    expect(await swept(world, again)).toMatchObject({ freedBytes: 0 })
    await world.during(again.close())
  })

  test('of a frame in the log stays when the loaded projection is set back behind a newer snapshot', async () => {
    const { world, app, all } = await started()
    await world.during(app.store.put('a', blob(1)))
    await world.during(app.store.delete('a'))
    await world.during(app.control.snapshot(0))
    await world.during(app.store.put('b', 1))
    await world.during(app.close())
    world.projections.remove(folders.lmdb)
    const loaded = await world.start(all)
    // The segment ends with the frames of the close, and stays.
    await world.during(loaded.control.snapshot(0))
    await world.during(loaded.close())
    world.projections.loseCommits(folders.lmdb, 1_000)
    const again = await world.start(all)
    expect(again.store.get('b')).toBe(1)
    expect(await swept(world, again)).toMatchObject({ freedBytes: 0 })
    await world.during(again.close())
  })

  test('is not freed while a snapshot cannot be read', async () => {
    const { world, app, fill } = await started()
    await world.during(app.store.put('a', blob(1)))
    await fill()
    await world.during(app.control.snapshot(0))
    await world.during(app.store.delete('a'))
    const [name = ''] = namesIn(world, folders.snapshots, '.snap')
    harmed(world, name)
    expect(await codeOf(swept(world, app))).toBe('CORRUPT')
    expect(blobFiles(world)).toHaveLength(1)
    // It is made anew by itself, and has no such value.
    await world.clock.advance(5_000)
    await fill()
    await world.during(app.control.snapshot(0))
    expect(await swept(world, app)).toMatchObject({ segments: 1 })
    expect(blobFiles(world)).toEqual([])
    await world.during(app.close())
  })

  test('of a kept snapshot that is damaged goes, although the shard is quiet', {
    tags: ['slow'],
  }, async () => {
    const { world, app, fill } = await started(2)
    await world.during(app.store.put('a', blob(1)))
    await fill()
    await world.during(app.control.snapshot(0))
    await world.during(app.store.delete('a'))
    await fill()
    await world.during(app.control.snapshot(0))
    const [older = ''] = namesIn(world, folders.snapshots, '.snap')
    harmed(world, older)
    expect(await codeOf(swept(world, app))).toBe('CORRUPT')
    // The one that is made by itself replaces it.
    await world.clock.advance(5_000)
    expect(namesIn(world, folders.snapshots, '.snap')).toHaveLength(1)
    expect(await swept(world, app)).toMatchObject({ segments: 1 })
    expect(blobFiles(world)).toEqual([])
    await world.during(app.close())
  })

  test('leaves its row in the projection exactly as long as its frame is in the log', async () => {
    const { world, app, fill } = await started()
    const rows = () => [
      ...(app.shards[0]?.view().layers.projection.range({ gte: '\0b', lt: '\0c' }) ?? []),
    ]
    await world.during(app.store.put('a', blob(1)))
    await world.during(app.control.flushAll())
    expect(rows()).toHaveLength(1)
    await fill()
    await world.during(app.control.snapshot(0))
    await world.during(app.store.put('b', 1, { ack: 'projected' }))
    expect(rows()).toHaveLength(0)
    expect(app.store.get('a')).toEqual(blob(1))
    await world.during(app.close())
  })
})

describe('large values that are overwritten', () => {
  const KiB = 1024
  const large = (at: number): Buffer => Buffer.from(payload(at, 20 * KiB))
  const overwriting = async (world: Machine, app: App, count: number): Promise<void> => {
    for (let at = 0; at < count; at++) await world.during(app.store.put('k', large(at)))
    await world.clock.advance(1_000)
  }
  const all = {
    ...options,
    blobs: { threshold: 1_000, graceMs: 1, sweepMs: 10_000, segmentBytes: 256 * KiB },
  }

  test('call for snapshots by their own bytes, and the sweeps after them free what is replaced', {
    tags: ['slow'],
  }, async () => {
    const world = machine()
    const app = await world.start(all)
    await overwriting(world, app, 20)
    expect(app.health().shards[0]?.snapshot.last).toBeUndefined()
    await overwriting(world, app, 10)
    expect(app.health().shards[0]?.snapshot.last).toBeDefined()
    for (let round = 0; round < 6; round++) await overwriting(world, app, 30)
    await world.clock.advance(30_000)
    // 210 values of 20 KiB: two snapshots keep those since the older one.
    expect(bytesIn(world, dir)).toBeLessThan(3 * 512 * KiB)
    expect(app.store.get('k')).toEqual(large(29))
    await world.during(app.close())
  })

  test('are counted by the first sweep after a start', async () => {
    const world = machine()
    const app = await world.start({ ...all, snapshot: { minLogBytes: 4 * 512 * KiB } })
    await overwriting(world, app, 40)
    await world.during(app.close())
    const again = await world.start(all)
    expect(again.health().shards[0]?.snapshot.last).toBeUndefined()
    await world.clock.advance(12_000)
    expect(again.health().shards[0]?.snapshot.last).toBeDefined()
    await world.during(again.close())
  })

  test('ask for a snapshot when the disk has no room for them', async () => {
    const world = machine()
    const app = await world.start(all)
    const begun = heard(app, 'snapshot.started')
    await overwriting(world, app, 20)
    const fault = { kind: 'error', code: 'ENOSPC' } as const
    world.disk.inject({ at: 1, operation: 'sync', path: '/blobs/', fault })
    expect(await codeOf(world.during(app.store.put('k', large(1))))).toBe('NO_SPACE')
    await world.clock.advance(1_000)
    expect(begun).toMatchObject([{ reason: 'disk' }])
    await world.during(app.close())
  })
})
