/**
 * A power cut at every call in turn, while a log is created, opened, rolled and closed. Whatever
 * the disk kept, lost or garbled, the next life finds every acknowledged frame, and the life after
 * it finds the same. All tests share one walk over the calls.
 */
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import {
  attempt,
  callsOf,
  crashEverywhere,
  failEverywhere,
  seeds,
} from '../../support/harm/log-crashes.ts'
import { thorough, triesLong } from '../../support/tier.ts'
import {
  commit,
  content,
  filesOf,
  type LogWorld,
  newWorld,
  openedLog,
  payload,
  readAll,
  small,
  worldOn,
} from '../../support/worlds/logs.ts'

/** Of the pairs of crashes, the quick tier tries a ninth: each call is in some. */
const stride = triesLong ? thorough(29, 1) : 61

const size = 500

const contents = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => content(from + index, size))

const found = (world: LogWorld): string[] => {
  const { log } = world.open()
  const frames = readAll(log).map((frame) => frame.content)
  log.abandon()
  return frames
}

/**
 * Opens twice with a power cut in between. Both openings must find `expected` and keep a later
 * frame.
 */
const expectFrames = (world: LogWorld, expected: readonly string[], where: string): void => {
  expect(found(world), where).toEqual(expected)
  world.disk.crash()
  const { log } = world.open()
  commit(log, [payload(1000, size)])
  log.abandon()
  world.disk.crash()
  expect(found(world), `${where}, later`).toEqual([...expected, content(1000, size)])
}

/** Acknowledged frames 1 to `count`, one a group. */
const filled = (world: LogWorld, count: number): LogWorld => {
  const { log } = world.open()
  for (let number = 1; number <= count; number++) commit(log, [payload(number, size)])
  log.abandon()
  return world
}

describe('opening', () => {
  const open = (world: LogWorld): void => world.open().log.abandon()

  const unclean = (): LogWorld => {
    const world = filled(newWorld(), 2)
    world.disk.crash()
    return world
  }

  /** A log with a last group torn by a crash; the seed leaves a part of it. */
  const torn = (): LogWorld => {
    const world = filled(newWorld(), 1)
    const { log } = world.open()
    commit(log, [payload(2, size), payload(3, size), payload(4, size)], { sync: false })
    for (let seed = 1; seed < 1000; seed++) {
      const copy = world.on(world.disk.clone({ seed }))
      copy.disk.crash()
      const inspection = copy.inspect()
      if (inspection.tail === 'torn' && inspection.lastLsn > 1) return copy
    }
    throw new Error('no seed tears the group')
  }

  const closed = (): LogWorld => {
    const { world, log } = openedLog()
    commit(log, [payload(1, size)])
    log.handle('close', { projectedLsn: 1 })
    return world
  }

  const states: [name: string, make: () => LogWorld][] = [
    ['a new log', newWorld],
    ['a log that was not closed', unclean],
    ['a torn log', torn],
    ['a closed log', closed],
    [
      'a log that was opened before and took nothing',
      () => {
        const world = unclean()
        open(world)
        return world
      },
    ],
    [
      'a log without its MANIFEST',
      () => {
        const world = unclean()
        world.disk.remove('/data/wal/MANIFEST')
        world.disk.syncFolder('/data/wal')
        return world
      },
    ],
  ]

  test.each(states)(
    '%s may be cut short at any call: the next opening finds the same',
    { tags: ['D20', 'E19'] },
    (_, make) => {
      const world = make()
      const expected = found(world.on(world.disk.clone()))

      crashEverywhere(world, open, (after, where) => expectFrames(after, expected, where))
    },
  )

  test.each(states)('%s survives two crashes', (_, make) => {
    const world = make()
    const expected = found(world.on(world.disk.clone()))
    const calls = callsOf(world, open)
    for (let first = 1; first <= calls; first++)
      for (let second = 1 + (first % stride); second <= calls; second += stride) {
        const copy = world.on(world.disk.clone({ seed: first * 100 + second }))
        for (const at of [first, second]) {
          copy.disk.inject({ at, operation: changingOperations, fault: { kind: 'halt' } })
          attempt(() => open(copy))
          copy.disk.crash()
        }
        const where = `power lost at calls ${first} and ${second}`
        expect(found(copy), where).toEqual(expected)
      }
  })

  test.each(states)(
    '%s may fail at any call, and lose power at any call of the opening after that',
    (_, make) => {
      const world = make()
      const expected = found(world.on(world.disk.clone()))
      const calls = callsOf(world, open)
      for (let first = 1; first <= calls; first++)
        for (let second = 1 + (first % stride); second <= calls; second += stride) {
          const copy = world.on(world.disk.clone({ seed: first * 100 + second }))
          copy.disk.inject({ at: first, operation: changingOperations, fault: { kind: 'error' } })
          attempt(() => open(copy))
          copy.disk.clearFaults()
          copy.disk.killProcess()
          copy.disk.inject({ at: second, operation: changingOperations, fault: { kind: 'halt' } })
          attempt(() => open(copy))
          copy.disk.crash(second % 2 === 0 ? { unsynced: 'lost' } : {})
          const where = `call ${first} failed, power lost at call ${second}`
          expect(found(copy), where).toEqual(expected)
        }
    },
  )

  test.each(states)(
    '%s may fail at any call: it reports the error or opens, and loses nothing',
    (_, make) => {
      const world = make()
      const expected = found(world.on(world.disk.clone()))

      failEverywhere(world, { kind: 'error' }, open, (after, error, where) => {
        if (error !== undefined) expect(error, where).toMatchObject({ code: 'SHARD_DOWN' })
        expectFrames(after, expected, where)
      })
    },
  )

  test.each(states)(
    '%s on a full disk is refused with nothing changed, and works when there is space',
    (_, make) => {
      const world = make()
      const expected = found(world.on(world.disk.clone()))
      const before = filesOf(world.disk)
      world.disk.capacityBytes = 2 ** 30
      world.disk.capacityBytes -= world.disk.freeBytes - 4096

      expect(() => open(world)).toThrow(expect.objectContaining({ code: 'NO_SPACE' }))

      expect(filesOf(world.disk)).toEqual(before)
      world.disk.capacityBytes += 64 * 1024
      expectFrames(world, expected, 'with space')
    },
  )

  test.each(states)('%s is refused on a read-only disk', (_, make) => {
    const world = make()
    world.disk.readOnly = true

    expect(() => open(world)).toThrow(expect.objectContaining({ code: 'READ_ONLY' }))
  })
})

