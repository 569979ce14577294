/** What a power cut leaves of names on the simulated disk: those whose folder was synced, and of the others any that the order allows. */
import { describe, expect, test } from 'vitest'
import { type SimulatedDisk, simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { diskWith, filled, seeds } from '../../support/worlds/simulated-disks.ts'

describe('names on the simulated disk', () => {
  /** Every set of names that a crash may leave, over many seeds. */
  const outcomes = (arrange: (disk: SimulatedDisk) => void, folder = '/'): string[] => {
    const seen = new Set<string>()
    for (const seed of seeds) {
      const disk = simulatedDisk({ seed })
      arrange(disk)
      disk.crash()
      seen.add(disk.entry(folder) ? disk.list(folder).join(' ') : 'no folder')
    }
    return [...seen].sort()
  }
  const make = (disk: SimulatedDisk, path: string): void => disk.open(path, 'create').close()

  test('a synced file whose folder was not synced may be gone', () => {
    const sync = (disk: SimulatedDisk): void => {
      const file = disk.open('/a', 'create')
      file.write(filled(10, 1), 0)
      file.sync()
    }

    expect(outcomes(sync)).toEqual(['', 'a'])
  })

  test('names reach the disk in any order', () => {
    const arrange = (disk: SimulatedDisk): void => {
      make(disk, '/a')
      make(disk, '/b')
    }

    expect(outcomes(arrange)).toEqual(['', 'a', 'a b', 'b'])
  })

  test('a rename is atomic: one name or the other, never both and never none', () => {
    const arrange = (disk: SimulatedDisk): void => {
      make(disk, '/tmp')
      make(disk, '/final')
      disk.syncFolder('/')
      disk.rename('/tmp', '/final')
    }

    expect(outcomes(arrange)).toEqual(['final', 'final tmp'])
  })

  test('a file has one name, however often it was renamed', () => {
    const arrange = (disk: SimulatedDisk): void => {
      make(disk, '/a')
      disk.syncFolder('/')
      disk.rename('/a', '/b')
      disk.rename('/b', '/c')
    }

    expect(outcomes(arrange)).toEqual(['a', 'b', 'c'])
  })

  test('a rename shows whole contents, old or new', () => {
    for (const seed of seeds) {
      const disk = diskWith(filled(1000, 1), seed)
      const file = disk.open('/tmp', 'create')
      file.write(filled(1000, 2), 0)
      file.sync()
      disk.rename('/tmp', '/a')
      disk.crash()

      const content = disk.contents('/a')
      expect([1, 2], `seed ${seed}`).toContain(content[0])
      expect(content).toEqual(filled(1000, content[0] ?? 0))
    }
  })

  test('a rename between folders is certain once both are synced, and atomic before', () => {
    const arrange = (disk: SimulatedDisk): void => {
      for (const folder of ['/x', '/y']) disk.makeFolder(folder)
      disk.syncFolder('/')
      make(disk, '/x/a')
      disk.syncFolder('/x')
      disk.rename('/x/a', '/y/a')
      disk.syncFolder('/y')
    }
    const both = (disk: SimulatedDisk): void => {
      arrange(disk)
      disk.syncFolder('/x')
    }
    const moved = new Set<string>()
    for (const seed of seeds) {
      const disk = simulatedDisk({ seed })
      arrange(disk)
      disk.crash()
      moved.add(`${disk.list('/x')} ${disk.list('/y')}`)
    }

    expect([...moved].sort()).toEqual([' a', 'a '])
    expect(outcomes(both, '/y')).toEqual(['a'])
    expect(outcomes(both, '/x')).toEqual([''])
  })

  test('a sync takes along what the synced change builds on', () => {
    const arrange = (disk: SimulatedDisk): void => {
      disk.makeFolder('/x')
      disk.syncFolder('/')
      make(disk, '/x/a')
      disk.rename('/x/a', '/b')
      disk.rename('/b', '/c')
      disk.syncFolder('/')
    }

    expect(outcomes(arrange)).toEqual(['c x'])
    expect(outcomes(arrange, '/x')).toEqual([''])
  })

  test('a folder that was not synced into its parent is lost with all that is in it', () => {
    const arrange = (disk: SimulatedDisk): void => {
      disk.makeFolder('/x')
      make(disk, '/x/a')
      disk.syncFolder('/x')
    }

    expect(outcomes(arrange, '/x')).toEqual(['a', 'no folder'])
  })

  test('a removed file may come back, with what was synced in it', () => {
    const contents = new Set<string>()
    for (const seed of seeds) {
      const disk = diskWith(filled(3, 1), seed)
      disk.remove('/a')
      disk.crash()
      contents.add(disk.entry('/a') ? String(disk.contents('/a')) : 'gone')
    }

    expect([...contents].sort()).toEqual(['1,1,1', 'gone'])
  })

  test('synced names stay', () => {
    const arrange = (disk: SimulatedDisk): void => {
      for (const name of ['a', 'b', 'c']) make(disk, `/${name}`)
      disk.syncFolder('/')
      disk.remove('/b')
      disk.rename('/c', '/d')
      disk.syncFolder('/')
    }

    expect(outcomes(arrange)).toEqual(['a d'])
  })
})
