import { describe, expect, test } from 'vitest'
import { KeelsonError } from '../../src/errors.ts'
import { DiskError, type DiskFile } from '../../src/storage/disk.ts'
import { type SimulatedDisk, simulatedDisk } from '../../src/storage/simulated-disk.ts'
import { changingOperations } from '../../src/storage/simulated-faults.ts'
import { diskContract } from '../contracts/disk.contract.ts'

diskContract('the simulated disk', () => {
  const disk = simulatedDisk()
  disk.makeFolder('/data')
  return { disk, dir: '/data', end: () => {} }
})

const seeds = Array.from({ length: 200 }, (_, index) => index + 1)
const sectorBytes = 512
const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte)

/** A disk with one durable file `/a` of `content`. */
const diskWith = (content: Uint8Array, seed = 1): SimulatedDisk => {
  const disk = simulatedDisk({ seed })
  const file = disk.open('/a', 'create')
  file.write(content, 0)
  file.sync()
  file.close()
  disk.syncFolder('/')
  return disk
}

/** Writes `bytes` to `/a` without a sync. */
const overwrite = (disk: SimulatedDisk, bytes: Uint8Array, offset: number): DiskFile => {
  const file = disk.open('/a', 'write')
  file.write(bytes, offset)
  return file
}

const codeOf = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    return error instanceof DiskError || error instanceof KeelsonError ? error.code : String(error)
  }
  return 'no error'
}

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

describe('the death of a process on the simulated disk', () => {
  test('loses nothing, closes files and frees locks', () => {
    const disk = diskWith(filled(10, 1))
    const file = overwrite(disk, filled(5, 2), 0)
    disk.lock('/LOCK', 'one')
    disk.killProcess()

    expect(disk.contents('/a')).toEqual(Uint8Array.of(2, 2, 2, 2, 2, 1, 1, 1, 1, 1))
    expect(codeOf(() => file.write(filled(1, 3), 0))).toBe('EBADF')
    expect(codeOf(() => disk.lock('/LOCK', 'two'))).toBe('no error')
  })

  test('leaves what was unsynced at the mercy of a later power cut', () => {
    const disk = diskWith(filled(10, 1))
    overwrite(disk, filled(10, 2), 0)
    disk.killProcess()
    disk.crash({ unsynced: 'lost' })

    expect(disk.contents('/a')).toEqual(filled(10, 1))
  })
})