describe('creating a log', () => {
  const emptyWorld = (): LogWorld => worldOn(simulatedDisk({ seed: 4 }), small)
  const create = (world: LogWorld): void => world.create()

  test('may crash at any call: no frame is left, and creating again works', {
    tags: ['E22'],
  }, () => {
    crashEverywhere(emptyWorld(), create, (world, where) => {
      expect(world.inspect(), where).toMatchObject({ hasFrames: false })
      world.create()
      expectFrames(world, [], where)
    })
  })

  test('is durable once it returned', () => {
    const world = emptyWorld()
    world.create()
    world.disk.crash({ unsynced: 'lost' })

    expectFrames(world, [], 'after the power cut')
  })

  test.each([
    ['EIO', 'SHARD_DOWN'],
    ['ENOSPC', 'NO_SPACE'],
    ['EROFS', 'READ_ONLY'],
    ['EACCES', 'READ_ONLY'],
  ])('that fails at any call with %s says %s and leaves nothing behind', (code, expected) => {
    // The last call only makes existing names durable, and its failure is reported.
    failEverywhere(emptyWorld(), { kind: 'error', code }, create, (world, error, where) => {
      expect(error, where).toMatchObject({ code: expected })
      expect(filesOf(world.disk), where).toEqual(new Map())
      expect(world.disk.entry('/data'), where).toBeUndefined()
    })
  })

  test('leaves nothing behind on a disk too full for a segment', () => {
    const world = worldOn(simulatedDisk({ capacityBytes: 16 * 1024 }), small)

    expect(() => world.create()).toThrow(expect.objectContaining({ code: 'NO_SPACE' }))
    expect(world.disk.entry('/data')).toBeUndefined()
  })
})

describe('a roll', () => {
  /** Fills a segment of three frames and rolls during the second commit. */
  const roll = (world: LogWorld): void => {
    const { log } = world.open()
    commit(log, [payload(1, size)])
    commit(
      log,
      [2, 3, 4, 5, 6].map((number) => payload(number, size)),
    )
    log.abandon()
  }

  test('may crash at any call: acknowledged frames are there, and a prefix of the others', {
    tags: ['D19', 'E20'],
  }, () => {
    const { world, log } = openedLog()
    log.abandon()
    crashEverywhere(world, roll, (after, where) => {
      const { log, report } = after.open()
      const frames = readAll(log).map((frame) => frame.content)
      log.abandon()
      expect(frames, where).toEqual(contents(1, frames.length))
      expect(report.tail === 'torn' || report.tail === 'unclean', where).toBe(true)
      expectFrames(after, frames, where)
    })
  })

  test('loses nothing of a commit that was acknowledged across it', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = newWorld(small, seed)
      roll(world)
      world.disk.crash({ unsynced: seed % 2 === 0 ? 'lost' : 'seeded' })
      expectFrames(world, contents(1, 6), `seed ${seed}`)
    }
  })

  test('leaves an empty segment after a crash, which the next opening takes back', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1, size)])
    // The rename has happened; the MANIFEST that would name the new segment has not.
    world.disk.inject({ at: 1, operation: 'write', path: 'MANIFEST', fault: { kind: 'halt' } })
    attempt(() =>
      commit(
        log,
        [2, 3, 4, 5, 6].map((number) => payload(number, size)),
      ),
    )
    world.disk.crash({ unsynced: 'kept' })

    const { report } = world.open()

    expect(report.segments).toBe(2)
    expectFrames(world, contents(1, 3), 'after the roll')
  })
})

