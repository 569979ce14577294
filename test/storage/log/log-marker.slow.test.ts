/** The idle marker: after it no frame of the last group can be lost unnoticed. */
import { describe, expect, test } from 'vitest'
import type { Log } from '../../../src/storage/log/log.ts'
import { framePayloadMax } from '../../../src/storage/segments/log-limits.ts'
import { crashEverywhere } from '../../support/harm/log-crashes.ts'
import {
  commit,
  content,
  filesOf,
  type LogWorld,
  newestOn,
  newWorld,
  openedLog,
  payload,
  readAll,
  segmentsOn,
  small,
} from '../../support/worlds/logs.ts'

const mark = (log: Log): boolean => log.handle('mark', null).written
const contents = (log: Log): string[] => readAll(log).map((frame) => frame.content)

/** A log with frames 2 and 3 in its last group, with or without a marker after it. */
const left = (marked: boolean): LogWorld => {
  const { world, log } = openedLog()
  commit(log, [payload(1)])
  commit(log, [payload(2), payload(3)])
  if (marked) expect(mark(log)).toBe(true)
  log.abandon()
  return world
}

/** The bytes of the last group, without a marker and the padding. */
const lastGroup = (world: LogWorld): { readonly from: number; readonly to: number } => {
  const bytes = world.disk.contents(newestOn(world.disk))
  const from = 4096 + 512
  let to = from + 512
  while (bytes[to - 1] === 0) to--
  return { from, to }
}

describe('a marker', () => {
  test('makes damage to any bit of the last group CORRUPT, and nothing is changed', {
    tags: ['E43'],
  }, () => {
    const world = left(true)
    const { from, to } = lastGroup(left(false))
    expect(to - from).toBeGreaterThan(100)
    for (let bit = from * 8; bit < to * 8; bit++) {
      const copy = world.on(world.disk.clone())
      copy.disk.flipBit(newestOn(copy.disk), bit)
      const before = filesOf(copy.disk)
      expect(() => copy.open(), `bit ${bit}`).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
      expect(filesOf(copy.disk), `bit ${bit}`).toEqual(before)
    }
  })

  test('is the only reason: without it the same damage cuts the group', { tags: ['E43'] }, () => {
    const world = left(false)
    const { from } = lastGroup(world)

    world.disk.flipBit(newestOn(world.disk), from * 8)

    expect(world.inspect()).toMatchObject({ tail: 'torn', lastLsn: 1 })
  })

  test('makes a zeroed sector of the last group CORRUPT', { tags: ['D5'] }, () => {
    const world = left(true)

    world.disk.poke(newestOn(world.disk), lastGroup(left(false)).from, new Uint8Array(512))

    expect(() => world.inspect()).toThrow(
      expect.objectContaining({
        code: 'CORRUPT',
        details: expect.objectContaining({ lsn: 2, evidence: expect.stringContaining('3') }),
      }),
    )
  })

  test('causes no other loss when it is lost itself', () => {
    const world = left(true)

    world.disk.flipBit(newestOn(world.disk), (4096 + 1024) * 8)

    expect(contents(world.open().log)).toEqual([content(1), content(2), content(3)])
  })

  test('is written once for each group, and syncs once', () => {
    const { log } = newWorld().open()
    expect(mark(log)).toBe(false)
    commit(log, [payload(1)])

    expect([mark(log), mark(log)]).toEqual([true, false])
    commit(log, [payload(2)])
    expect([mark(log), mark(log)]).toEqual([true, false])
    expect(log.handle('describe', null)).toMatchObject({ lastLsn: 4, durableLsn: 4 })
  })

  test('is not written for frames that an opening, a checkpoint or a roll has proven', () => {
    const world = left(false)
    const { log } = world.open()
    expect(mark(log)).toBe(false)

    commit(log, [payload(4)])
    log.handle('checkpoint', { opaque: new Uint8Array(0) })
    expect(mark(log)).toBe(false)

    expect(commit(log, [payload(5, 2000), payload(6, 2000)]).rolled).toBe(true)
    expect(mark(log)).toBe(true)
  })

  test('makes written frames durable, and proves them too', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1)], { sync: false })

    expect(log.handle('mark', null)).toEqual({ written: true, durableLsn: 2 })

    world.disk.crash({ unsynced: 'lost' })
    expect(world.inspect()).toMatchObject({ lastLsn: 2, provenLsn: 1 })
  })

  test('leaves room for the seal and for the close, wherever the segment ends', () => {
    for (let size = 8; size <= framePayloadMax(small); size += 24) {
      const { world, log } = openedLog()
      const calls = world.disk.recordCalls()
      let sizes: number[] = []
      for (let number = 0; segmentsOn(world.disk).length < 3; number++) {
        commit(log, [payload(number, size)])
        sizes = [...sizes, number]
        mark(log)
      }
      log.handle('close', { projectedLsn: 0 })
      const again = world.open()
      expect(again.report.tail, `frames of ${size} bytes`).toBe('clean')
      const ends = calls.map(({ offset = 0, bytes = 0 }) => offset + bytes)
      expect(Math.max(...ends), `frames of ${size} bytes`).toBeLessThanOrEqual(small.maxFileSize)
      expect(contents(again.log)).toEqual(sizes.map((number) => content(number, size)))
    }
  })

  test('fits into the reserved room after a group that fills the segment to its last usable sector', () => {
    const { world, log } = openedLog()
    // Three sectors are reserved; two of them are for the end of the segment.
    const room = small.maxFileSize - 4096 - 3 * 512
    commit(log, [payload(1, room - 32)])

    expect([mark(log), mark(log)]).toEqual([true, false])

    log.handle('close', { projectedLsn: 0 })
    expect(world.open().report).toMatchObject({ tail: 'clean', lastLsn: 4 })
  })

  test('may crash at any call: everything acknowledged is there', { tags: ['D1', 'D2'] }, () => {
    const world = left(false)
    crashEverywhere(
      world,
      (copy) => {
        const { log } = copy.open()
        commit(log, [payload(4)])
        mark(log)
        log.abandon()
      },
      (copy, where) => {
        const { log } = copy.open()
        expect(contents(log).slice(0, 3), where).toEqual([content(1), content(2), content(3)])
        log.abandon()
      },
    )
  })

  test('poisons the log when its sync fails, like every write', { tags: ['D15'] }, () => {
    const { world, log } = openedLog()
    commit(log, [payload(1)])
    world.disk.inject({ at: 1, operation: 'sync', fault: { kind: 'error' } })

    const poisoned = expect.objectContaining({
      code: 'SHARD_DOWN',
      details: expect.objectContaining({ reason: 'poisoned' }),
    })
    expect(() => mark(log)).toThrow(poisoned)
    expect(() => commit(log, [payload(2)])).toThrow(poisoned)
    world.disk.killProcess()
    expect(contents(world.open().log)).toEqual([content(1)])
  })
})
