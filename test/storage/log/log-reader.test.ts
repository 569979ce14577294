import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import {
  commit,
  content,
  newestOn,
  newWorld,
  openedLog,
  payload,
  readAll,
  small,
} from '../../support/worlds/logs.ts'

const size = 300

/** Twenty frames over several segments, in a log that is open. */
const opened = () => {
  const { world, log } = openedLog()
  for (let number = 1; number <= 20; number++) commit(log, [payload(number, size)])
  return { world, log }
}

const contents = Array.from({ length: 20 }, (_, index) => content(index + 1, size))

describe('reading', () => {
  test.each([1, 300, 700, 5000, 1e6])(
    'in answers of %d bytes yields every DATA frame once, in order',
    (maxBytes) => {
      const { log } = opened()

      const frames = readAll(log, maxBytes)

      expect(frames.map((frame) => frame.content)).toEqual(contents)
      const lsns = frames.map(({ lsn }) => lsn)
      expect(lsns).toEqual([...lsns].sort((a, b) => a - b))
    },
  )

  test('keeps to its limit, except for a larger first frame', () => {
    const { log } = opened()

    expect(log.handle('read', { from: 1, maxBytes: 700 }).frames).toHaveLength(2)
    expect(log.handle('read', { from: 1, maxBytes: 600 }).frames).toHaveLength(2)
    expect(log.handle('read', { from: 1, maxBytes: 599 }).frames).toHaveLength(1)
    expect(log.handle('read', { from: 1, maxBytes: 0 }).frames).toHaveLength(1)
  })

  test('may begin at any LSN, and go back', () => {
    const { log } = opened()
    const lsns = readAll(log).map(({ lsn }) => lsn)
    const last = lsns.at(-1) ?? 0

    for (let from = last; from >= 1; from--) {
      const expected = lsns.filter((lsn) => lsn >= from)
      expect(
        readAll(log, 1000, from).map(({ lsn }) => lsn),
        `from ${from}`,
      ).toEqual(expected)
    }
  })

  test('beyond the end returns nothing and keeps the position', () => {
    const { log } = opened()
    const { lastLsn } = log.handle('describe', null)

    expect(log.handle('read', { from: lastLsn + 1, maxBytes: 100 })).toMatchObject({
      frames: [],
      next: lastLsn + 1,
    })
    expect(log.handle('read', { from: lastLsn + 50, maxBytes: 100 }).next).toBe(lastLsn + 50)
  })

  test('before the beginning is refused', () => {
    const { log } = opened()

    for (const from of [0, -1, Number.NaN])
      expect(() => log.handle('read', { from, maxBytes: 100 })).toThrow(
        expect.objectContaining({ code: 'BAD_CURSOR' }),
      )
  })

  test('follows a log that is written, and never returns a frame that is not durable', () => {
    const { log } = openedLog()
    const seen: number[] = []
    let next = 1
    let promised = 0
    for (let number = 1; number <= 40; number++) {
      const answer = commit(log, [payload(number, size)], { sync: number % 3 === 0 })
      promised = answer.durableLsn
      const read = log.handle('read', { from: next, maxBytes: 400 })
      for (const { lsn } of read.frames) expect(lsn).toBeLessThanOrEqual(promised)
      seen.push(...read.frames.map(({ lsn }) => lsn))
      next = read.next
    }
    log.handle('sync', null)
    seen.push(...readAll(log, 1000, next).map(({ lsn }) => lsn))

    expect(seen).toEqual(readAll(log).map(({ lsn }) => lsn))
    expect(seen).toHaveLength(40)
  })

  test('does not scan a segment again when it continues', () => {
    const { world, log } = openedLog({ ...small, maxFileSize: 1024 * 1024 })
    for (let number = 1; number <= 1000; number++) commit(log, [payload(number, size)])
    const calls = world.disk.recordCalls()

    const count = readAll(log, 3000).length

    const bytes = calls.reduce(
      (sum, { operation, bytes = 0 }) => sum + (operation === 'read' ? bytes : 0),
      0,
    )
    const answers = calls.filter(({ operation }) => operation === 'open').length
    expect(count).toBe(1000)
    // Each answer reads one window ahead. Walking from the start each time would read about fifty
    // times the file.
    expect(bytes).toBeLessThanOrEqual(answers * 256 * 1024)
    expect(answers).toBeLessThan(110)
  })

  test('reports where a frame is damaged, and returns the frames before it', () => {
    const { world, log } = opened()
    world.disk.flipBit(newestOn(world.disk), (4096 + 40) * 8)
    const damaged = log.handle('describe', null).segments.at(-1)

    const before: number[] = []
    let error: unknown
    try {
      for (let next = 1; ; ) {
        const answer = log.handle('read', { from: next, maxBytes: 1 })
        before.push(...answer.frames.map(({ lsn }) => lsn))
        next = answer.next
      }
    } catch (thrown) {
      error = thrown
    }

    expect(isKeelsonError(error, 'CORRUPT') && error.details).toMatchObject({
      file: damaged?.file,
      offset: 4096,
      lsn: damaged?.baseLsn,
    })
    expect(before.at(-1)).toBeLessThan(damaged?.baseLsn ?? 0)
  })

  test.each([1, 65_536, 100_000, 300_000])(
    'in answers of %d bytes keeps frames whole that lie across what is read at once',
    (maxBytes) => {
      const { log } = newWorld({ ...small, maxFileSize: 1024 * 1024 }).open()
      const sizes = Array.from({ length: 40 }, (_, at) => (at % 7 === 0 ? 90_000 : 9_000 + at))
      for (const [at, bytes] of sizes.entries()) commit(log, [payload(at, bytes)])

      const frames = readAll(log, maxBytes)

      expect(frames.map((frame) => frame.content)).toEqual(
        sizes.map((bytes, at) => content(at, bytes)),
      )
    },
  )

  test('returns little memory for few bytes', () => {
    const { log } = newWorld({ ...small, maxFileSize: 1024 * 1024 }).open()
    for (let number = 1; number <= 500; number++) commit(log, [payload(number, size)])

    const few = log.handle('read', { from: 2, to: 4, maxBytes: 1e6 })
    const many = log.handle('read', { from: 2, maxBytes: 100_000 })

    expect([few.frames.length, few.bytes.buffer.byteLength < 4096]).toEqual([3, true])
    expect(many.bytes.buffer.byteLength).toBeLessThanOrEqual(100_000)
  })

  test('of a poisoned log still returns the durable frames', () => {
    const { world, log } = opened()
    world.disk.inject({ at: 1, operation: 'sync', path: '.wal', fault: { kind: 'error' } })
    expect(() => commit(log, [payload(21, size)])).toThrow()

    expect(readAll(log).map((frame) => frame.content)).toEqual(contents)
  })
})

test('a description matches the files', () => {
  const { world, log } = opened()
  const { segments, lastLsn, durableLsn, epoch, walId } = log.handle('describe', null)

  expect({ epoch, walId }).toEqual({ epoch: 1, walId: world.inspect().walId })
  expect(durableLsn).toBe(lastLsn)
  expect(segments[0]?.baseLsn).toBe(1)
  for (const [index, segment] of segments.entries()) {
    const next = segments[index + 1]
    expect(segment.lastLsn).toBe(next ? next.baseLsn - 1 : lastLsn)
    expect(world.disk.entry(`/data/wal/${segment.file}`)?.size).toBe(segment.allocatedBytes)
    expect(segment.usedBytes).toBeLessThanOrEqual(segment.allocatedBytes)
  }
})