describe('closing', () => {
  const close = (world: LogWorld): void => {
    const { log } = world.open()
    commit(log, [payload(1, size), payload(2, size)])
    log.handle('close', { projectedLsn: 1 })
  }

  test('may crash at any call', () => {
    const world = newWorld()
    const opening = callsOf(world, (copy) => {
      const { log } = copy.open()
      commit(log, [payload(1, size), payload(2, size)])
    })
    let seen = 0
    crashEverywhere(world, close, (after, where) => {
      seen += 1
      // Before the commit returned the frames may be missing; after it they may not.
      if (seen > opening * seeds) expectFrames(after, contents(1, 2), where)
    })
    expect(seen).toBeGreaterThan(opening * seeds)
  })

  test('loses nothing when it fails anywhere, and counts as a close only when all is durable', () => {
    const world = filled(newWorld(), 2)
    const closeOnly = (copy: LogWorld): void => {
      const { log } = copy.open()
      log.handle('close', { projectedLsn: 1 })
    }
    failEverywhere(world, { kind: 'error' }, closeOnly, (after, error, where) => {
      // The MANIFEST records the close only after CLEAN_CLOSE is durable, so it is right even if
      // its own sync failed.
      const inManifest = isKeelsonError(error) && String(error.details.file).endsWith('MANIFEST')
      if (error !== undefined && !inManifest) expect(after.inspect().tail, where).not.toBe('clean')
      after.disk.crash({ unsynced: 'lost' })
      expectFrames(after, contents(1, 2), where)
    })
  })
})

describe('a failed sync', () => {
  /** Frame 1 is acknowledged; the sync of frame 2 fails, and marks its pages as clean. */
  const failed = (): { world: LogWorld; error: unknown; syncs: () => number } => {
    const { world, log } = openedLog()
    commit(log, [payload(1, size)])
    world.disk.inject({ at: 1, operation: 'sync', fault: { kind: 'error' } })
    const error = attempt(() => commit(log, [payload(2, size)]))
    const { syncs } = world.disk
    expect(attempt(() => commit(log, [payload(3, size)]))).toBe(error)
    expect(attempt(() => log.handle('sync', null))).toBe(error)
    expect(readAll(log).map((frame) => frame.content)).toEqual(contents(1, 1))
    expect(attempt(() => log.handle('close', { projectedLsn: 0 }))).toBe(error)
    return { world, error, syncs: () => world.disk.syncs - syncs }
  }

  test('is final: all later requests get the same error, and there is no second sync', {
    tags: ['D15'],
  }, () => {
    const { error, syncs } = failed()

    expect(error).toMatchObject({
      code: 'SHARD_DOWN',
      details: { reason: 'poisoned', errno: 'EIO', file: expect.stringContaining('.wal') },
    })
    expect(syncs()).toBe(0)
  })

  test('is not trusted after a restart: frames from the page cache are rewritten before they count', {
    tags: ['D16'],
  }, () => {
    const { world } = failed()
    world.disk.killProcess()

    // The page cache still shows frame 2, which is not on the disk.
    const frames = found(world)
    world.disk.crash({ unsynced: 'lost' })

    expect(frames).toEqual(contents(1, 2))
    expectFrames(world, frames, 'after the power cut')
  })

  test('and a power cut keep the acknowledged frames', () => {
    const { world } = failed()
    world.disk.crash({ unsynced: 'lost' })

    expectFrames(world, contents(1, 1), 'after the power cut')
  })
})

describe('a failed write', () => {
  test.each([
    ['EIO', { kind: 'error' } as const],
    ['ENOSPC', { kind: 'error', code: 'ENOSPC' } as const],
    ['EIO', { kind: 'short', bytes: 512 } as const],
    ['EIO', { kind: 'short', bytes: 0 } as const],
  ])(
    'with %s is final, and the next life finds what was acknowledged',
    { tags: ['D17'] },
    (errno, fault) => {
      const { world, log } = openedLog()
      commit(log, [payload(1, size)])
      world.disk.inject({ at: 1, operation: 'write', fault })
      const { syncs } = world.disk

      const error = attempt(() => commit(log, [payload(2, size), payload(3, size)]))

      expect(error).toMatchObject({ code: 'SHARD_DOWN', details: { reason: 'poisoned', errno } })
      expect(attempt(() => commit(log, [payload(4, size)]))).toBe(error)
      expect(world.disk.syncs).toBe(syncs)
      log.abandon()
      world.disk.killProcess()
      const frames = found(world)
      expect(frames).toEqual(contents(1, frames.length))
      expect(frames.length).toBeGreaterThan(0)
      expectFrames(world, frames, 'later')
    },
  )

  test('at a wrong place of the disk is found at the next opening', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1, size)])
    world.disk.inject({ at: 1, operation: 'write', fault: { kind: 'misdirected', offset: 0 } })
    commit(log, [payload(2, size)])
    commit(log, [payload(3, size)])
    log.abandon()
    world.disk.crash()

    expect(attempt(() => world.inspect())).toMatchObject({ code: 'CORRUPT', details: { lsn: 2 } })
  })
})
