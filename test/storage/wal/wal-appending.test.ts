/** Appends to a log as a library. The numbers refer to `test/evidence/log.md`. */
import { describe, expect, test } from 'vitest'
import { entryHeaderBytes } from '../../../src/storage/frames/wal-entry.ts'
import { framePayloadMax } from '../../../src/storage/segments/log-limits.ts'
import {
  bytesOf,
  drive,
  openedWal,
  outcome,
  readAll,
  shown,
  smallSegment,
  walWorld,
} from '../../support/worlds/wals.ts'

const entryMax = framePayloadMax({ maxFileSize: smallSegment, sectorBytes: 512 }) - entryHeaderBytes

describe('an entry', () => {
  test('an empty folder opens as an empty log, made by the opening', { tags: ['E1'] }, async () => {
    const { world, wal } = await openedWal()
    expect(wal.report).toMatchObject({ created: true, lastLsn: 0, firstLsn: 1, cutBytes: 0 })
    expect(await readAll(wal)).toEqual([])
    await wal.close()
    expect((await world.open()).report).toMatchObject({ created: false, tail: 'clean', lastLsn: 2 })
  })

  test('is read with its LSN, its type and its bytes', { tags: ['E2'] }, async () => {
    const { world, wal } = await openedWal()
    expect(await wal.append(7, bytesOf(1))).toEqual({ lsn: 1 })
    expect(await wal.writeEntry(bytesOf(2))).toEqual({ lsn: 2 })
    expect(await wal.append(65_535, bytesOf(3))).toEqual({ lsn: 3 })
    await wal.close()

    expect(await readAll(await world.open())).toEqual([
      { lsn: 1, type: 7, bytes: shown(bytesOf(1)) },
      { lsn: 2, type: 0, bytes: shown(bytesOf(2)) },
      { lsn: 3, type: 65_535, bytes: shown(bytesOf(3)) },
    ])
  })

  test('may be empty, and as large as a segment allows', { tags: ['E3'] }, async () => {
    const { world, wal } = await openedWal()
    await wal.writeEntry(new Uint8Array(0))
    await wal.writeEntry(bytesOf(1, entryMax))
    await wal.close()
    const found = await readAll(await world.open())
    expect(found.map(({ bytes }) => bytes)).toEqual(['', shown(bytesOf(1, entryMax))])
  })

  test('is refused before any byte is written if it is larger', { tags: ['E4'] }, async () => {
    const { disk, wal } = await openedWal()
    await wal.writeEntry(bytesOf(1))
    const { writes } = disk
    await expect(wal.writeEntry(bytesOf(2, entryMax + 1))).rejects.toMatchObject({
      code: 'TOO_LARGE',
      details: { limit: entryMax, size: entryMax + 1 },
    })
    expect(disk.writes).toBe(writes)
    expect(await wal.writeEntry(bytesOf(3))).toEqual({ lsn: 2 })
  })

  test('of any size is read in order across rolls', { tags: ['E5'] }, async () => {
    const { world, wal } = await openedWal()
    const sizes = Array.from({ length: 300 }, (_, at) => (at * 7919) % 2500)
    const lsns = await Promise.all(sizes.map((size, at) => wal.append(at, bytesOf(at, size))))
    expect(wal.report.segments).toBe(1)
    expect((await wal.describe()).segments.length).toBeGreaterThan(20)
    await wal.close()

    const expected = sizes.map((size, at) => ({
      lsn: lsns[at]?.lsn,
      type: at,
      bytes: shown(bytesOf(at, size)),
    }))
    expect(await readAll(await world.open())).toEqual(expected)
  })

  test('is there with everything acknowledged before it, or not at all, wherever its group is cut', {
    tags: ['slow', 'E6'],
  }, async () => {
    const { world, wal } = await openedWal()
    await wal.writeEntry(bytesOf(1))
    const before = world.disk.clone()
    world.disk.recordCalls()
    await Promise.all([2, 3, 4].map((number) => wal.append(number, bytesOf(number, 700))))
    const path = world.disk.list('/data/wal').find((name) => name.endsWith('.wal'))
    const file = `/data/wal/${path}`
    const [old, full] = [before.contents(file), world.disk.contents(file)]
    const first = full.findIndex((byte, at) => byte !== old[at])
    const end = full.findLastIndex((byte, at) => byte !== old[at]) + 1
    for (let cut = first; cut <= end; cut += 13) {
      const disk = before.clone()
      disk.poke(file, first, full.subarray(first, cut))
      const found = await readAll(await world.on(disk).open())
      const all = [1, 2, 3, 4].map((number) => shown(bytesOf(number, number === 1 ? 40 : 700)))
      expect(
        found.map(({ bytes }) => bytes),
        `cut at ${cut}`,
      ).toEqual(all.slice(0, found.length))
      expect(found.length).toBeGreaterThan(0)
    }
  })

  test('is copied at once, so the caller can reuse its bytes', async () => {
    const wal = await walWorld().open()
    const bytes = bytesOf(1)
    const appended = wal.writeEntry(bytes)
    bytes.fill(0)
    await appended
    expect(await readAll(wal)).toMatchObject([{ bytes: shown(bytesOf(1)) }])
  })

  test('has its options read once, as they were checked', async () => {
    const wal = await walWorld().open()
    const signals = [undefined, AbortSignal.abort()]
    const options = {
      get signal(): AbortSignal {
        return signals.shift() as AbortSignal
      },
    }
    expect(await wal.append(1, bytesOf(1), options)).toMatchObject({ lsn: 1 })
  })

  test.each([
    ['a type that is no number', () => ['x', bytesOf(1)]],
    ['a type below 0', () => [-1, bytesOf(1)]],
    ['a type beyond 65,535', () => [65_536, bytesOf(1)]],
    ['text for bytes', () => [1, 'text']],
    ['an option that there is not', () => [1, bytesOf(1), { later: true }]],
    ['a signal that is none', () => [1, bytesOf(1), { signal: {} }]],
    ['a deadline in the past', () => [1, bytesOf(1), { deadlineMs: -1 }]],
    ['another way to wait', () => [1, bytesOf(1), { whenFull: 'drop' }]],
  ])('is refused with %s', async (_, args) => {
    const { disk, wal } = await openedWal()
    const { writes } = disk
    // Arguments of a program without types.
    const append = wal.append.bind(wal) as (...args: unknown[]) => Promise<unknown>
    expect(await outcome(append(...args()))).toBe('INVALID_ARGUMENT')
    expect(disk.writes).toBe(writes)
  })
})

