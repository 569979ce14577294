/** How much of a log its retention keeps, and how old a segment is whatever the machine's clock reads. */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import type { Log } from '../../../src/storage/log/log.ts'
import { retentionEnd } from '../../../src/storage/log/log-retention.ts'
import { simulatedDisk } from '../../../src/testing/index.ts'
import { commit, name, payload, release, small, worldOn } from '../../support/worlds/logs.ts'

const day = 24 * 3_600_000

type Segments = Parameters<typeof retentionEnd>[0]

/** Segments of 100 bytes and 10 frames, made at these times. */
const segmentsOf = (...made: readonly number[]) =>
  made.map((createdMs, at) => ({
    header: { seq: at + 1, baseLsn: 10 * at + 1, createdMs },
    lastLsn: 10 * at + 10,
    endOffset: 100,
  })) as unknown as Segments

describe('the retention of a log that has been open since its beginning', () => {
  const segments = segmentsOf(0, 1_000, 2_000, 3_000, 4_000)
  const open = (elapsedMs: number) => ({ seq: 1, openedMs: 0, lastTime: 0, elapsedMs })

  test('by time ends before the first segment with a frame that is young enough', () => {
    expect(retentionEnd(segments, { ms: 2_000 }, open(4_000))).toBe(20)
    expect(retentionEnd(segments, { ms: 1_999 }, open(4_000))).toBe(20)
    expect(retentionEnd(segments, { ms: 2_001 }, open(4_000))).toBe(10)
    expect(retentionEnd(segments, { ms: 9_000 }, open(4_000))).toBe(0)
    expect(retentionEnd(segments, { ms: 0 }, open(9_000))).toBe(40)
  })

  test('by bytes leaves at least as many', () => {
    expect(retentionEnd(segments, { bytes: 200 }, open(9_000))).toBe(30)
    expect(retentionEnd(segments, { bytes: 201 }, open(9_000))).toBe(20)
    expect(retentionEnd(segments, { bytes: 9_999 }, open(9_000))).toBe(0)
  })

  test('by both keeps what either keeps', () => {
    expect(retentionEnd(segments, { ms: 2_000, bytes: 100 }, open(4_000))).toBe(20)
    expect(retentionEnd(segments, { ms: 0, bytes: 300 }, open(4_000))).toBe(20)
  })
})

describe('the retention by time of a log from before this opening', () => {
  /** The last segment is that of the opening. */
  const endOf = (
    made: readonly number[],
    ms: number,
    terms: { last?: number; elapsedMs?: number },
  ) => {
    const openedMs = made.at(-1) ?? 0
    const { last = openedMs, elapsedMs = 0 } = terms
    return retentionEnd(
      segmentsOf(...made),
      { ms },
      { seq: made.length, openedMs, lastTime: last, elapsedMs },
    )
  }

  test('counts up to the last time stamp, and from the opening on', () => {
    const made = [0, 1 * day, 2 * day, 30 * day]
    expect(endOf(made, 7 * day, { last: 3 * day })).toBe(0)
    expect(endOf(made, 7 * day, { last: 3 * day, elapsedMs: 5 * day - 1 })).toBe(0)
    expect(endOf(made, 7 * day, { last: 3 * day, elapsedMs: 5 * day })).toBe(10)
    expect(endOf(made, 7 * day, { last: 3 * day, elapsedMs: 7 * day })).toBe(30)
    expect(endOf([...made, 31 * day], 7 * day, { last: 30 * day })).toBe(20)
  })

  test('does not wait for segments that were made while the clock was ahead', () => {
    const ahead = (elapsedMs: number) =>
      endOf([0, 730 * day, 731 * day, 1 * day, 8 * day, 9 * day], 7 * day, { elapsedMs })
    expect([0, 6 * day, 7 * day].map(ahead)).toEqual([30, 40, 50])
  })

  test('takes no segment for older than those before it, whose clock was behind', () => {
    const behind = (elapsedMs: number) =>
      endOf([5_000, 6_000, 7_000, 0, 7_500, 9_000], 3_000, { elapsedMs })
    expect([0, 999, 1_000, 1_499, 1_500].map(behind)).toEqual([10, 10, 20, 20, 40])
  })

  test('counts from the opening on if the clock is behind all of them', () => {
    const wrong = (elapsedMs: number) =>
      endOf([8 * day, 9 * day, 10 * day, 0], 7 * day, { elapsedMs })
    expect([0, 6 * day, 7 * day].map(wrong)).toEqual([0, 0, 30])
  })
})

describe('a log that keeps a week', () => {
  const week = { ...small, retention: { ms: 7 * day } }
  const world = () => {
    const clock = virtualClock()
    const disk = simulatedDisk({ seed: 1, sectorBytes: small.sectorBytes })
    const logs = worldOn(disk, week, 1, clock)
    logs.create()
    let lsn = 0
    /** Fills three segments and gives back what may go. Answers how many segments went. */
    const works = (log: Log): number => {
      for (let frame = 0; frame < 24; frame++)
        lsn = commit(log, [payload(frame, 900)], { now: clock.now() }).firstLsn
      name(log, { lsn, bytes: 1, sum: 1 }, 1)
      return release(log).removed
    }
    return { clock, works, open: () => logs.open().log }
  }

  test('gives nothing back early, however the clock is set while it is open', async () => {
    const { clock, works, open } = world()
    const log = open()
    works(log)
    const right = clock.now()
    for (const byMs of [40 * day, -40 * day]) {
      clock.set(right + byMs)
      expect(works(log)).toBe(0)
    }
    clock.set(right)
    await clock.advance(6 * day)
    expect(works(log)).toBe(0)
    await clock.advance(1 * day)
    expect(works(log)).toBeGreaterThan(5)
  })

  test('gives nothing back for an opening while the clock is ahead, then or later', async () => {
    const { clock, works, open } = world()
    const first = open()
    works(first)
    first.handle('close', { projectedLsn: 0 })
    const right = clock.now()
    clock.set(right + 40 * day)
    const ahead = open()
    expect(works(ahead)).toBe(0)
    clock.set(right)
    expect(works(ahead)).toBe(0)
    ahead.handle('close', { projectedLsn: 0 })
    const last = open()
    expect(works(last)).toBe(0)
    await clock.advance(7 * day)
    expect(works(last)).toBeGreaterThan(5)
  })
})