describe('faults of the simulated disk', () => {
  test('an error strikes the n-th call of its kind and path, once', () => {
    const disk = diskWith(filled(10, 1))
    disk.inject({
      at: 2,
      operation: 'read',
      path: 'a',
      fault: { kind: 'error', code: 'EUCLEAN' },
    })
    const file = disk.open('/a', 'read')
    disk.lock('/LOCK', '')
    const read = (): string => codeOf(() => file.read(new Uint8Array(1), 0))

    expect([read(), read(), read()]).toEqual(['no error', 'EUCLEAN', 'no error'])
  })

  test('an error can last', () => {
    const disk = simulatedDisk()
    disk.inject({ at: 2, times: 2, operation: ['list', 'entry'], fault: { kind: 'error' } })

    expect([1, 2, 3, 4].map(() => codeOf(() => disk.list('/')))).toEqual([
      'no error',
      'EIO',
      'EIO',
      'no error',
    ])
  })

  test('a failed call that is neither write nor sync has no effect', () => {
    const disk = diskWith(filled(10, 1))
    disk.inject({
      at: 1,
      times: 4,
      operation: ['rename', 'remove', 'create', 'makeFolder'],
      fault: { kind: 'error', code: 'EIO' },
    })
    for (const action of [
      () => disk.rename('/a', '/b'),
      () => disk.remove('/a'),
      () => disk.open('/c', 'create'),
      () => disk.makeFolder('/d'),
    ])
      expect(codeOf(action)).toBe('EIO')

    expect(disk.list('/')).toEqual(['a'])
  })

  test('a short write takes what it says and says so', () => {
    const disk = diskWith(filled(10, 1))
    disk.inject({ at: 1, operation: 'write', fault: { kind: 'short', bytes: 3 } })
    const file = disk.open('/a', 'write')

    expect(file.write(filled(10, 2), 0)).toBe(3)
    expect(disk.contents('/a')).toEqual(Uint8Array.of(2, 2, 2, 1, 1, 1, 1, 1, 1, 1))
  })

  test('a failed write may leave any part of its bytes', () => {
    const left = new Set<number>()
    for (const seed of seeds) {
      const disk = diskWith(filled(10, 1), seed)
      disk.inject({ at: 1, operation: 'write', fault: { kind: 'error' } })
      expect(codeOf(() => overwrite(disk, filled(10, 2), 0))).toBe('EIO')
      left.add(disk.contents('/a').filter((byte) => byte === 2).length)
    }

    expect(left.size).toBe(11)
  })

  test('after a failed sync the next one succeeds, reads look right, and the data is not on the disk', () => {
    const disk = diskWith(filled(1000, 1))
    disk.inject({ at: 1, operation: 'sync', fault: { kind: 'error' } })
    const file = overwrite(disk, filled(1000, 2), 0)

    expect(codeOf(() => file.sync())).toBe('EIO')
    expect(codeOf(() => file.sync())).toBe('no error')
    expect(disk.contents('/a')).toEqual(filled(1000, 2))
    const kept = disk.clone()
    kept.crash({ unsynced: 'kept' })
    disk.crash({ unsynced: 'lost' })
    expect(disk.contents('/a')).toEqual(filled(1000, 1))
    expect(kept.contents('/a')).toEqual(filled(1000, 2))
  })

  test('what is written again after a failed sync is durable with the next', () => {
    const disk = diskWith(filled(2 * sectorBytes, 1))
    disk.inject({ at: 1, operation: 'sync', fault: { kind: 'error' } })
    const file = overwrite(disk, filled(2 * sectorBytes, 2), 0)
    expect(codeOf(() => file.sync())).toBe('EIO')
    file.write(filled(1, 3), 0)
    file.sync()
    disk.crash({ unsynced: 'lost' })

    const expected = filled(2 * sectorBytes, 1)
    expected.fill(2, 0, sectorBytes)
    expected[0] = 3
    expect(disk.contents('/a')).toEqual(expected)
  })

  test('a misdirected write is seen only after a reboot', () => {
    const disk = diskWith(filled(4 * sectorBytes, 1))
    disk.inject({
      at: 1,
      operation: 'write',
      fault: { kind: 'misdirected', offset: 3 * sectorBytes },
    })
    const file = overwrite(disk, filled(sectorBytes, 2), sectorBytes)
    file.sync()
    const before = disk.contents('/a')
    disk.crash()

    expect(before[sectorBytes]).toBe(2)
    const expected = filled(4 * sectorBytes, 1)
    expected.fill(2, 3 * sectorBytes)
    expect(disk.contents('/a')).toEqual(expected)
  })

  test('rot changes cache and disk alike, and no crash takes it back', () => {
    const disk = diskWith(filled(10, 0))
    disk.flipBit('/a', 8 * 3 + 7)
    disk.poke('/a', 8, Uint8Array.of(7, 7, 7, 7))
    const expected = Uint8Array.of(0, 0, 0, 0x80, 0, 0, 0, 0, 7, 7)
    expect(disk.contents('/a')).toEqual(expected)
    disk.crash({ unsynced: 'lost' })

    expect(disk.contents('/a')).toEqual(expected)
  })

  test('from a halt on nothing has any effect, until the process is taken for dead', () => {
    const disk = diskWith(filled(10, 1))
    disk.inject({ at: 2, operation: changingOperations, fault: { kind: 'halt' } })
    const lock = disk.lock('/LOCK', 'one')
    const file = disk.open('/a', 'write')

    expect(codeOf(() => file.write(filled(1, 2), 0))).toBe('HALTED')
    expect(codeOf(() => disk.list('/'))).toBe('HALTED')
    expect(codeOf(() => file.close())).toBe('HALTED')
    expect(codeOf(() => lock.release())).toBe('no error')
    disk.killProcess()
    expect(disk.contents('/a')).toEqual(filled(10, 1))
    expect(codeOf(() => disk.lock('/LOCK', 'two'))).toBe('no error')
  })

  test('a crash and clearFaults forget what was planned', () => {
    const disk = simulatedDisk()
    disk.inject({ at: 1, times: 9, operation: 'list', fault: { kind: 'error' } })
    disk.crash()
    expect(codeOf(() => disk.list('/'))).toBe('no error')
    disk.inject({ at: 1, times: 9, operation: 'list', fault: { kind: 'error' } })
    disk.clearFaults()

    expect(codeOf(() => disk.list('/'))).toBe('no error')
  })

  test('a disk that is read only refuses what would change it, and nothing else', () => {
    const disk = diskWith(filled(10, 1))
    disk.readOnly = true
    for (const action of [
      () => disk.open('/a', 'write'),
      () => disk.open('/b', 'create'),
      () => disk.makeFolder('/c'),
      () => disk.rename('/a', '/b'),
      () => disk.remove('/a'),
      () => disk.lock('/LOCK', ''),
    ])
      expect(codeOf(action)).toBe('EROFS')

    expect(disk.open('/a', 'read').read(new Uint8Array(10), 0)).toBe(10)
    expect(disk.list('/')).toEqual(['a'])
  })
})

