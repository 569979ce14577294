/** What a power cut leaves of files on the simulated disk: what was synced, and of the rest anything that a disk may leave. */
import { describe, expect, test } from 'vitest'
import { codeOf } from '../../support/error-codes.ts'
import {
  diskWith,
  filled,
  overwrite,
  sectorBytes,
  seeds,
} from '../../support/worlds/simulated-disks.ts'

describe('a power cut on the simulated disk', () => {
  test('spares what was synced, whatever the seed', () => {
    for (const seed of seeds) {
      const disk = diskWith(filled(5000, 1), seed)
      overwrite(disk, filled(2000, 2), 1000).sync()
      disk.crash()

      const expected = filled(5000, 1)
      expected.fill(2, 1000, 3000)
      expect(disk.contents('/a'), `seed ${seed}`).toEqual(expected)
    }
  })

  test('spares the sectors that no unsynced write touched', () => {
    for (const seed of seeds) {
      const disk = diskWith(filled(8 * sectorBytes, 1), seed)
      overwrite(disk, filled(sectorBytes + 2, 2), 3 * sectorBytes - 1)
      disk.crash()

      const after = disk.contents('/a')
      expect(after.length, `seed ${seed}`).toBe(8 * sectorBytes)
      expect(after.subarray(0, 2 * sectorBytes)).toEqual(filled(2 * sectorBytes, 1))
      expect(after.subarray(5 * sectorBytes)).toEqual(filled(3 * sectorBytes, 1))
    }
  })

  test('keeps, loses, tears and garbles sectors, each at some seed, also with holes between', () => {
    const seen = new Set<string>()
    for (const seed of seeds) {
      const disk = diskWith(filled(4 * sectorBytes, 1), seed)
      overwrite(disk, filled(4 * sectorBytes, 2), 0)
      disk.crash()

      const after = disk.contents('/a')
      const fates = [0, 1, 2, 3].map((sector) => {
        const values = new Set(after.subarray(sector * sectorBytes, (sector + 1) * sectorBytes))
        if (values.size > 2 || ![...values].every((value) => value === 1 || value === 2))
          return 'garbage'
        return values.size === 2 ? 'torn' : values.has(2) ? 'kept' : 'lost'
      })
      for (const fate of fates) seen.add(fate)
      seen.add(fates.join(' '))
    }

    expect([...seen]).toEqual(
      expect.arrayContaining([
        'kept',
        'lost',
        'torn',
        'garbage',
        'kept kept kept kept',
        'lost lost lost lost',
        'kept kept torn lost',
        'lost kept lost kept',
      ]),
    )
  })

  test('may keep a new size without the data, and the data without the new size', () => {
    const seen = new Set<string>()
    for (const seed of seeds) {
      const disk = diskWith(filled(sectorBytes, 1), seed)
      overwrite(disk, filled(sectorBytes, 2), sectorBytes)
      disk.crash()

      const after = disk.contents('/a')
      expect(after.subarray(0, sectorBytes)).toEqual(filled(sectorBytes, 1))
      seen.add(`${after.length} ${after[sectorBytes]}`)
    }

    expect(seen).toContain(`${sectorBytes} undefined`)
    expect(seen).toContain(`${2 * sectorBytes} 0`)
    expect(seen).toContain(`${2 * sectorBytes} 2`)
  })

  test('a cut that was kept takes the bytes behind it along, also when the file grew again', () => {
    const seen = new Set<string>()
    for (const seed of seeds) {
      const disk = diskWith(filled(4 * sectorBytes, 1), seed)
      const file = disk.open('/a', 'write')
      file.truncate(100)
      file.truncate(4 * sectorBytes)
      disk.crash()

      const after = disk.contents('/a')
      const cut = filled(after.length, 0)
      cut.fill(1, 0, 100)
      const untouched = after.length === 4 * sectorBytes && after.every((byte) => byte === 1)
      if (!untouched) expect(after, `seed ${seed}`).toEqual(cut)
      seen.add(untouched ? 'untouched' : String(after.length))
    }

    expect([...seen].sort()).toEqual(['100', String(4 * sectorBytes), 'untouched'])
  })

  test('a cut that was kept takes unsynced bytes along too', () => {
    const lengths = new Set<number>()
    for (const seed of seeds) {
      const disk = diskWith(filled(sectorBytes, 1), seed)
      const file = overwrite(disk, filled(sectorBytes, 2), 0)
      file.truncate(100)
      file.truncate(600)
      disk.crash()

      const after = disk.contents('/a')
      lengths.add(after.length)
      const isGarbage = after.some((byte) => byte > 2)
      if (after.length !== sectorBytes && !isGarbage)
        expect(
          after.subarray(100).every((byte) => byte === 0),
          `seed ${seed}`,
        ).toBe(true)
    }

    expect([...lengths].sort()).toEqual([100, sectorBytes, 600])
  })

  test('a cut that was synced stays, also when the file grew again before the sync', () => {
    const disk = diskWith(filled(4 * sectorBytes, 1))
    const file = disk.open('/a', 'write')
    file.truncate(100)
    file.truncate(4 * sectorBytes)
    file.sync()
    disk.crash()

    const expected = filled(4 * sectorBytes, 0)
    expected.fill(1, 0, 100)
    expect(disk.contents('/a')).toEqual(expected)
  })

  test('a sector that was written twice may come back as either', () => {
    const seen = new Set<string>()
    for (const seed of seeds) {
      const disk = diskWith(filled(sectorBytes, 1), seed)
      const file = overwrite(disk, filled(sectorBytes, 2), 0)
      file.write(filled(sectorBytes, 3), 0)
      disk.crash()

      const values = new Set(disk.contents('/a'))
      if (values.size === 1) seen.add(String([...values][0]))
    }

    expect([...seen]).toEqual(expect.arrayContaining(['1', '2', '3']))
  })

  test('the extremes keep all and lose all', () => {
    for (const [unsynced, byte, names] of [
      ['kept', 2, ['a', 'b']],
      ['lost', 1, ['a']],
    ] as const) {
      const disk = diskWith(filled(1000, 1))
      const file = overwrite(disk, filled(1000, 3), 0)
      file.write(filled(1000, 2), 0)
      disk.open('/b', 'create')
      disk.crash({ unsynced })

      expect(disk.contents('/a')).toEqual(filled(1000, byte))
      expect(disk.list('/')).toEqual(names)
    }
  })

  test('the same seed leaves the same, another seed something else', () => {
    const outcome = (seed: number): string => {
      const disk = diskWith(filled(20 * sectorBytes, 1), seed)
      overwrite(disk, filled(20 * sectorBytes, 2), 0)
      for (const name of ['b', 'c', 'd', 'e']) disk.open(`/${name}`, 'create')
      disk.crash()
      return `${disk.list('/')} ${disk.contents('/a')}`
    }

    expect(outcome(5)).toBe(outcome(5))
    expect(new Set(seeds.slice(0, 20).map(outcome)).size).toBeGreaterThan(10)
  })

  test('closes files and frees locks, and the disk works on', () => {
    const disk = diskWith(filled(10, 1))
    const file = disk.open('/a', 'write')
    const lock = disk.lock('/LOCK', 'one')
    disk.crash({ unsynced: 'kept' })

    expect(codeOf(() => file.size())).toBe('EBADF')
    const next = disk.lock('/LOCK', 'two')
    lock.release()
    expect(codeOf(() => disk.lock('/LOCK', 'three'))).toBe('LOCKED_DIR')
    next.release()
  })
})
