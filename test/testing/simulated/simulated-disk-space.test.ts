/** The space of a simulated disk of limited capacity: who is refused, and what gives it back. */
import { describe, expect, test } from 'vitest'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { codeOf } from '../../support/error-codes.ts'
import { filled } from '../../support/worlds/simulated-disks.ts'

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