describe('space on the simulated disk', () => {
  const block = 4096

  test('a write takes what fits and says so, then fails with ENOSPC', () => {
    const disk = simulatedDisk({ capacityBytes: 3 * block })
    const file = disk.open('/a', 'create')

    expect(file.write(filled(2 * block, 1), 0)).toBe(2 * block)
    expect(file.write(filled(2 * block, 2), 2 * block - 96)).toBe(block + 96)
    expect(codeOf(() => file.write(filled(1, 3), 3 * block))).toBe('ENOSPC')
    expect(file.size()).toBe(3 * block)
    expect(disk.freeBytes).toBe(0)
  })

  test('what was written once can be overwritten on a full disk; holes cannot be filled', () => {
    const disk = simulatedDisk({ capacityBytes: block })
    const file = disk.open('/a', 'create')
    file.truncate(10 * block)
    file.write(filled(block, 1), block)

    expect(file.write(filled(block, 2), block)).toBe(block)
    expect(codeOf(() => file.write(filled(1, 2), 0))).toBe('ENOSPC')
  })

  test('a lock that was taken before can be taken on a full disk; a folder cannot be made', () => {
    const disk = simulatedDisk({ capacityBytes: block })
    disk.lock('/LOCK', 'the first').release()

    expect(disk.freeBytes).toBe(0)
    expect(codeOf(() => disk.lock('/LOCK', 'second'))).toBe('no error')
    expect(codeOf(() => disk.makeFolder('/a'))).toBe('ENOSPC')
  })

  test('truncating and removing give space back, the latter once nobody has the file open', () => {
    const disk = simulatedDisk({ capacityBytes: 4 * block })
    const file = disk.open('/a', 'create')
    file.write(filled(4 * block, 1), 0)
    file.truncate(block + 1)
    expect(disk.freeBytes).toBe(2 * block)
    disk.remove('/a')
    expect(disk.freeBytes).toBe(2 * block)
    file.close()

    expect(disk.freeBytes).toBe(4 * block)
  })
})

describe('watching the simulated disk', () => {
  test('calls are counted by kind, failed ones too', () => {
    const disk = diskWith(filled(10, 1))
    disk.counts.sync = 0
    const file = overwrite(disk, filled(1, 1), 0)
    disk.inject({ at: 1, operation: 'sync', fault: { kind: 'error' } })
    codeOf(() => file.sync())
    file.sync()

    expect([disk.syncs, disk.writes, disk.counts.open, disk.counts.create]).toEqual([2, 2, 1, 1])
  })

  test('a record names each call, its place and its error', () => {
    const disk = simulatedDisk()
    const record = disk.recordCalls()
    disk.open('/a', 'create').write(filled(5, 1), 7)
    codeOf(() => disk.open('/b', 'read'))
    codeOf(() => [disk.lock('/LOCK', ''), disk.lock('/LOCK', '')])

    expect(record).toEqual([
      { operation: 'create', path: '/a' },
      { operation: 'write', path: '/a', offset: 7, bytes: 5 },
      { operation: 'open', path: '/b', error: 'ENOENT' },
      { operation: 'lock', path: '/LOCK' },
      { operation: 'lock', path: '/LOCK', error: 'LOCKED_DIR' },
    ])
  })

  test('a clone has the same contents and the same unsynced changes, and goes its own way', () => {
    const disk = diskWith(filled(10, 1))
    overwrite(disk, filled(10, 2), 0)
    disk.rename('/a', '/b')
    const [one, other] = [disk.clone(), disk.clone({ seed: 9 })]
    one.crash({ unsynced: 'lost' })
    other.crash({ unsynced: 'kept' })
    disk.open('/b', 'write').write(filled(10, 3), 0)

    expect([one.list('/'), one.contents('/a')]).toEqual([['a'], filled(10, 1)])
    expect([other.list('/'), other.contents('/b')]).toEqual([['b'], filled(10, 2)])
    expect(disk.contents('/b')).toEqual(filled(10, 3))
    expect(disk.clone().calls).toBe(0)
  })

  test('halting before each changing call in turn reaches every state that a crash can see', () => {
    // The classic safe replacement; at no call may a crash leave anything but the old or the new content.
    const replace = (disk: SimulatedDisk): void => {
      const file = disk.open('/tmp', 'create')
      file.write(filled(2000, 2), 0)
      file.sync()
      file.close()
      disk.rename('/tmp', '/a')
      disk.syncFolder('/')
    }
    const start = diskWith(filled(2000, 1))
    const whole = start.clone()
    replace(whole)
    const total = changingOperations.reduce((sum, name) => sum + whole.counts[name], 0)
    expect(total).toBe(5)

    for (let at = 1; at <= total + 1; at++)
      for (const seed of seeds.slice(0, 60)) {
        const disk = start.clone({ seed })
        disk.inject({ at, operation: changingOperations, fault: { kind: 'halt' } })
        const ended = codeOf(() => replace(disk))
        disk.crash()

        const content = disk.contents('/a')
        expect(content, `call ${at}, seed ${seed}`).toEqual(filled(2000, content[0] ?? 0))
        if (ended === 'no error') expect(content[0]).toBe(2)
      }
  })
})
