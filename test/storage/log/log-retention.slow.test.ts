/** Checkpoints, reading after them, and the removal of segments. */
import { describe, expect, test } from 'vitest'
import { decodeCheckpoint } from '../../../src/storage/frames/control-payload.ts'
import type { Log } from '../../../src/storage/log/log.ts'
import { bytesAfter, releasable } from '../../../src/storage/log/log-retention.ts'
import { framePayloadMax } from '../../../src/storage/segments/log-limits.ts'
import { Pins } from '../../../src/storage/segments/log-pins.ts'
import { crashEverywhere, failEverywhere } from '../../support/harm/log-crashes.ts'
import {
  commit,
  content,
  dir,
  filesOf,
  fill,
  type LogWorld,
  newWorld,
  openedLog,
  payload,
  readAll,
  release,
  segmentsOn,
  small,
} from '../../support/worlds/logs.ts'

const size = 500

const checkpoint = (log: Log, text = '') =>
  log.handle('checkpoint', { opaque: new TextEncoder().encode(text) })

const firstLsnOf = (log: Log): number => log.handle('state', null).firstLsn

/** Frames 1 to `count` in several segments, one a group. */
const filled = (world: LogWorld, count = 24): Log => {
  const { log } = world.open()
  for (let number = 1; number <= count; number++) commit(log, [payload(number, size)])
  expect(segmentsOn(world.disk).length).toBeGreaterThan(3)
  return log
}

/** The contents that can still be read. */
const left = (log: Log): string[] =>
  readAll(log, 2048, firstLsnOf(log)).map((frame) => frame.content)

const all = Array.from({ length: 24 }, (_, at) => content(at + 1, size))

describe('a checkpoint', () => {
  test('covers everything before it, is durable with its bytes, and reading begins right after it', {
    tags: ['E38'],
  }, () => {
    const { world, log } = openedLog()
    commit(log, [payload(1)], { sync: false })
    const { lsn, coveredLsn, durableLsn } = checkpoint(log, 'as of one')
    commit(log, [payload(2)])
    log.abandon()
    world.disk.crash({ unsynced: 'lost' })

    const again = world.open().log

    expect({ lsn, coveredLsn, durableLsn }).toEqual({ lsn: 2, coveredLsn: 1, durableLsn: 2 })
    const read = again.handle('read', {
      from: 1,
      maxBytes: 1000,
      fromCheckpoint: true,
      checkpoints: true,
    })
    const [mark] = read.frames
    expect([mark?.lsn, mark?.type, mark?.time, read.frames.length]).toEqual([2, 2, 0, 1])
    // The next frame is in the next segment, and an answer covers one segment.
    const behind = again.handle('read', { from: read.next, maxBytes: 1000, checkpoints: true })
    expect(behind.frames.map(({ lsn }) => lsn)).toEqual([3])
    const bytes = read.bytes.subarray(mark?.offset, (mark?.offset ?? 0) + (mark?.length ?? 0))
    const decoded = decodeCheckpoint(bytes)
    expect(decoded?.lsn).toBe(1)
    expect(new TextDecoder().decode(decoded?.opaque)).toBe('as of one')
  })

  test('is read only on request, and without one reading from it begins at the start', () => {
    const { log } = newWorld().open()
    commit(log, [payload(1)])
    const read = (fromCheckpoint: boolean) =>
      log.handle('read', { from: 1, maxBytes: 1000, fromCheckpoint }).frames.map(({ lsn }) => lsn)

    expect(read(true)).toEqual([1])
    checkpoint(log, 'here')
    commit(log, [payload(2)])
    expect([read(false), read(true)]).toEqual([[1, 3], [3]])
  })

  test('goes to a new segment when it does not fit, and is refused without space for one', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1, 1200)])
    const before = filesOf(world.disk)
    const { capacityBytes } = world.disk
    fill(world.disk)
    const large = new Uint8Array(1500).fill(7)

    expect(() => log.handle('checkpoint', { opaque: large })).toThrow(
      expect.objectContaining({ code: 'NO_SPACE' }),
    )
    expect(filesOf(world.disk)).toEqual(before)
    expect(commit(log, [payload(2, 40)]).count).toBe(1)

    world.disk.capacityBytes = capacityBytes
    const { coveredLsn } = log.handle('checkpoint', { opaque: large })
    expect(segmentsOn(world.disk)).toHaveLength(2)
    expect(coveredLsn).toBe(log.handle('describe', null).checkpointLsn)
    expect(log.handle('describe', null).checkpointLsn).toBeGreaterThanOrEqual(2)
  })

  test('is TOO_LARGE, with nothing written, when it does not fit a frame', () => {
    const { world, log } = openedLog()
    const before = filesOf(world.disk)
    const most = framePayloadMax(small) - 8

    expect(() => log.handle('checkpoint', { opaque: new Uint8Array(most + 1) })).toThrow(
      expect.objectContaining({ code: 'TOO_LARGE' }),
    )
    expect(filesOf(world.disk)).toEqual(before)
    expect(log.handle('checkpoint', { opaque: new Uint8Array(most) }).lsn).toBe(1)
  })

  test('may crash at any call: nothing is lost, and it is whole or absent', {
    tags: ['D21', 'E21'],
  }, () => {
    const world = newWorld()
    filled(world).abandon()
    crashEverywhere(
      world,
      (copy) => {
        const { log } = copy.open()
        checkpoint(log, 'x'.repeat(2000))
        log.abandon()
      },
      (copy, where) => {
        const { log } = copy.open()
        expect(left(log), where).toEqual(all)
        const { checkpointLsn, lastLsn } = log.handle('describe', null)
        expect(checkpointLsn, where).toBeLessThanOrEqual(lastLsn)
        log.abandon()
      },
    )
  })
})

