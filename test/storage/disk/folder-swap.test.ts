/** A new folder takes the place of another one, on a simulated disk. */
import { expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import {
  beginSwap,
  completeSwap,
  dropSwap,
  type FolderSwap,
  readDataFolder,
  readSwap,
  refuseSwap,
  refuseSwapped,
  writeDataFolder,
} from '../../../src/storage/index.ts'
import { type SimulatedDisk, simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import { codeOf, machine } from '../../support/worlds/simulated-instance.ts'

const swap: FolderSwap = {
  ...{ next: '/srv/data.resharding/data', before: '/srv/data.before' },
  ...{ instanceId: 'new', waits: false },
}
const dir = '/srv/data'

/** The old folder, and the new one beside it. */
const both = (): SimulatedDisk => {
  const disk = simulatedDisk()
  for (const [path, instanceId] of [
    [dir, 'old'],
    [swap.next, 'new'],
  ] as const) {
    disk.makeFolder(path)
    const logs = ['0'.repeat(32)]
    const copy = instanceId === 'new' && { waits: true as const }
    writeDataFolder(disk, path, { ...{ instanceId, shards: 1, logs, created: 1 }, ...copy })
  }
  for (const path of ['/', '/srv', '/srv/data.resharding']) disk.syncFolder(path)
  return disk
}

const whole = (disk: SimulatedDisk): void => {
  beginSwap(disk, dir, swap)
  completeSwap(disk, dir, swap)
}

/** The folder in a place: its id, and whether it waits. */
const at = (disk: SimulatedDisk, path: string): string => {
  const reading = readDataFolder(disk, path)
  if (reading.state !== 'sound') return reading.state
  return `${reading.facts.instanceId}${reading.facts.waits ? ', waits' : ''}`
}

const marked = (disk: SimulatedDisk, path: string): boolean => {
  const reading = readDataFolder(disk, path)
  return reading.state === 'sound' && reading.facts.swap !== undefined
}

test('the new folder acts in the place, and the old one waits beside it', () => {
  const disk = both()
  whole(disk)
  disk.crash({ unsynced: 'lost' })
  expect(at(disk, dir)).toBe('new')
  expect(at(disk, swap.before)).toBe('old, waits')
  expect(at(disk, swap.next)).toBe('absent')
  expect(readSwap(disk, dir)).toBe(undefined)
})

test('the new folder of a copy that waits waits too', () => {
  const disk = both()
  beginSwap(disk, dir, { ...swap, waits: true })
  completeSwap(disk, dir, readSwap(disk, dir) as FolderSwap)
  expect(at(disk, dir)).toBe('new, waits')
})

test('wherever it is cut off, the old folder starts, or the new one, or the refusal names the command that completes it', {
  tags: ['SH2'],
}, () => {
  const counted = both()
  const calls = counted.recordCalls()
  whole(counted)
  const count = calls.filter(({ operation }) => changingOperations.includes(operation)).length
  expect(count).toBeGreaterThan(12)
  const states = new Set<string>()
  const outcomes = new Set<string>()
  for (let call = 1; call <= count + 1; call++)
    for (const end of ['crash', 'killProcess'] as const)
      for (let seed = 1; seed <= 3; seed++) {
        const disk = both().clone({ seed: 10 * call + seed })
        disk.inject({ at: call, operation: changingOperations, fault: { kind: 'halt' } })
        expect(() => {
          whole(disk)
          throw new Error('the end')
        }).toThrow()
        disk.clearFaults()
        disk[end]()
        const begun = readSwap(disk, dir)
        states.add(begun ? 'refused' : at(disk, dir))
        if (begun) {
          expect(() => refuseSwap(disk, dir)).toThrow(/`keelson reshard \/srv\/data` completes it/)
          const outcome = completeSwap(disk, dir, begun)
          disk.crash({ unsynced: 'lost' })
          expect(at(disk, dir), `call ${call}`).toBe(outcome === 'replaced' ? 'new' : 'old')
          outcomes.add(outcome)
          expect(readSwap(disk, dir)).toBe(undefined)
        }
        const [now, before] = [at(disk, dir), at(disk, swap.before)]
        if (now === 'new') expect(before).toBe('old, waits')
        else expect([now, before]).toEqual(['old', 'absent'])
      }
  expect([...states].sort()).toEqual(['new', 'old', 'refused'])
  expect([...outcomes].sort()).toEqual(['abandoned', 'replaced'])
})

test('wherever it is cut off, a start by another path finds the folder marked, or the swap has not begun', () => {
  const counted = both()
  const calls = counted.recordCalls()
  whole(counted)
  const count = calls.filter(({ operation }) => changingOperations.includes(operation)).length
  for (let call = 1; call <= count; call++)
    for (let seed = 1; seed <= 3; seed++) {
      const disk = both().clone({ seed: 10 * call + seed })
      disk.inject({ at: call, operation: changingOperations, fault: { kind: 'halt' } })
      expect(() => whole(disk)).toThrow()
      disk.clearFaults()
      disk.crash()
      const begun = readSwap(disk, dir)
      const reading = readDataFolder(disk, dir)
      if (!begun || reading.state !== 'sound' || reading.facts.instanceId === 'new') continue
      // A service that has another path of this folder opens it, unless it is marked.
      const isMarked = reading.facts.swap === dir
      if (isMarked)
        expect(() => refuseSwapped('/link', reading.facts)).toThrow(/reshard \/srv\/data/)
      else refuseSwapped('/link', reading.facts)
      expect(completeSwap(disk, dir, begun)).toBe(isMarked ? 'replaced' : 'abandoned')
    }
})

test('a swap whose new folder is gone is given up: the old folder is as it was', () => {
  const disk = both()
  beginSwap(disk, dir, swap)
  disk.remove(swap.next)
  expect(completeSwap(disk, dir, swap)).toBe('abandoned')
  disk.crash({ unsynced: 'lost' })
  expect([at(disk, dir), marked(disk, dir), readSwap(disk, dir)]).toEqual(['old', false, undefined])
})

test('a mark whose `DIR.swap` was removed by hand is taken away at its path alone', () => {
  const disk = both()
  beginSwap(disk, dir, swap)
  expect(dropSwap(disk, dir)).toBe(false)
  disk.remove(`${dir}.swap`)
  disk.rename(dir, '/srv/other')
  expect(dropSwap(disk, '/srv/other')).toBe(false)
  disk.rename('/srv/other', dir)
  expect([dropSwap(disk, dir), marked(disk, dir)]).toEqual([true, false])
})

test.each([
  ['that cannot be marked', 2],
  ['that cannot be moved', 3],
])('a folder %s leaves the old one, without a swap', (_, rename) => {
  const disk = both()
  const fault = { kind: 'error', code: 'EBUSY' } as const
  disk.inject({ at: rename, operation: 'rename', path: dir, fault })
  expect(() => whole(disk)).toThrow(rename === 3 ? /a mount point/ : 'EBUSY')
  expect([at(disk, dir), marked(disk, dir)]).toEqual(['old', false])
  expect(readSwap(disk, dir)).toBe(undefined)
})

test('what was moved by hand is CONFLICT, and a damaged file CORRUPT', () => {
  const code = (work: () => void): unknown => {
    try {
      work()
      return 'ok'
    } catch (error) {
      return isKeelsonError(error) ? error.code : error
    }
  }
  const gone = both()
  beginSwap(gone, dir, swap)
  gone.remove(dir)
  expect(code(() => completeSwap(gone, dir, swap))).toBe('CONFLICT')
  const made = both()
  beginSwap(made, dir, swap)
  made.rename(dir, swap.before)
  made.makeFolder(dir)
  expect(() => completeSwap(made, dir, swap)).toThrow(/^data was moved, or made, by hand/)
  made.remove(dir)
  expect(completeSwap(made, dir, swap)).toBe('replaced')
  const taken = both()
  taken.makeFolder(swap.before)
  expect(code(() => whole(taken))).toBe('CONFLICT')
  const damaged = both()
  beginSwap(damaged, dir, swap)
  damaged.flipBit(`${dir}.swap`, 100)
  expect(code(() => readSwap(damaged, dir))).toBe('CORRUPT')
})

test('no instance starts while a swap is not complete, and none makes an empty folder', {
  tags: ['SH2'],
}, async () => {
  const world = machine()
  const app = await world.start()
  await world.during(app.close())
  beginSwap(world.disk, '/data', { ...swap, next: '/data.next', before: '/data.before' })
  expect(await codeOf(world.start())).toBe('CONFIG')
  // As by a bind mount: no `DIR.swap` is beside that path.
  world.disk.rename('/data', '/mount')
  expect(await codeOf(world.start({ dir: '/mount' }))).toBe('CONFIG')
  world.disk.rename('/mount', '/data')
  world.disk.rename('/data', '/data.before')
  expect(await codeOf(world.start())).toBe('CONFIG')
  expect(world.disk.entry('/data')).toBe(undefined)
})
