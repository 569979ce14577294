/**
 * Two logs with a common past: a copy of a folder that diverges has segments of the same names,
 * numbers and sizes.
 */
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import type { LogPlan } from '../../../src/storage/log/log-plan.ts'
import { LogReader } from '../../../src/storage/log/log-reader.ts'
import { codeOf } from '../../support/error-codes.ts'
import {
  commit,
  content,
  dir,
  filesOf,
  type LogWorld,
  newWorld,
  openedLog,
  payload,
  readAll,
  segmentsOn,
} from '../../support/worlds/logs.ts'

const size = 900

/** Frames from `first` on, two per segment, all projected. The life ends in a close or a crash. */
const live = (world: LogWorld, first: number, ends: 'close' | 'crash' = 'close'): void => {
  const { log } = world.open()
  for (let number = first; number < first + 12; number++)
    commit(log, [payload(number, size)], { projectedLsn: 1e6 })
  log.handle('checkpoint', { opaque: new Uint8Array(0) })
  commit(log, [payload(first + 12, size)])
  if (ends === 'close') log.handle('close', { projectedLsn: 1e6 })
  else log.abandon()
}

/** A log and its diverged copy: a few common frames, then different frames at the same places. */
const twoTimelines = (ends: 'close' | 'crash' = 'close') => {
  const ours = newWorld()
  live(ours, 0, ends)
  const theirs = ours.on(ours.disk.clone())
  live(ours, 100, ends)
  live(theirs, 200, ends)
  const names = segmentsOn(theirs.disk)
  expect(names).toEqual(segmentsOn(ours.disk))
  const differing = names.filter(
    (name) => !Buffer.from(ours.disk.contents(name)).equals(theirs.disk.contents(name)),
  )
  expect(differing.length).toBeGreaterThan(3)
  return { ours, theirs, names, differing }
}

const exchange = (to: LogWorld, from: LogWorld, names: readonly string[]): LogWorld => {
  for (const name of names) {
    const bytes = from.disk.contents(name)
    const file = to.disk.open(name, 'write')
    file.truncate(bytes.length)
    file.write(bytes, 0)
    file.close()
  }
  return to
}

describe('segments of a diverged copy', () => {
  for (const ends of ['close', 'crash'] as const)
    test(`are refused at opening at any place, also before the checkpoint, after a ${ends}`, () => {
      const { ours, theirs, differing } = twoTimelines(ends)
      for (let from = 0; from < differing.length; from++)
        for (let to = from + 1; to <= differing.length; to++) {
          // If all files except MANIFEST are from the copy, MANIFEST refuses them.
          const names = differing.slice(from, to)
          const mixed = exchange(ours.on(ours.disk.clone()), theirs, names)
          const before = filesOf(mixed.disk)

          expect(
            codeOf(() => mixed.inspect()),
            `${from} to ${to}`,
          ).toBe('CORRUPT')
          expect(filesOf(mixed.disk)).toEqual(before)
        }
    })

  test('are reported at the segment where the two meet', () => {
    const { ours, theirs, differing } = twoTimelines()
    const [first = '', second = ''] = differing
    exchange(ours, theirs, [second])

    let found: unknown
    try {
      ours.inspect()
    } catch (error) {
      found = error
    }

    expect(isKeelsonError(found, 'CORRUPT') && found.details.file).toBe(first.slice(dir.length + 1))
  })

  test('that replace files of an open log are refused when they are read', () => {
    const { ours, theirs, differing } = twoTimelines()
    const { log } = ours.open()
    exchange(ours, theirs, differing.slice(1, 2))

    expect(codeOf(() => readAll(log))).toBe('CORRUPT')
  })

  test('are refused by a reader that expects another end, which returns none of their last frames', () => {
    const { ours } = twoTimelines()
    const [segment] = (ours.inspect().plan as LogPlan).chain
    if (!segment) throw new Error('there is no sealed segment')
    const read = (changes: Partial<typeof segment>) =>
      new LogReader(ours.disk, dir).read([{ ...segment, ...changes }], segment.lastLsn, {
        from: 1,
        maxBytes: 1e6,
      })

    expect(read({}).frames.length).toBeGreaterThan(0)
    expect(codeOf(() => read({ lastCrc: segment.lastCrc ^ 1 }))).toBe('CORRUPT')
    expect(codeOf(() => read({ endOffset: segment.endOffset + 8 }))).toBe('CORRUPT')
  })

  test('cause no error once the right files are back', () => {
    const { ours, theirs, differing } = twoTimelines()
    const own = ours.on(ours.disk.clone())
    exchange(ours, theirs, differing.slice(1, 3))
    expect(codeOf(() => ours.inspect())).toBe('CORRUPT')

    exchange(ours, own, differing.slice(1, 3))

    const numbers = [0, 100].flatMap((first) =>
      Array.from({ length: 13 }, (_, index) => content(first + index, size)),
    )
    expect(readAll(ours.open().log).map((frame) => frame.content)).toEqual(numbers)
  })
})

describe('a segment before the checkpoint', () => {
  test('that a crash ended early is verified by its last frame', () => {
    const { ours } = twoTimelines('crash')
    const calls = ours.disk.recordCalls()
    const { log } = ours.open()
    const first = segmentsOn(ours.disk)[0] ?? ''

    // Reads the header and one piece at the end, not the whole segment.
    const reads = calls.filter(({ operation, path }) => operation === 'read' && path === first)
    expect(reads.map(({ bytes }) => bytes)).toHaveLength(2)
    expect(readAll(log)).toHaveLength(26)
  })

  test('with a last frame longer than the searched bytes is read completely, and is valid', () => {
    const { world, log } = openedLog({ maxFileSize: 2 ** 20, sectorBytes: 512 })
    commit(log, [payload(1), payload(2, 600_000)])
    log.abandon()
    const second = world.open().log
    commit(second, [payload(3)], { projectedLsn: 1e6 })
    second.handle('checkpoint', { opaque: new Uint8Array(0) })
    second.handle('close', { projectedLsn: 1e6 })

    expect(readAll(world.open().log, 1e6)).toHaveLength(3)
  })
})
