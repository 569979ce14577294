/** Opening a log as a library, and what it refuses. */
import { describe, expect, test } from 'vitest'
import { Wal, type WalOptions } from '../../../src/storage/wal/wal.ts'
import { openWalFiles } from '../../../src/storage/wal/wal-opening.ts'
import { checkWalOptions } from '../../../src/storage/wal/wal-options.ts'
import { repairWal } from '../../../src/storage/wal/wal-repair.ts'
import { dir, segmentsOn } from '../../support/worlds/logs.ts'
import {
  bytesOf,
  filesOn,
  openedWal,
  outcome,
  readAll,
  walWorld,
} from '../../support/worlds/wals.ts'

describe('options', () => {
  test.each([
    ['maxFileSize', 1024],
    ['maxFileSize', 2 ** 31],
    ['maxSegments', 4],
    ['syncInterval', -1],
    ['maxDelayMs', 60_001],
    ['idleMarkerMs', Number.NaN],
    ['queueBytes', 1],
    ['sectorBytes', 1024],
    ['minDurable', -1],
    ['enableFsync', 'yes'],
    ['dir', ''],
    ['fsync', true],
  ])('refuse %s of %s with CONFIG, and nothing is made', async (name, value) => {
    // Options of a program without types, or of a configuration file.
    const options = { dir: '/nowhere/at/all', [name]: value } as unknown as WalOptions
    await expect(Wal.open(options)).rejects.toMatchObject({
      code: 'CONFIG',
      details: { path: name, expected: expect.any(String) },
    })
  })

  test('that are invalid are CONFIG', async () => {
    const open = Wal.open as (options?: unknown) => Promise<Wal>
    expect(await outcome(open())).toBe('CONFIG')
    expect(await outcome(open({}))).toBe('CONFIG')
    expect(await outcome(open(dir))).toBe('CONFIG')
  })
})

describe('a folder', () => {
  test.each(['before the first read', 'after the creation'])(
    'whose LOCK is replaced %s is not used, and no file of the other process changes',
    async (moment) => {
      const { disk, clock, ports } = walWorld()
      const lock = `${dir}/LOCK`
      const steal = () => {
        disk.remove(lock)
        disk.lock(lock, 'theirs')
        const file = disk.open(`${dir}/theirs`, 'create')
        file.close()
      }
      const makeHost = () => {
        const host = ports.makeHost()
        if (moment === 'before the first read') steal()
        const run: typeof host.run = async (kind, request) => {
          const answer = await host.run(kind, request)
          if (kind === 'create') steal()
          return answer
        }
        return { ...host, run }
      }

      const opening = outcome(openWalFiles(checkWalOptions({ dir }), { disk, clock, makeHost }))

      expect(await opening).toBe('SHARD_DOWN')
      expect(disk.list(dir)).toEqual(expect.arrayContaining(['LOCK', 'theirs']))
      const wasMade = moment === 'after the creation'
      expect(disk.list(dir).includes('MANIFEST')).toBe(wasMade)
      expect(() => disk.lock(lock, 'a third')).toThrow(
        expect.objectContaining({ code: 'LOCKED_DIR' }),
      )
    },
  )

  test('is LOCKED_DIR with its holder while it is open, until a close or the death of the process or machine', {
    tags: ['E30'],
  }, async () => {
    const { world, wal } = await openedWal()
    await expect(world.open()).rejects.toMatchObject({
      code: 'LOCKED_DIR',
      details: { holder: { log: 'keelson/wal', since: expect.any(Number) } },
    })
    expect(await outcome(world.repair())).toBe('LOCKED_DIR')
    await wal.close()
    await world.open()
    world.disk.killProcess()
    await world.open()
    world.disk.crash()
    await world.open()
  })

  test('that was missing is missing again when the opening fails at any call', {
    tags: ['slow'],
  }, async () => {
    const tried = walWorld()
    const calls = tried.disk.recordCalls()
    await tried.open()
    for (let at = 1; at <= calls.length; at++) {
      const world = walWorld()
      world.disk.inject({ at, fault: { kind: 'error', code: 'ENOSPC' } })
      const result = await outcome(world.open())
      world.disk.clearFaults()
      if (result === 'resolved') continue
      expect(['NO_SPACE', 'SHARD_DOWN'], `call ${at}`).toContain(result)
      if (result === 'NO_SPACE') expect(filesOn(world.disk).size, `call ${at}`).toBe(0)
      expect(await outcome(world.open()), `after call ${at}`).toBe('resolved')
    }
  })

  test('is READ_ONLY with nothing changed if it cannot be written', async () => {
    const { world, wal } = await openedWal()
    await wal.append(1, bytesOf(1))
    world.disk.crash({ unsynced: 'kept' })
    const before = filesOn(world.disk)
    world.disk.readOnly = true
    expect(await outcome(world.open())).toBe('READ_ONLY')
    expect(await outcome(world.repair())).toBe('READ_ONLY')
    world.disk.readOnly = false
    expect(filesOn(world.disk)).toEqual(before)
    expect(await readAll(await world.open())).toHaveLength(1)
  })

  test('is NO_SPACE with nothing changed if a segment does not fit', async () => {
    const { world, wal } = await openedWal()
    await wal.append(1, bytesOf(1))
    world.disk.crash({ unsynced: 'kept' })
    const before = filesOn(world.disk)
    world.disk.capacityBytes = 2 ** 40
    world.disk.capacityBytes -= world.disk.freeBytes
    expect(await outcome(world.open())).toBe('NO_SPACE')
    expect(filesOn(world.disk)).toEqual(before)
  })

  test('is CONFIG if it is a file or below one', async () => {
    const world = walWorld()
    world.disk.makeFolder('/data')
    world.disk.open(dir, 'create').close()
    expect(await outcome(world.open())).toBe('CONFIG')
  })

  test('of a store’s shard is CONFLICT: the store owns it', async () => {
    const world = walWorld()
    world.disk.makeFolder(dir)
    world.disk.open('/keelson.json', 'create').close()
    expect(await outcome(world.open())).toBe('CONFLICT')
    expect(await outcome(world.repair())).toBe('CONFLICT')
    expect(world.disk.list(dir)).toEqual([])

    const shard = '/deep/data/shard-0/wal'
    world.disk.makeFolder(shard)
    world.disk.open('/deep/data/keelson.json', 'create').close()
    expect(await outcome(repairWal(shard, world.ports))).toBe('CONFLICT')
  })

  test('of a store’s shard is CONFLICT by its name in any case', async () => {
    const { disk, ports } = walWorld()
    disk.makeFolder('/data')
    disk.makeFolder('/data/shard-0')
    disk.open('/data/keelson.json', 'create').close()
    const settings = checkWalOptions({ dir: '/data/shard-0/WAL' })
    expect(await outcome(openWalFiles(settings, ports))).toBe('CONFLICT')
    expect(disk.list('/data/shard-0')).toEqual([])
  })

  test('of a program may be in the data folder of a store, beside its shards', async () => {
    const world = walWorld()
    world.disk.makeFolder('/data')
    world.disk.open('/data/keelson.json', 'create').close()
    const settings = checkWalOptions({ dir: '/data/logs/audit' })
    expect(await outcome(openWalFiles(settings, world.ports))).toBe('resolved')
  })

  test('is CORRUPT with file, offset, lsn and evidence if it is damaged, and nothing is changed', async () => {
    const { world, wal } = await openedWal()
    for (let at = 0; at < 5; at++) await wal.append(at, bytesOf(at, 300))
    await wal.close()
    const segment = segmentsOn(world.disk).at(-1) ?? ''
    world.disk.flipBit(segment, (4096 + 700) * 8)
    const before = filesOn(world.disk)
    await expect(world.open()).rejects.toMatchObject({
      code: 'CORRUPT',
      details: {
        file: segment.split('/').at(-1),
        offset: expect.any(Number),
        lsn: expect.any(Number),
        evidence: expect.any(String),
      },
    })
    expect(filesOn(world.disk)).toEqual(before)
    expect(world.disk.list(dir)).toContain('LOCK')
  })
})

