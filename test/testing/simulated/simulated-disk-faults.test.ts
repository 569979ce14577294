/** The faults that a test plans for the simulated disk, and what each leaves behind. */
import { describe, expect, test } from 'vitest'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import { codeOf } from '../../support/error-codes.ts'
import {
  diskWith,
  filled,
  overwrite,
  sectorBytes,
  seeds,
} from '../../support/worlds/simulated-disks.ts'

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

  test('from a halt on nothing is done to it, until the process is taken for dead', () => {
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
