/** What the death of a process does to the simulated disk, whose cache outlives it. */
import { describe, expect, test } from 'vitest'
import { codeOf } from '../../support/error-codes.ts'
import { diskWith, filled, overwrite } from '../../support/worlds/simulated-disks.ts'

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
