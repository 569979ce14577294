/** A log whose LOCK is removed by hand while it is written. */
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import type { Log } from '../../../src/storage/log/log.ts'
import {
  commit,
  content,
  dir,
  type LogWorld,
  newWorld,
  openedLog,
  payload,
  readAll,
  release,
  small,
} from '../../support/worlds/logs.ts'

const lock = `${dir}/LOCK`

/** An open log in a folder that is locked, with one acknowledged frame. */
const locked = (): { world: LogWorld; log: Log } => {
  const world = newWorld()
  world.disk.lock(lock, 'ours')
  const { log } = world.open()
  commit(log, [payload(1)])
  return { world, log }
}

/** A user removes a lock that looks stale, and another process opens the log and writes. */
const takeOver = (world: LogWorld): Log => {
  world.disk.remove(lock)
  world.disk.lock(lock, 'theirs')
  return world.on(world.disk).open().log
}

const reasonOf = (action: () => unknown): unknown => {
  try {
    action()
    return 'no error'
  } catch (error) {
    return isKeelsonError(error, 'SHARD_DOWN') ? error.details.reason : error
  }
}

describe('a log whose LOCK was removed', () => {
  const requests: Record<string, (log: Log) => unknown> = {
    commit: (log) => commit(log, [payload(2)]),
    'a commit that rolls': (log) => commit(log, [payload(2, 2400), payload(3, 2400)]),
    'a commit that is not synced': (log) => commit(log, [payload(2)], { sync: false }),
    sync: (log) => log.handle('sync', null),
    mark: (log) => log.handle('mark', null),
    checkpoint: (log) => log.handle('checkpoint', { opaque: new Uint8Array(0) }),
    close: (log) => log.handle('close', { projectedLsn: 0 }),
  }
  for (const [name, request] of Object.entries(requests))
    test(`acknowledges nothing and overwrites nothing of the new owner: ${name}`, () => {
      const { world, log } = locked()
      const successor = takeOver(world)
      commit(successor, [payload(50)])

      expect(reasonOf(() => request(log))).toBe('poisoned')
      expect(reasonOf(() => commit(log, [payload(9)]))).not.toBe('no error')

      commit(successor, [payload(51)])
      successor.handle('close', { projectedLsn: 0 })
      const found = readAll(world.on(world.disk).open().log).map((frame) => frame.content)
      expect(found).toEqual([content(1), content(50), content(51)])
    })

  test('removes no segment', () => {
    const { world, log } = locked()
    for (let number = 2; number < 20; number++)
      commit(log, [payload(number, 900)], { projectedLsn: 1e6 })
    const names = world.disk.list(dir)
    world.disk.remove(lock)

    expect(reasonOf(() => release(log, 5))).toBe('poisoned')
    expect(world.disk.list(dir)).toEqual(names.filter((name) => name !== 'LOCK'))
  })

  for (const moment of ['before the write', 'behind the write', 'behind the sync'] as const)
    test(`acknowledges no commit when another process comes ${moment}`, () => {
      const world = newWorld()
      world.disk.lock(lock, 'ours')
      const open = world.disk.open.bind(world.disk)
      let successor: Log | undefined
      let isArmed = false
      const come = (when: typeof moment): void => {
        if (!isArmed || when !== moment) return
        isArmed = false
        successor = takeOver(world)
      }
      world.disk.open = (path, mode) => {
        const file = open(path, mode)
        return {
          ...file,
          write(bytes, offset) {
            come('before the write')
            const count = file.write(bytes, offset)
            come('behind the write')
            return count
          },
          sync() {
            file.sync()
            come('behind the sync')
          },
        }
      }
      const { log } = world.open()
      commit(log, [payload(1)])
      isArmed = true

      expect(reasonOf(() => commit(log, [payload(2)]))).toBe('poisoned')

      expect(successor).toBeDefined()
      const found = readAll(world.on(world.disk).open().log).map((frame) => frame.content)
      const isSeen = moment !== 'before the write'
      expect(found).toEqual([content(1), ...(isSeen ? [content(2)] : [])])
    })

  test('acknowledges no commit whose file another thread syncs when another process comes in between', () => {
    const { world, log } = locked()
    const bytes = payload(2)
    const request = { bytes, lengths: [bytes.length], now: 0, sync: true, projectedLsn: 0 }
    const { unsynced, end } = log.write(request)
    takeOver(world)

    expect(reasonOf(() => end(() => unsynced?.sync()))).toBe('poisoned')
  })

  test('is not opened, and not inspected again', () => {
    const { world, log } = locked()
    log.abandon()
    const before = world.inspect()
    const second = world.log()
    world.disk.remove(lock)
    world.disk.lock(lock, 'theirs')
    const options = small

    expect(reasonOf(() => second.handle('open', { dir, options, inspection: before }))).toBe(
      'poisoned',
    )
    const { lock: earlier = '' } = before
    const look = { dir, options, evidence: [], lock: earlier }
    expect(reasonOf(() => world.log().handle('inspect', look))).toBe('poisoned')
  })
})

test.each([
  ['synced', true],
  ['not synced', false],
])(
  'a commit that is %s looks at LOCK twice, for each look takes a call of the system',
  (_, sync) => {
    const { world, log } = locked()
    const identity = world.disk.identity.bind(world.disk)
    let looks = 0
    world.disk.identity = (path) => {
      looks++
      return identity(path)
    }

    commit(log, [payload(2)], { sync })

    expect(looks).toBe(2)
  },
)

test('a log without a LOCK is not checked', () => {
  const { world, log } = openedLog()
  world.disk.lock(lock, 'a late one')

  expect(commit(log, [payload(1)]).count).toBe(1)
})