describe('appends', () => {
  test('settle in the order of their LSNs, which is the order of the calls', {
    tags: ['E7'],
  }, async () => {
    const wal = await walWorld().open()
    const settled: number[] = []
    const calls = Array.from({ length: 200 }, async (_, at) => {
      const { lsn } = await wal.append(at, bytesOf(at, (at * 37) % 900))
      settled.push(lsn)
      return lsn
    })
    const lsns = await Promise.all(calls)
    expect(settled).toEqual([...settled].sort((one, other) => one - other))
    expect(lsns).toEqual(settled)
    expect(new Set(lsns).size).toBe(200)
  })

  test('wait for the sync of their group, and are synced when they resolve', {
    tags: ['E8'],
  }, async () => {
    const world = walWorld({ delayMs: 50 })
    const { clock, disk } = world
    const wal = await world.open()
    let isSettled = false
    const { syncs } = disk
    const appended = wal.writeEntry(bytesOf(1)).then(() => {
      isSettled = true
    })
    await clock.advance(49)
    expect(isSettled).toBe(false)
    await clock.advance(1)
    expect(isSettled).toBe(true)
    expect(disk.syncs).toBe(syncs + 1)
    await appended
    disk.crash({ unsynced: 'lost' })
    expect(await drive(clock, readAll(await world.open()))).toHaveLength(1)
  })

  test.each([
    ['alike', 1],
    ['each in its own way', 5],
  ])(
    'of 64 writers that come again %s share one sync a round',
    { tags: ['E9'] },
    async (_, ways) => {
      const { disk, wal } = await openedWal({ maxFileSize: 1024 * 1024, idleMarkerMs: 0 })
      const { syncs } = disk
      // Callers have more or fewer functions of their own around the call, so they come more or fewer
      // microtasks later.
      const behind = async (functions: number, type: number): Promise<void> => {
        if (functions > 0) return behind(functions - 1, type)
        await wal.append(type, bytesOf(type))
      }
      const writer = async (number: number): Promise<void> => {
        for (let round = 0; round < 20; round++) await behind(number % ways, number)
      }
      await Promise.all(Array.from({ length: 64 }, (_, number) => writer(number)))
      expect(disk.syncs - syncs).toBeLessThanOrEqual(22)
      expect(await wal.describe()).toMatchObject({ lastLsn: 64 * 20 })
    },
  )

  test('wait for no timer when they are alone', { tags: ['E10'] }, async () => {
    const { clock, wal } = await openedWal({ idleMarkerMs: 0 })
    await wal.writeEntry(bytesOf(1))
    expect(clock.untilNext()).toBeUndefined()
  })

  test('wait up to maxDelayMs for their group to fill, and a sync does not wait', async () => {
    const { clock, disk, wal } = await openedWal({ maxDelayMs: 30, idleMarkerMs: 0 })
    const { syncs } = disk
    const first = wal.writeEntry(bytesOf(1))
    await clock.advance(29)
    const second = wal.writeEntry(bytesOf(2))
    expect(disk.syncs).toBe(syncs)
    await clock.advance(1)
    await Promise.all([first, second])
    expect(disk.syncs).toBe(syncs + 1)
    const third = wal.writeEntry(bytesOf(3))
    expect(await wal.sync()).toEqual({ durableLsn: 3 })
    expect(await third).toEqual({ lsn: 3 })
  })

  test('are stamped with a time that never goes back', { tags: ['D27'] }, async () => {
    const { world, wal } = await openedWal()
    await world.clock.advance(60_000)
    await wal.writeEntry(bytesOf(1))
    await wal.close()
    // The new clock starts a minute earlier.
    const later = await world.on(world.disk).open()
    await later.writeEntry(bytesOf(2))
    const times: number[] = []
    for await (const { time } of later.readAll()) times.push(time)
    expect(times[0]).toBeGreaterThan(60_000)
    expect(times[1]).toBeGreaterThanOrEqual(times[0] ?? Number.NaN)
  })
})