describe('a read', () => {
  test('stops at the given LSN, also at the border of a segment', () => {
    const world = newWorld()
    const log = filled(world)
    const lsns = readAll(log).map(({ lsn }) => lsn)
    for (const to of [0, 1, 5, 6, 7, 8, 20, 1000]) {
      const found: number[] = []
      for (let from = 1; from <= to; ) {
        const answer = log.handle('read', { from, to, maxBytes: 900 })
        if (answer.frames.length === 0) break
        found.push(...answer.frames.map(({ lsn }) => lsn))
        from = answer.next
      }
      expect(found, `to ${to}`).toEqual(lsns.filter((lsn) => lsn <= to))
    }
  })
})

describe('a release', () => {
  test('removes whole segments, oldest first, and keeps every frame after the checkpoint', () => {
    const world = newWorld()
    const log = filled(world)
    checkpoint(log)
    commit(log, [payload(25, size)])
    const { segments } = log.handle('describe', null)

    const middle = segments[2]?.lastLsn ?? 0
    expect(release(log, middle - 1)).toMatchObject({ removed: 2, firstLsn: segments[2]?.baseLsn })
    expect(release(log, middle)).toMatchObject({ removed: 1, firstLsn: segments[3]?.baseLsn })
    expect(segmentsOn(world.disk).map((path) => path.slice(dir.length + 1))).toEqual(
      segments.slice(3).map(({ file }) => file),
    )
    expect(left(log).at(-1)).toBe(content(25, size))
  })

  test('never passes the checkpoint, a pin or the current segment', { tags: ['E39'] }, () => {
    const world = newWorld()
    const log = filled(world)
    expect(release(log)).toMatchObject({ removed: 0, firstLsn: 1 })

    checkpoint(log)
    const { segments } = log.handle('describe', null)
    const third = segments[2]?.baseLsn ?? 0
    const { pin } = log.handle('pin', { from: third })
    const later = log.handle('pin', { from: third + 1 })
    expect(release(log)).toMatchObject({ removed: 2, firstLsn: third })

    log.handle('pin', { from: (segments[3]?.lastLsn ?? 0) + 1, pin })
    expect(release(log)).toMatchObject({ removed: 0 })
    log.handle('unpin', later)
    expect(release(log)).toMatchObject({ removed: 2, firstLsn: segments[4]?.baseLsn })
    log.handle('unpin', { pin })
    release(log)
    expect(segmentsOn(world.disk).length).toBe(1)
  })

  test('keeps the frames that a reader pinned while segments are added and removed', {
    tags: ['D31'],
  }, () => {
    const world = newWorld()
    const log = filled(world)
    const { pin } = log.handle('pin', { from: 1 })
    const read: string[] = []
    for (let from = 1, number = 25; read.length < 24; number++) {
      const answer = log.handle('read', { from, maxBytes: 600 })
      from = answer.next
      log.handle('pin', { from, pin })
      for (const { offset, length } of answer.frames)
        read.push(
          Buffer.from(answer.bytes.subarray(offset + 8, offset + length)).toString('base64'),
        )
      commit(log, [payload(number, size)])
      checkpoint(log)
      release(log)
    }
    expect(read.slice(0, 24)).toEqual(all)
    expect(firstLsnOf(log)).toBeGreaterThan(1)
  })

  test('makes reading and pinning a removed LSN BAD_CURSOR', () => {
    const world = newWorld()
    const log = filled(world)
    checkpoint(log)
    release(log)
    const from = firstLsnOf(log) - 1

    const refused = expect.objectContaining({ code: 'BAD_CURSOR' })
    expect(() => log.handle('read', { from, maxBytes: 100 })).toThrow(refused)
    expect(() => log.handle('pin', { from })).toThrow(refused)
    expect(log.handle('pin', { from: from + 1 })).toMatchObject({ pin: 1 })
    expect(() => log.handle('pin', { from: from + 1, pin: 1 })).not.toThrow()
    log.handle('unpin', { pin: 1 })
    expect(() => log.handle('pin', { from: from + 1, pin: 1 })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })

  test('may crash at any call: only extra files remain', { tags: ['D21'] }, () => {
    const world = newWorld()
    const log = filled(world)
    checkpoint(log)
    commit(log, [payload(25, size)])
    log.abandon()
    const whole = [...all, content(25, size)]
    crashEverywhere(
      world,
      (copy) => {
        const { log } = copy.open()
        release(log)
        log.abandon()
      },
      (copy, where) => {
        const { log } = copy.open()
        const found = left(log)
        expect(found, where).toEqual(whole.slice(whole.length - found.length))
        expect(found.at(-1), where).toBe(content(25, size))
        release(log)
        expect(left(log).at(-1), where).toBe(content(25, size))
        log.abandon()
      },
    )
  })

  test('may fail at any call: the log can be read and opened', () => {
    const world = newWorld()
    const log = filled(world)
    checkpoint(log)
    log.abandon()
    failEverywhere(
      world,
      { kind: 'error' },
      (copy) => {
        const { log } = copy.open()
        try {
          release(log)
        } finally {
          expect(left(log).at(-1)).toBe(all.at(-1))
          log.abandon()
        }
      },
      (copy, _, where) => {
        const { log } = copy.open()
        expect(left(log).at(-1), where).toBe(all.at(-1))
        log.abandon()
      },
    )
  })

  test('does not depend on a MANIFEST slot that names a later segment: the checkpoint decides', () => {
    const { world, log } = openedLog()
    for (let number = 1; number <= 12; number++) commit(log, [payload(number, 900)])
    const { lsn } = log.handle('checkpoint', { opaque: new Uint8Array(0) })
    expect(release(log, lsn).removed).toBeGreaterThan(0)
    const { firstLsn } = release(log, lsn)
    log.abandon()
    world.disk.crash()

    for (const slot of [0, 4096]) {
      const copy = world.on(world.disk.clone())
      copy.disk.poke(`${dir}/MANIFEST`, slot + 100, Uint8Array.of(0x55, 0xaa))
      expect(copy.open().report, `slot at ${slot}`).toMatchObject({ firstLsn, lastLsn: lsn })
    }
  })

  test('is the only way to miss a segment: otherwise it is CORRUPT, with or without a checkpoint', {
    tags: ['D12'],
  }, () => {
    const world = newWorld()
    const log = filled(world)
    log.abandon()
    const [first = ''] = segmentsOn(world.disk)

    world.disk.remove(first)

    expect(() => world.inspect()).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })
})

describe('what may be released', () => {
  const segment = (lastLsn: number) => ({ lastLsn }) as Parameters<typeof releasable>[0][number]
  const sealed = [segment(10), segment(20), segment(30)]

  test('ends at the lowest limit', () => {
    expect(releasable(sealed, 9)).toEqual([])
    expect(releasable(sealed, 25, 100)).toEqual(sealed.slice(0, 2))
    expect(releasable(sealed, 100, 10)).toEqual(sealed.slice(0, 1))
    expect(releasable(sealed, 30, 30)).toEqual(sealed)
  })

  test('is never after the lowest pin', () => {
    const pins = new Pins()
    expect(pins.least).toBe(Number.POSITIVE_INFINITY)
    const first = pins.hold(7)
    const second = pins.hold(5)
    expect(pins.least).toBe(5)
    pins.hold(9, second)
    expect(pins.least).toBe(7)
    pins.drop(first)
    pins.drop(first)
    expect(pins.least).toBe(9)
    expect(() => pins.hold(1, first)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => pins.hold(1, 99)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    pins.drop(second)
    expect(pins.least).toBe(Number.POSITIVE_INFINITY)
  })
})

const part = (baseLsn: number, lastLsn: number, endOffset: number) =>
  ({ header: { baseLsn }, lastLsn, endOffset }) as Parameters<typeof bytesAfter>[0][number]

test.each([
  [0, 1_500],
  [10, 1_500],
  [15, 1_000],
  [20, 500],
  [25, 250],
  [30, 0],
  [40, 0],
])('after lsn %i lie %i bytes of frames: borders of segments are exact', (lsn, bytes) => {
  expect(bytesAfter([part(11, 20, 1_000), part(21, 30, 500), part(31, 30, 4_096)], lsn)).toBe(bytes)
})
