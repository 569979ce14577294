/** What a test sees of the simulated disk: counts, records, clones, and every state between two calls. */
import { describe, expect, test } from 'vitest'
import { type SimulatedDisk, simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import { codeOf } from '../../support/error-codes.ts'
import { diskWith, filled, overwrite, seeds } from '../../support/worlds/simulated-disks.ts'

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
