/**
 * Fact's write-ahead log is the model of this interface. It has thirteen known defects. Each is a
 * claim here, with its number in the list.
 */
import { describe, expect, test } from 'vitest'
import type { Wal } from '../../../src/storage/wal/wal.ts'
import { dir, segmentsOn } from '../../support/worlds/logs.ts'
import {
  bytesOf,
  filesOn,
  openedWal,
  outcome,
  readAll,
  type WalWorld,
  walWorld,
} from '../../support/worlds/wals.ts'

const types = async (wal: Wal): Promise<unknown[]> => (await readAll(wal)).map(({ type }) => type)

const append = async (wal: Wal, count: number, size = 600, first = 0): Promise<void> => {
  for (let at = first; at < first + count; at++) await wal.append(at, bytesOf(at, size))
}

const unclosed = async (count: number, size = 600): Promise<WalWorld> => {
  const world = walWorld()
  await append(await world.open({ maxFileSize: 64 * 1024 }), count, size)
  world.disk.crash({ unsynced: 'kept' })
  return world
}

describe('of the defects of Fact’s log', () => {
  test('(1) an answer before the fsync: an answered entry survives a power cut that loses everything unsynced', async () => {
    const { world, wal } = await openedWal()
    for (let at = 0; at < 30; at++) {
      await wal.append(at, bytesOf(at, 500))
      const disk = world.disk.clone()
      disk.crash({ unsynced: 'lost' })
      expect((await types(await world.on(disk).open())).at(-1)).toBe(at)
    }
  })

  test('(2) a swallowed fsync error: every way that syncs rejects', async () => {
    for (const call of [
      (wal: Wal) => wal.append(1, bytesOf(1)),
      (wal: Wal) => wal.createCheckpoint(),
      (wal: Wal) => wal.close(),
    ]) {
      const { disk, wal } = await openedWal()
      disk.inject({ at: 1, operation: 'sync', path: '.wal', fault: { kind: 'error' } })
      expect(['UNKNOWN_OUTCOME', 'SHARD_DOWN']).toContain(await outcome(call(wal)))
    }
    const { disk, wal } = await openedWal({ enableFsync: false })
    await wal.append(1, bytesOf(1))
    disk.inject({ at: 1, operation: 'sync', fault: { kind: 'error' } })
    expect(await outcome(wal.sync())).toBe('UNKNOWN_OUTCOME')
  })

  test('(3) a decoder that throws: whatever the segment holds, opening, repair and verify fail with a code', async () => {
    const codes = new Set<string>()
    for (let seed = 1; seed <= 60; seed++) {
      const world = await unclosed(3)
      const segment = segmentsOn(world.disk)[0] ?? ''
      const noise = Uint8Array.from({ length: 300 }, (_, at) => (at * seed * 97 + seed) & 0xff)
      world.disk.poke(segment, 4096 + 50 * seed, noise)
      for (const call of [() => world.verify(), () => world.repair(), () => world.open()])
        codes.add(await outcome(call()))
    }
    expect([...codes].sort()).toEqual(['CORRUPT', 'resolved'])
  })

  test('(4) a torn tail that is appended to: it is cut before the first entry', async () => {
    const world = await unclosed(3)
    const segment = segmentsOn(world.disk)[0] ?? ''
    const end = world.disk.contents(segment).findLastIndex((byte) => byte !== 0)
    world.disk.poke(segment, end, Uint8Array.of(0))
    const wal = await world.open()
    expect(wal.report).toMatchObject({ tail: 'torn', lastLsn: 2 })
    await wal.append(9, bytesOf(9))
    world.disk.crash({ unsynced: 'lost' })
    expect(await types(await world.open())).toEqual([0, 1, 9])
  })

  test('(5) LSNs that restart: they continue from the last one, whichever segments are empty', async () => {
    const world = walWorld()
    const seen: number[] = []
    for (let life = 0; life < 6; life++) {
      const wal = await world.open()
      if (life % 2 === 0) seen.push((await wal.writeEntry(bytesOf(life))).lsn)
      if (life === 2) seen.push(await wal.createCheckpoint())
      if (life % 3 === 0) world.disk.crash()
      else await wal.close()
    }
    expect(seen).toEqual([...new Set(seen)].sort((one, other) => one - other))
    const wal = await world.open()
    expect(await readAll(wal, { fromCheckpoint: true })).toHaveLength(1)
  })

  test('(6) segments that are dropped by count: without a checkpoint and a release none ever is', async () => {
    const { disk, wal } = await openedWal()
    await append(wal, 100)
    expect(segmentsOn(disk).length).toBeGreaterThan(20)
    await wal.release(10_000)
    expect(await types(wal)).toHaveLength(100)
  })

  test('(7) a repair in place: the segment is not changed before its frames are safe elsewhere', async () => {
    const world = await unclosed(3)
    const segment = segmentsOn(world.disk)[0] ?? ''
    const end = world.disk.contents(segment).findLastIndex((byte) => byte !== 0)
    world.disk.poke(segment, end, Uint8Array.of(0))
    const calls = world.disk.recordCalls()
    await world.repair()
    const changes = calls.filter(({ operation }) => operation !== 'read')
    const renamed = changes.findIndex(({ operation }) => operation === 'rename')
    const cut = changes.findIndex((call) => call.operation === 'truncate' && call.path === segment)
    expect(renamed).toBeGreaterThan(-1)
    expect(cut).toBeGreaterThan(renamed)
    expect(changes.filter((call) => call.path === segment && call.operation === 'write')).toEqual(
      [],
    )
  })

  test('(8) damage in the middle that is taken for the end: it is CORRUPT, and nothing is changed', async () => {
    const world = await unclosed(10)
    world.disk.poke(segmentsOn(world.disk)[0] ?? '', 4096 + 1024, new Uint8Array(1024))
    const before = filesOn(world.disk)
    expect(await outcome(world.repair())).toBe('CORRUPT')
    expect(await outcome(world.open())).toBe('CORRUPT')
    expect(filesOn(world.disk)).toEqual(before)
  })

  test('(9) holes between segments: a missing one is found, by opening and while reading', async () => {
    const { world, wal } = await openedWal()
    await append(wal, 40)
    const [, , third = ''] = segmentsOn(world.disk)
    world.disk.remove(third)
    expect(await outcome(readAll(wal))).toBe('SHARD_DOWN')
    world.disk.crash({ unsynced: 'kept' })
    expect(await outcome(world.open())).toBe('CORRUPT')
  })

  test('(10) a checksum that leaves out flag and length: any bit of a proven frame that changes is found', async () => {
    const { world, wal } = await openedWal()
    await append(wal, 2, 40)
    await wal.close()
    const segment = segmentsOn(world.disk)[0] ?? ''
    for (let bit = 0; bit < (32 + 12 + 40) * 8; bit++) {
      const disk = world.disk.clone()
      disk.flipBit(segment, 4096 * 8 + bit)
      expect(await outcome(world.on(disk).open()), `bit ${bit}`).toBe('CORRUPT')
    }
  })

  test('(11) entries of a batch that are applied twice: a read continues after the last applied one', async () => {
    const world = walWorld()
    const applied: unknown[] = []
    let position = 0
    const catchUp = async (wal: Wal, most: number): Promise<void> => {
      for await (const { lsn, type } of wal.readFrom(position + 1)) {
        applied.push(type)
        position = lsn
        if (--most === 0) break
      }
    }
    await append(await world.open(), 20)
    world.disk.crash()
    await catchUp(await world.open(), 7)
    world.disk.crash()
    await catchUp(await world.open(), 100)
    expect(applied).toEqual(Array.from({ length: 20 }, (_, at) => at))
  })

  test('(12) content that must be decoded to be read: any bytes are read unchanged', async () => {
    const { world, wal } = await openedWal()
    const contents = [
      Uint8Array.of(),
      Uint8Array.of(0, 0, 0, 0),
      Uint8Array.from({ length: 256 }, (_, at) => at),
      new TextEncoder().encode('{"__proto__": null'),
      // A whole segment, which begins with frames of this log.
      world.disk.contents(segmentsOn(world.disk)[0] ?? '').slice(0, 2000),
    ]
    for (const bytes of contents) await wal.writeEntry(bytes)
    world.disk.crash()
    const found: Uint8Array[] = []
    for await (const { bytes } of (await world.open()).readAll()) found.push(Uint8Array.from(bytes))
    expect(found).toEqual(contents)
  })

  test('(13) the whole log in memory: at most two pieces of 256 KiB are ahead of the reader', async () => {
    const { disk, wal } = await openedWal({ maxFileSize: 1024 * 1024 })
    await Promise.all(Array.from({ length: 2000 }, (_, at) => wal.append(at, bytesOf(at, 2000))))
    const calls = disk.recordCalls()
    const reading = wal.readAll()
    await reading.next()
    const read = calls
      .filter(({ operation }) => operation === 'read')
      .reduce((sum, { bytes = 0 }) => sum + bytes, 0)
    expect(read).toBeLessThanOrEqual(1024 * 1024)
    let count = 1
    for await (const _ of reading) count++
    expect(count).toBe(2000)
    expect(disk.list(dir).filter((name) => name.endsWith('.wal')).length).toBeGreaterThan(3)
  })
})
