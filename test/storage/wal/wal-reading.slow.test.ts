/** Reading a log as a library while it is written, rolled, released and closed. */
import { describe, expect, test } from 'vitest'
import type { Wal, WalEntry } from '../../../src/storage/wal/wal.ts'
import { segmentsOn } from '../../support/worlds/logs.ts'
import { bytesOf, openedWal, outcome, readAll, shown, walWorld } from '../../support/worlds/wals.ts'

const fillWith = async (wal: Wal, count: number, size = 600, first = 1): Promise<number[]> => {
  const numbers = Array.from({ length: count }, (_, at) => first + at)
  const appended = await Promise.all(numbers.map((each) => wal.append(each, bytesOf(each, size))))
  return appended.map(({ lsn }) => lsn)
}

/** Takes `count` entries and keeps the read open. */
const take = async (
  reading: AsyncGenerator<WalEntry>,
  count = Number.POSITIVE_INFINITY,
): Promise<number[]> => {
  const types: number[] = []
  while (types.length < count) {
    const next = await reading.next()
    if (next.done) break
    types.push(next.value.type)
  }
  return types
}

describe('a read', () => {
  test('yields the entries from `from` to `to`, both included, without the control frames of rolls', async () => {
    const wal = await walWorld().open()
    const lsns = await fillWith(wal, 40)
    const [third = 0, tenth = 0] = [lsns[2], lsns[9]]
    expect((await readAll(wal, { from: third, to: tenth })).map(({ lsn }) => lsn)).toEqual(
      lsns.slice(2, 10),
    )
    expect((await take(wal.readFrom(tenth)))[0]).toBe(10)
    expect(await take(wal.readAll())).toHaveLength(40)
    expect(await readAll(wal, { from: 10_000 })).toEqual([])
    expect(await readAll(wal, { from: 5, to: 4 })).toEqual([])
    expect(await readAll(wal, { from: 0, to: 0 })).toEqual([])
  })

  test.each([
    { from: -1 },
    { from: 1.5 },
    { to: Number.NaN },
    { fromCheckpoint: 1 },
    { checkpoints: 'yes' },
    { backwards: true },
  ])('is refused with %j', async (options) => {
    const wal = await walWorld().open()
    const read = wal.read.bind(wal) as (options: unknown) => unknown
    expect(() => read(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  test('ends at the durable LSN of its start, and shows no entry that is not durable', {
    tags: ['D31'],
  }, async () => {
    const { world, wal } = await openedWal({ maxFileSize: 1024 * 1024, enableFsync: false })
    await fillWith(wal, 3)
    const reading = wal.readAll()
    expect(await take(reading, 1)).toEqual([1])
    await fillWith(wal, 3, 600, 4)
    expect(await take(reading)).toEqual([2, 3])
    // A read begins with a sync: the entries that it shows survive a power cut.
    expect(await take(wal.readAll())).toEqual([1, 2, 3, 4, 5, 6])
    world.disk.crash({ unsynced: 'lost' })
    expect(await readAll(await world.open())).toHaveLength(6)
  })

  test('continues through appends, rolls and releases, and nothing that it needs is removed', {
    tags: ['E47'],
  }, async () => {
    const { disk, wal } = await openedWal()
    await fillWith(wal, 400, 1500)
    const reading = wal.readAll()
    expect(await take(reading, 1)).toEqual([1])
    const before = segmentsOn(disk)
    const checkpoint = await wal.createCheckpoint()
    await fillWith(wal, 20, 1500, 401)
    await wal.release(checkpoint)
    const during = segmentsOn(disk)
    expect(during[0]).not.toBe(before[0])
    expect(await take(reading)).toEqual(Array.from({ length: 399 }, (_, at) => at + 2))
    await wal.release(checkpoint)
    expect(segmentsOn(disk).length).toBeLessThan(during.length - 10)
  })

  test('removes its pin when the loop ends early', async () => {
    const { disk, wal } = await openedWal()
    // More than one piece.
    await fillWith(wal, 400, 1500)
    for await (const { type } of wal.readAll()) if (type === 2) break
    const checkpoint = await wal.createCheckpoint()
    const { removed, firstLsn, removedBytes } = await wal.release(checkpoint)
    expect(removed).toBeGreaterThan(100)
    expect(removedBytes).toBeGreaterThan(400 * 1500)
    expect(segmentsOn(disk)).toHaveLength(1)
    expect((await wal.describe()).segments[0]?.baseLsn).toBe(firstLsn)
  })

  test('that begins during a release starts with the entries that remain', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const wal = await walWorld().open()
      await fillWith(wal, 40)
      const checkpoint = await wal.createCheckpoint()
      const [last] = await fillWith(wal, 1, 600, 41)
      const reading = wal.readAll()
      const first = reading.next()
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
      await wal.release(checkpoint)
      const { lsn } = (await first).value ?? { lsn: Number.NaN }
      expect(lsn, `after ${turns} turns`).toBeGreaterThan(0)
      let end = lsn
      for await (const entry of reading) end = entry.lsn
      expect(end).toBe(last)
    }
  })

  test('pins nothing before it begins', async () => {
    const { disk, wal } = await openedWal()
    await fillWith(wal, 40)
    wal.readAll()
    await wal.release(await wal.createCheckpoint())
    expect(segmentsOn(disk)).toHaveLength(1)
  })

  test('from before the first LSN is BAD_CURSOR, 0 too; `oldest`, as without `from`, begins there', async () => {
    const wal = await walWorld().open()
    await fillWith(wal, 40)
    const { firstLsn } = await wal.release(await wal.createCheckpoint())
    for (const from of [0, 1, firstLsn - 1])
      expect(await outcome(readAll(wal, { from }))).toBe('BAD_CURSOR')
    expect(await readAll(wal, { from: 'oldest' })).toEqual(await readAll(wal))
    expect(await readAll(wal)).toEqual(await readAll(wal, { from: firstLsn }))
  })

  test('is CLOSED if the log is closed meanwhile', async () => {
    const wal = await walWorld().open({ maxFileSize: 1024 * 1024 })
    await fillWith(wal, 300, 2000)
    const reading = wal.readAll()
    await take(reading, 1)
    await wal.close()
    expect(await outcome(take(reading))).toBe('CLOSED')
    expect(() => wal.readAll()).toThrow(expect.objectContaining({ code: 'CLOSED' }))
  })

  test('is CORRUPT at damage, with its place, after everything before it', async () => {
    const { disk, wal } = await openedWal()
    const lsns = await fillWith(wal, 40)
    const second = segmentsOn(disk)[1] ?? ''
    disk.flipBit(second, (4096 + 100) * 8)
    const found: number[] = []
    const reading = (async () => {
      for await (const { lsn } of wal.readAll()) found.push(lsn)
    })()
    await expect(reading).rejects.toMatchObject({
      code: 'CORRUPT',
      details: { file: second.split('/').at(-1), offset: expect.any(Number) },
    })
    expect(found).toEqual(lsns.slice(0, found.length))
    expect(await outcome(wal.writeEntry(bytesOf(1)))).toBe('resolved')
  })
})

test('a reader is at most two pieces of 256 KiB ahead, however long the log is', async () => {
  const { disk, wal } = await openedWal({ maxFileSize: 1024 * 1024 })
  await fillWith(wal, 2_000, 2_000)
  const calls = disk.recordCalls()
  await wal.readAll().next()
  const read = calls.filter(({ operation }) => operation === 'read')
  expect(read.reduce((sum, { bytes = 0 }) => sum + bytes, 0)).toBeLessThanOrEqual(1024 * 1024)
})

describe('a checkpoint', () => {
  test('keeps everything after it; a read from it begins right after it', {
    tags: ['E38'],
  }, async () => {
    const { world, wal } = await openedWal()
    await fillWith(wal, 20)
    const lsn = await wal.createCheckpoint(bytesOf(77))
    await fillWith(wal, 5, 600, 21)
    for (const again of [false, true]) {
      const log = again ? await reopened(world, wal) : wal
      const found = await readAll(log, { fromCheckpoint: true })
      expect(found.map(({ type }) => type)).toEqual([21, 22, 23, 24, 25])
      const [first] = await readAll(log, { fromCheckpoint: true, checkpoints: true })
      expect(first).toEqual({ lsn, type: 'checkpoint', bytes: shown(bytesOf(77)) })
      expect(await readAll(log)).toHaveLength(25)
    }
  })

  test('covers everything called before it, and appears among the entries on request', async () => {
    const wal = await walWorld().open()
    const first = wal.append(1, bytesOf(1))
    const checkpoint = wal.createCheckpoint()
    const second = wal.append(2, bytesOf(2))
    expect([(await first).lsn, await checkpoint, (await second).lsn]).toEqual([1, 2, 3])
    const types: unknown[] = []
    for await (const item of wal.read({ checkpoints: true }))
      types.push(item.type === 'checkpoint' ? item.coveredLsn : item)
    expect(types).toMatchObject([{ type: 1 }, 1, { type: 2 }])
  })

  test('is ignored if a roll or close wrote it: without one a read from it reads everything', async () => {
    const { world, wal } = await openedWal()
    await fillWith(wal, 20)
    const log = await reopened(world, wal)
    expect(await readAll(log, { fromCheckpoint: true, checkpoints: true })).toHaveLength(20)
  })

  test('is refused with nothing written if it is too large', async () => {
    const { disk, wal } = await openedWal()
    const { writes } = disk
    expect(await outcome(wal.createCheckpoint(new Uint8Array(8 * 1024)))).toBe('TOO_LARGE')
    expect(disk.writes).toBe(writes)
    expect(await wal.createCheckpoint()).toBe(1)
  })
})

describe('a release', () => {
  test('never passes the checkpoint, the given LSN or a reader', { tags: ['E39'] }, async () => {
    const { disk, wal } = await openedWal()
    const lsns = await fillWith(wal, 40)
    expect(await wal.release(lsns.at(-1) ?? 0)).toMatchObject({ removed: 0 })
    await wal.createCheckpoint()
    await fillWith(wal, 20, 600, 41)
    const tenth = lsns[9] ?? 0
    await wal.release(tenth)
    expect((await readAll(wal)).map(({ lsn }) => lsn)).toContain(lsns[10])
    const reading = wal.readFrom(lsns[20] ?? 0)
    await take(reading, 1)
    await wal.release(10_000)
    expect((await readAll(wal)).map(({ type }) => type)).toContain(41)
    expect(segmentsOn(disk).length).toBeGreaterThan(3)
    await reading.return(undefined)
  })

  test('is durable: the next opening does not miss the removed segments', async () => {
    const { world, wal } = await openedWal()
    await fillWith(wal, 40)
    const { firstLsn } = await wal.release(await wal.createCheckpoint())
    world.disk.crash()
    expect((await world.open()).report.firstLsn).toBe(firstLsn)
  })

  test('is refused for an invalid LSN', async () => {
    const wal = await walWorld().open()
    expect(await outcome(wal.release(-1))).toBe('INVALID_ARGUMENT')
    expect(await outcome(wal.release(Number.NaN))).toBe('INVALID_ARGUMENT')
  })
})

const reopened = async (world: ReturnType<typeof walWorld>, wal: Wal): Promise<Wal> => {
  await wal.close()
  return world.open()
}