describe('a folder in memory', () => {
  test('is opened, and the report warns that nothing in it survives a power cut', {
    tags: ['E57'],
  }, async () => {
    const world = walWorld()
    const first = await world.open()
    expect(first.report.remarks).toEqual([])
    await first.close()
    world.disk.volatile = true

    const { report } = await world.open()
    expect(report.remarks).toEqual([expect.stringContaining('tmpfs')])
  })
})

describe('a crash', () => {
  test('at the end of a torn log, twice, keeps everything acknowledged, and the log accepts more', {
    tags: ['E17'],
  }, async () => {
    const world = walWorld({ seed: 3 })
    const acknowledged: number[] = []
    for (let life = 0; life < 12; life++) {
      const wal = await world.open()
      const found = (await readAll(wal)).map(({ type }) => Number(type))
      expect(found.filter((type) => type < 1000)).toEqual(acknowledged)
      await wal.append(life, bytesOf(life, 700))
      acknowledged.push(life)
      world.disk.inject({ at: 1, operation: 'sync', path: '.wal', fault: { kind: 'halt' } })
      expect(await outcome(wal.append(1000 + life, bytesOf(life, 300)))).toBe('UNKNOWN_OUTCOME')
      world.disk.crash()
    }
  })

  test('at any call of an opening: the next opening gives the same log', {
    tags: ['E19'],
  }, async () => {
    const { world, wal } = await openedWal()
    for (let at = 0; at < 12; at++) await wal.append(at, bytesOf(at, 600))
    world.disk.crash({ unsynced: 'kept' })
    const tried = world.disk.clone()
    const calls = tried.recordCalls()
    const expected = await readAll(await world.on(tried).open())
    const count = calls.length
    for (let at = 1; at <= count; at += 3) {
      const disk = world.disk.clone({ seed: at })
      disk.inject({ at, fault: { kind: 'halt' } })
      await outcome(world.on(disk).open())
      disk.crash()
      expect(await readAll(await world.on(disk).open()), `call ${at}`).toEqual(expected)
    }
  })
})

describe('minDurable', () => {
  test('above what is recovered is CORRUPT with nothing changed; at or below it opens', {
    tags: ['E42'],
  }, async () => {
    const { world, wal } = await openedWal()
    await wal.append(1, bytesOf(1))
    await wal.append(2, bytesOf(2))
    world.disk.crash()
    const before = filesOn(world.disk)
    await expect(world.open({ minDurable: 3 })).rejects.toMatchObject({ code: 'CORRUPT' })
    expect(filesOn(world.disk)).toEqual(before)
    expect((await world.open({ minDurable: 2 })).report.lastLsn).toBe(2)
  })

  test('above 0 refuses to create a log where one is lost', async () => {
    const world = walWorld()
    expect(await outcome(world.open({ minDurable: 1 }))).toBe('CORRUPT')
    expect(filesOn(world.disk).size).toBe(0)
  })
})
