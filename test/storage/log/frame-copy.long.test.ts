import { expect, test } from 'vitest'
import { commit, content, dir, openedLog, payload, readAll } from '../../support/worlds/logs.ts'

const mebi = 1024 * 1024
const roomy = { maxFileSize: 32 * mebi, sectorBytes: 512 }

/** A log that was killed after one group that nothing proves: all of it must be copied. */
const killedBehind = (sizes: readonly number[]) => {
  const { world, log } = openedLog(roomy)
  // The first segment of a life is small; the next one holds everything.
  commit(log, [payload(0, mebi)])
  commit(
    log,
    sizes.map((size, index) => payload(index + 1, size)),
    { sync: false },
  )
  log.abandon()
  return world
}

test('a copy at opening is written in groups of bounded size, with unchanged content', () => {
  const sizes = Array.from({ length: 90 }, (_, index) => 100_000 + index)
  const world = killedBehind(sizes)
  const calls = world.disk.recordCalls()

  const { log, report } = world.open()

  expect(report).toMatchObject({ copiedFrames: sizes.length })
  const writes = calls.filter(({ operation }) => operation === 'write')
  expect(writes.filter(({ bytes = 0 }) => bytes > 500_000).length).toBeGreaterThan(8)
  expect(Math.max(...writes.map(({ bytes = 0 }) => bytes))).toBeLessThanOrEqual(mebi)
  const found = readAll(log, mebi).slice(1)
  expect(found.map((frame) => frame.content)).toEqual(
    sizes.map((size, index) => content(index + 1, size)),
  )
})

/** The greatest number of frames in one log. */
const most = 3000

test('a copy fits its segment at every size of frame, and the log continues after it', () => {
  for (const size of [8, 524_300, 4000, 524_257, 700_001, mebi, mebi - 32, 3 * mebi]) {
    const sizes = Array.from(
      { length: Math.max(3, Math.floor((6 * mebi) / (size + 64))) },
      () => size,
    )
    const world = killedBehind(sizes.slice(0, most))
    const second = world.open()
    expect(second.report.copiedFrames, `${size} bytes`).toBe(Math.min(most, sizes.length))
    for (const { usedBytes, allocatedBytes } of second.log.handle('describe', null).segments)
      expect(usedBytes).toBeLessThanOrEqual(allocatedBytes)
    commit(second.log, [payload(7, 5000)])
    second.log.abandon()
    world.disk.crash({ unsynced: 'lost' })

    const found = readAll(world.open().log, mebi)
    expect(found, `${size} bytes`).toHaveLength(2 + Math.min(most, sizes.length))
    expect(found.at(-1)?.content).toBe(content(7, 5000))
  }
})

test('a copy that is interrupted between its groups leaves the log unchanged', () => {
  const sizes = Array.from({ length: 40 }, () => 100_000)
  const expected = [content(0, mebi), ...sizes.map((size, index) => content(index + 1, size))]
  for (let at = 1; at <= 6; at++) {
    const world = killedBehind(sizes)
    // The page cache survives: the process dies, and later another one opens the log.
    world.disk.inject({
      at,
      operation: 'write',
      path: `${dir}/spare-1.tmp`,
      fault: { kind: 'halt' },
    })
    expect(() => world.open()).toThrow()
    world.disk.killProcess()
    world.disk.clearFaults()

    const { log, report } = world.open()
    expect(report.copiedFrames, `write ${at}`).toBe(sizes.length)
    expect(readAll(log, mebi).map((frame) => frame.content)).toEqual(expected)
  }
})
