/**
 * The levels of answers, and the marker of an idle log. The numbers refer to
 * `test/evidence/log.md`.
 */
import { describe, expect, test } from 'vitest'
import { bytesOf, openedWal, outcome, readAll, walWorld } from '../../support/worlds/wals.ts'

describe('levels', () => {
  test('without fsync each answer has the level written, and only sync, a roll and close sync', async () => {
    const { world, wal } = await openedWal({ enableFsync: false })
    const { syncs } = world.disk
    expect(await wal.writeEntry(bytesOf(1))).toEqual({ lsn: 1, level: 'written' })
    await world.clock.advance(10_000)
    expect(world.disk.syncs).toBe(syncs)
    expect(await wal.sync()).toEqual({ durableLsn: 1 })
    expect(world.disk.syncs).toBe(syncs + 1)
    await wal.sync()
    expect(world.disk.syncs).toBe(syncs + 1)
    expect(await wal.describe()).toMatchObject({ level: 'written' })
  })

  test('with an interval of 1 ms the log syncs after 10 ms, once for all written entries', async () => {
    const { clock, disk, wal } = await openedWal({ syncInterval: 1, idleMarkerMs: 0 })
    const { syncs } = disk
    for (let at = 0; at < 5; at++)
      expect(await wal.writeEntry(bytesOf(at))).toEqual({ lsn: at + 1, level: 'written' })
    await clock.advance(9)
    expect(disk.syncs).toBe(syncs)
    await clock.advance(1)
    expect(disk.syncs).toBe(syncs + 1)
    expect(await wal.describe()).toMatchObject({ durableLsn: 5 })
    await clock.advance(1000)
    expect(disk.syncs).toBe(syncs + 1)
  })

  test('a sync covers everything that was called before it, and waits for it', async () => {
    const { world, wal } = await openedWal({ enableFsync: false })
    const entries = [1, 2, 3].map((number) => wal.writeEntry(bytesOf(number)))
    expect(await wal.sync()).toEqual({ durableLsn: 3 })
    world.disk.crash({ unsynced: 'lost' })
    await Promise.all(entries)
    expect(await readAll(await world.open())).toHaveLength(3)
  })
})

describe('idleness', () => {
  test('of 100 ms writes one marker, after which damage to the last entry is CORRUPT', {
    tags: ['E43'],
  }, async () => {
    const { world, wal } = await openedWal()
    await wal.writeEntry(bytesOf(1, 600))
    const unmarked = world.disk.clone()
    await world.clock.advance(99)
    const { writes } = world.disk
    await world.clock.advance(1)
    expect(world.disk.writes).toBe(writes + 1)
    await world.clock.advance(60_000)
    expect(world.disk.writes).toBe(writes + 1)
    expect(await readAll(wal)).toHaveLength(1)

    const damaged = (disk: typeof world.disk) => {
      const [segment = ''] = disk.list('/data/wal').filter((name) => name.endsWith('.wal'))
      disk.flipBit(`/data/wal/${segment}`, (4096 + 100) * 8)
      return outcome(world.on(disk).open())
    }
    expect(await damaged(unmarked)).toBe('resolved')
    expect(await damaged(world.disk.clone())).toBe('CORRUPT')
  })

  test('that ends while a group is on its way to the disk is marked when the next one ends', async () => {
    const { clock, disk, open } = walWorld({ delayMs: 80 })
    const opening = open()
    await clock.advance(1_000)
    const wal = await opening
    const { writes } = disk
    const first = wal.writeEntry(bytesOf(1))
    await clock.advance(80)
    await first
    await clock.advance(60)
    const second = wal.writeEntry(bytesOf(2))
    await clock.advance(80)
    await second
    await clock.advance(99)
    expect(disk.writes - writes).toBe(2)
    await clock.advance(1_000)
    expect(disk.writes - writes).toBe(3)
  })

  test('writes no marker into an unused log', async () => {
    const { clock, open } = walWorld()
    await open()
    expect(clock.untilNext()).toBeUndefined()
  })
})
