/**
 * The readable frames of a damaged log become a new log with the old LSNs, and the lost ones are
 * recorded.
 */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { parseSegmentName } from '../../../src/storage/segments/log-folder.ts'
import type { SimulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import { nothingFound, type Salvaged, salvaging } from '../../../src/tools/restore/shard-salvage.ts'
import { verifyLog } from '../../support/verify-log.ts'
import {
  commit,
  content,
  crashedLogOf,
  dir,
  filesOf,
  newestOn,
  openSalvaged,
  payload,
  readAll,
  runToEnd,
  segmentsOn,
} from '../../support/worlds/logs.ts'

const to = '/rescued/wal'

const makeTarget = (disk: SimulatedDisk): void => {
  if (disk.entry(to)) return
  disk.makeFolder(to)
  disk.syncFolder('/rescued')
  disk.syncFolder('/')
}

const salvage = (
  disk: SimulatedDisk,
  evidence: { lsn: number; source: string }[] = [],
): Salvaged => {
  const found = verifyLog(disk, dir, { evidence, heldFrom: 1 })
  makeTarget(disk)
  return runToEnd(salvaging({ disk, clock: virtualClock(7), from: dir, found, to }))
}

/** Opens a salvaged log as an instance does, writes, crashes, and reads it again. */
const reopened = (disk: SimulatedDisk) => {
  const open = () => openSalvaged(disk, to)
  const { log, inspection } = open()
  const frames = readAll(log)
  commit(log, [payload(99)])
  log.abandon()
  disk.crash()
  const again = readAll(open().log)
  expect(again.slice(0, frames.length)).toEqual(frames)
  expect(again.at(-1)?.content).toBe(content(99))
  return { frames, inspection }
}

describe('a salvaged log', () => {
  test('of a valid log has every frame with its LSN, and opens like a closed log', () => {
    const world = crashedLogOf(12)
    const before = readAll(world.on(world.disk.clone()).open().log)

    const { lost } = salvage(world.disk)

    const { frames, inspection } = reopened(world.disk)
    expect(lost).toEqual([])
    expect(frames).toEqual(before)
    expect(inspection).toMatchObject({ tail: 'clean', remarks: [] })
  })

  test('lacks a damaged frame, has all others with their LSNs, and records the loss', {
    tags: ['E50'],
  }, () => {
    const world = crashedLogOf(12)
    const before = readAll(world.on(world.disk.clone()).open().log)
    const [first = ''] = segmentsOn(world.disk)
    world.disk.flipBit(first, (4096 + 40) * 8)
    const source = filesOf(world.disk)

    const { lost } = salvage(world.disk)

    expect(lost).toEqual([{ from: 1, to: 1 }])
    expect(reopened(world.disk).frames).toEqual(before.slice(1))
    expect(verifyLog(world.disk, to)).toMatchObject({ verdict: 'clean', lostBefore: lost })
    expect(filesOf(world.disk)).toEqual(source)
  })

  test('of a log without its middle segment lacks the frames of that segment', () => {
    const world = crashedLogOf(20)
    const before = readAll(world.on(world.disk.clone()).open().log)
    const gone = segmentsOn(world.disk)[1] ?? ''
    world.disk.remove(gone)

    const { lost } = salvage(world.disk)

    const [range] = lost
    expect(lost).toHaveLength(1)
    expect(reopened(world.disk).frames).toEqual(
      before.filter(({ lsn }) => lsn < (range?.from ?? 0) || lsn > (range?.to ?? 0)),
    )
  })

  test('leaves out a torn tail, and loses nothing', () => {
    const world = crashedLogOf(3)
    world.disk.flipBit(newestOn(world.disk), (4096 + 2048 + 40) * 8)

    const { lost } = salvage(world.disk)

    expect(lost).toEqual([])
    expect(reopened(world.disk).frames.map(({ lsn }) => lsn)).toEqual([1, 2, 3, 4])
  })

  test('continues after frames that evidence proves to be lost at its end', () => {
    const world = crashedLogOf(3)

    const { lost, lastLsn } = salvage(world.disk, [{ lsn: 9, source: 'a replica' }])

    expect([lost, lastLsn]).toEqual([[{ from: 7, to: 9 }], 10])
    expect(reopened(world.disk).frames).toHaveLength(6)
  })

  test('loses the frames of a segment with two damaged header copies, and no other', () => {
    const world = crashedLogOf(20)
    const before = readAll(world.on(world.disk.clone()).open().log)
    const [, headless = '', next = ''] = segmentsOn(world.disk)
    const firstIn = (path: string): number =>
      parseSegmentName(path.slice(path.lastIndexOf('/') + 1))?.baseLsn ?? 0
    world.disk.poke(headless, 0, new Uint8Array(4096))

    const { lost } = salvage(world.disk)

    const gone = { from: firstIn(headless), to: firstIn(next) - 1 }
    expect(lost).toEqual([gone])
    expect(reopened(world.disk).frames).toEqual(
      before.filter(({ lsn }) => lsn < gone.from || lsn > gone.to),
    )
  })

  test('of more lost frames than it records is TOO_LARGE, and nothing is made', () => {
    const { disk } = crashedLogOf(1)
    makeTarget(disk)
    const lost = [{ from: 1, to: 2 ** 27 + 1 }]
    const found = { ...nothingFound(), lost }

    expect(() =>
      runToEnd(salvaging({ disk, clock: virtualClock(7), from: dir, found, to })),
    ).toThrow(expect.objectContaining({ code: 'TOO_LARGE', details: { lost, limit: 2 ** 27 } }))
    expect(disk.list(to)).toEqual([])
  })

  test('records few lost frames wherever they are in the log', () => {
    const { disk } = crashedLogOf(1)
    makeTarget(disk)
    const lost = [{ from: 2 ** 27, to: 2 ** 27 + 2 }]
    const found = { ...nothingFound(), lost }
    const made = runToEnd(salvaging({ disk, clock: virtualClock(7), from: dir, found, to }))

    expect(made).toMatchObject({ lost, firstLsn: 2 ** 27, frames: 0 })
    expect(made.lastLsn).toBe(2 ** 27 + 3)
  })

  test('of which nothing is left to say so has an id of its own, and another one keeps its own', () => {
    const idOf = (walId: string): string => {
      const { disk } = crashedLogOf(1)
      makeTarget(disk)
      const found = { ...nothingFound(), walId }
      return runToEnd(salvaging({ disk, clock: virtualClock(7), from: dir, found, to })).walId
    }

    expect(idOf('')).toMatch(/^[0-9a-f]{32}$/)
    expect(idOf('ab'.repeat(16))).toBe('ab'.repeat(16))
  })

  test('that was interrupted at any call is refused or complete', () => {
    const source = crashedLogOf(12)
    source.disk.flipBit(segmentsOn(source.disk)[0] ?? '', (4096 + 40) * 8)
    const whole = source.disk.clone()
    salvage(whole)
    const expected = reopened(whole).frames
    const outcomes = new Set<string>()
    for (let call = 1; ; call++) {
      const disk = source.disk.clone()
      makeTarget(disk)
      disk.inject({ at: call, operation: changingOperations, fault: { kind: 'halt' } })
      let finished = true
      try {
        salvage(disk)
      } catch {
        finished = false
      }
      disk.crash(finished ? { unsynced: 'lost' } : {})
      if (finished) {
        // Complete, and durable with its names.
        expect(reopened(disk).frames).toEqual(expected)
        break
      }
      try {
        const { frames } = reopened(disk)
        expect(frames).toEqual(expected)
        outcomes.add('whole')
      } catch (error) {
        outcomes.add((error as { code?: string }).code ?? String(error))
      }
    }
    expect([...outcomes].sort()).toEqual(['CORRUPT', 'NO_SEGMENTS', 'whole'])
  })
})
