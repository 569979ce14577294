/** The writer of one log on a disk without faults: opening, commits, rolls and close. */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { DiskError } from '../../../src/storage/ports/disk.ts'
import { framePayloadMax, unitBytesMax } from '../../../src/storage/segments/log-limits.ts'
import {
  commit,
  content,
  dir,
  filesOf,
  fill,
  type LogWorld,
  newestOn,
  newWorld,
  openedLog,
  payload,
  readAll,
  segmentsOn,
  small,
  worldOn,
} from '../../support/worlds/logs.ts'

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

describe('a commit that another thread syncs', () => {
  /** A log with one commit that is synced, and one that is written. */
  const written = () => {
    const { world, log } = openedLog()
    commit(log, [payload(1)])
    const bytes = payload(2)
    const request = { bytes, lengths: [bytes.length], now: 0, sync: true, projectedLsn: 0 }
    return { world, log, ...log.write(request) }
  }

  test('is durable at its end, not before', () => {
    const { log, unsynced, end } = written()
    expect(log.handle('state', null).durableLsn).toBe(1)

    expect(end(() => unsynced?.sync())).toMatchObject({ lsns: [2], durableLsn: 2 })

    expect(log.handle('state', null).durableLsn).toBe(2)
  })

  test('whose sync failed poisons the log: nothing more is written, and nothing is synced again', () => {
    const { world, log, end } = written()
    const fail = () => {
      throw new DiskError('EIO', 'sync', 'x')
    }
    const poisoned = expect.objectContaining({
      code: 'SHARD_DOWN',
      details: expect.objectContaining({ reason: 'poisoned' }),
    })
    expect(() => end(fail)).toThrow(poisoned)

    const before = filesOf(world.disk)
    expect(() => commit(log, [payload(3)])).toThrow(poisoned)
    expect(() => log.handle('sync', null)).toThrow(poisoned)
    expect(filesOf(world.disk)).toEqual(before)
  })

  test('has no file to sync if it asks for no sync', () => {
    const { log } = openedLog()
    const bytes = payload(1)
    const request = { bytes, lengths: [bytes.length], now: 0, sync: false, projectedLsn: 0 }

    const { unsynced, end } = log.write(request)

    expect(unsynced).toBeUndefined()
    expect(end(() => expect.unreachable())).toMatchObject({ lsns: [1], durableLsn: 0, syncMs: 0 })
  })
})

describe('a new log', () => {
  test('opens empty, in epoch 1', () => {
    const { report, inspection } = newWorld().open()

    expect(inspection).toMatchObject({ exists: true, lastLsn: 0, hasFrames: false, cutBytes: 0 })
    expect(report).toMatchObject({ epoch: 1, firstLsn: 1, lastLsn: 0, lastTime: 0, segments: 1 })
  })

  test('does not exist before it is created', () => {
    const world = worldOn(newWorld().disk.clone(), small)
    world.disk.remove(dir)

    expect(world.inspect()).toMatchObject({ exists: false, hasFrames: false })
    expect(() => world.open()).toThrow(expect.objectContaining({ code: 'NO_SEGMENTS' }))
  })

  test('is not created over a log that holds frames', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1)])
    log.abandon()

    const before = filesOf(world.disk)
    expect(() => world.create()).toThrow(expect.objectContaining({ code: 'CONFLICT' }))
    expect(filesOf(world.disk)).toEqual(before)
  })

  test('is created again over a log without frames', () => {
    const world = newWorld()
    const { walId } = world.inspect()

    world.create()

    expect(world.inspect()).toMatchObject({ exists: true, hasFrames: false })
    expect(world.inspect().walId).not.toBe(walId)
  })

  test.each([
    ['sectors of 1,000 bytes', { ...small, sectorBytes: 1000 }],
    ['a segment without room for a frame', { ...small, maxFileSize: 5000 }],
    ['a segment of 3 GiB', { ...small, maxFileSize: 3 * 2 ** 30 }],
  ])('is refused with %s', (_, options) => {
    const world = worldOn(newWorld().disk.clone(), options)

    expect(() => world.create()).toThrow(expect.objectContaining({ code: 'CONFIG' }))
  })
})

describe('a commit', () => {
  test('is read byte for byte after another opening', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1, 100)], { now: 7 })
    log.abandon()

    const second = world.open()

    expect(second.report).toMatchObject({ lastLsn: 1, lastTime: 7, epoch: 2, tail: 'unclean' })
    expect(readAll(second.log)).toEqual([{ lsn: 1, time: 7, content: content(1, 100) }])
  })

  test('takes the empty payload, a time stamp alone, and the longest payload', () => {
    const { world, log } = openedLog()
    const longest = framePayloadMax(small)
    commit(log, [payload(1, 8)])
    commit(log, [payload(2, longest)])
    log.abandon()

    const found = readAll(world.open().log)

    expect(found.map((frame) => frame.content)).toEqual([content(1, 8), content(2, longest)])
  })

  test('is refused before anything is written if a frame is too large', () => {
    const { world, log } = openedLog()
    const before = filesOf(world.disk)

    const tooLarge = () => commit(log, [payload(1), payload(2, framePayloadMax(small) + 1)])

    expect(tooLarge).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
    expect(filesOf(world.disk)).toEqual(before)
    expect(commit(log, [payload(3)]).lsns).toEqual([1])
  })

  test('has room in a frame for the largest unit and everything around it', () => {
    const usual = { maxFileSize: 16 * 2 ** 20, sectorBytes: 512 }
    const smallest = { maxFileSize: 128 * 1024, sectorBytes: 4096 }

    for (const options of [usual, smallest])
      expect(framePayloadMax(options) - unitBytesMax(options)).toBeGreaterThan(32 * 1024)
  })

  test.each([
    ['lengths that do not add up', { lengths: [20] }],
    ['a frame shorter than its stamp', { lengths: [7, 33] }],
    ['a time that is no whole number', { lengths: [40], now: 1.5 }],
  ])('with %s is refused, and the log goes on', (_, wrong) => {
    const { log } = newWorld().open()
    const request = { bytes: payload(1), now: 0, sync: true, projectedLsn: 0, ...wrong }

    expect(() => log.handle('commit', request)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    expect(commit(log, [payload(1)]).lsns).toEqual([1])
  })

  test('without frames syncs the frames written before and takes no LSN', () => {
    const { log } = newWorld().open()
    commit(log, [payload(1)], { sync: false })

    expect(commit(log, [])).toMatchObject({ count: 0, lsns: [], firstLsn: 2, durableLsn: 1 })
  })

  test('stamps the greater of the time and the last stamp, also after another opening', () => {
    const world = newWorld()
    const first = world.open().log
    commit(first, [payload(1)], { now: 100 })
    commit(first, [payload(2)], { now: 50 })
    first.handle('close', { projectedLsn: 2 })
    const { log, report } = world.open()

    expect(report.lastTime).toBe(100)
    expect(commit(log, [payload(3)], { now: 70 }).time).toBe(100)
    expect(commit(log, [payload(4)], { now: 101 }).time).toBe(101)
    expect(readAll(log).map(({ time }) => time)).toEqual([100, 100, 100, 101])
  })

  test('costs one write and one sync, whatever the number of its frames', () => {
    const { log, disk } = (({ open, disk }) => ({ ...open(), disk }))(newWorld())
    const { syncs, writes } = disk

    commit(
      log,
      range(1, 20).map((number) => payload(number)),
    )

    expect({ syncs: disk.syncs - syncs, writes: disk.writes - writes }).toEqual({
      syncs: 1,
      writes: 1,
    })
  })

  test('begins on a sector that no earlier commit touched', () => {
    const { world, log } = openedLog()
    const calls = world.disk.recordCalls()

    for (const number of range(1, 4)) commit(log, [payload(number, 8 + number * 100)])

    const writes = calls.filter(({ operation }) => operation === 'write')
    let end = 4096
    for (const { offset, bytes } of writes) {
      expect(offset).toBe(end)
      expect(end % 512).toBe(0)
      end += bytes ?? 0
    }
    expect(writes).toHaveLength(4)
  })

  test('without a sync is written and not durable, until a sync', () => {
    const { world, log } = openedLog()
    const { syncs } = world.disk

    expect(commit(log, [payload(1)], { sync: false })).toMatchObject({ durableLsn: 0, count: 1 })
    expect(world.disk.syncs).toBe(syncs)
    expect(readAll(log)).toEqual([])

    expect(log.handle('sync', null)).toEqual({ durableLsn: 1 })
    expect(readAll(log).map(({ lsn }) => lsn)).toEqual([1])
  })
})

describe('a roll', () => {
  test('happens when a group does not fit, and splits it between frames', () => {
    const { world, log } = openedLog()

    const answer = commit(
      log,
      range(1, 6).map((number) => payload(number, 700)),
    )

    // 4,096 bytes without the header's block and three sectors hold three frames of 732. CHECKPOINT
    // and SEAL follow.
    expect(answer).toMatchObject({ count: 6, rolled: true, lsns: [1, 2, 3, 6, 7, 8] })
    expect(answer.durableLsn).toBe(8)
    expect(segmentsOn(world.disk)).toHaveLength(2)
  })

  test('is synced even if the commit was not', () => {
    const { log } = newWorld().open()

    const answer = commit(
      log,
      range(1, 6).map((number) => payload(number, 700)),
      { sync: false },
    )

    expect(answer).toMatchObject({ lsns: [1, 2, 3, 6, 7, 8], durableLsn: 5 })
  })

  test('leaves a segment as long as its frames, and a CHECKPOINT after which a scan begins', () => {
    const { world, log } = openedLog()
    for (const number of range(1, 12))
      commit(log, [payload(number, 900)], { projectedLsn: number - 1 })
    const { segments, checkpointLsn } = log.handle('describe', null)

    expect(checkpointLsn).toBeGreaterThan(6)
    for (const { file, usedBytes } of segments.slice(0, -1))
      expect(world.disk.entry(`${dir}/${file}`)?.size).toBe(usedBytes)

    const calls = world.disk.recordCalls()
    world.inspect()
    const [first] = segmentsOn(world.disk)
    const isOfFrames = ({ operation, offset = 0 }: (typeof calls)[number]) =>
      operation === 'read' && offset >= 4096
    // For the first segment its end mark is enough.
    expect(calls.filter((call) => call.path === first && isOfFrames(call))).toEqual([
      expect.objectContaining({ offset: (segments[0]?.usedBytes ?? 0) - 512, bytes: 512 }),
    ])
  })

  test('never moves the checkpoint beyond the durable LSN, or back', () => {
    const { log } = openedLog()
    for (const number of range(1, 8)) commit(log, [payload(number, 900)], { projectedLsn: 10_000 })
    const { checkpointLsn, durableLsn } = log.handle('describe', null)
    for (const number of range(9, 16)) commit(log, [payload(number, 900)], { projectedLsn: 0 })

    expect(checkpointLsn).toBeLessThanOrEqual(durableLsn)
    expect(log.handle('describe', null).checkpointLsn).toBe(checkpointLsn)
  })

  test('without space for a segment refuses frames that do not fit, and continues when there is space', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1, 400)])
    fill(world.disk)

    const answer = commit(
      log,
      range(2, 7).map((number) => payload(number, 700)),
    )

    expect(answer).toMatchObject({ count: 2, lsns: [2, 3], durableLsn: 3, rolled: false })
    expect(answer.refused?.code).toBe('NO_SPACE')
    expect(world.disk.list(dir).filter((name) => name.endsWith('.tmp'))).toEqual([])
    expect(commit(log, [payload(4, 700)])).toMatchObject({ count: 0, durableLsn: 3 })
    expect(commit(log, [payload(8, 8)])).toMatchObject({ lsns: [4] })

    world.disk.capacityBytes += 64 * 1024
    expect(commit(log, [payload(9, 700)])).toMatchObject({ lsns: [7], rolled: true })
    log.abandon()
    expect(readAll(world.open().log).map(({ lsn }) => lsn)).toEqual([1, 2, 3, 4, 7])
  })

  test('refuses frames, and poisons nothing, when the disk fails to prepare the segment', () => {
    const { world, log } = openedLog()
    world.disk.inject({ at: 1, operation: 'sync', path: '.tmp', fault: { kind: 'error' } })

    const answer = commit(
      log,
      range(1, 5).map((number) => payload(number, 700)),
    )

    expect(answer).toMatchObject({ count: 3, durableLsn: 3 })
    expect(answer.refused?.code).toBe('READ_ONLY')
    expect(commit(log, [payload(4, 700)])).toMatchObject({ lsns: [6], rolled: true })
  })
})

test('ten thousand frames of random sizes come back in order through hundreds of rolls', {
  tags: ['slow'],
}, () => {
  const random = seededRandom(5)
  const { world, log } = openedLog({ maxFileSize: 64 * 1024, sectorBytes: 512 })
  const sizes = Array.from({ length: 10_000 }, () => 8 + Math.floor(random() ** 3 * 3000))
  const lsns: number[] = []
  for (let from = 0; from < sizes.length; ) {
    const to = Math.min(sizes.length, from + 1 + Math.floor(random() * 60))
    const group = sizes.slice(from, to).map((size, index) => payload(from + index, size))
    lsns.push(...commit(log, group).lsns)
    from = to
  }
  log.abandon()

  const second = world.open()
  const found = readAll(second.log, 100_000)

  expect(second.report.segments).toBeGreaterThan(100)
  expect(found.map(({ lsn }) => lsn)).toEqual(lsns)
  for (const [index, frame] of found.entries())
    if (frame.content !== content(index, sizes[index])) expect.fail(`frame ${index} differs`)
})

describe('a closed log', () => {
  test('ends with CLEAN_CLOSE, and nothing is copied at the next opening', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1)])
    log.handle('close', { projectedLsn: 1 })

    const { report, inspection } = world.open()

    expect(inspection).toMatchObject({ tail: 'clean', lastLsn: 3, provenLsn: 3, remarks: [] })
    expect(report).toMatchObject({ tail: 'clean', copiedFrames: 0, segments: 2 })
  })

  test('takes no space beyond its frames', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1)])
    const { usedBytes = 0 } = log.handle('describe', null).segments[0] ?? {}
    log.handle('close', { projectedLsn: 1 })

    expect(world.disk.entry(newestOn(world.disk))?.size).toBeLessThan(usedBytes + 2 * 512)
  })

  test('refuses everything, including a second close', () => {
    const { log } = newWorld().open()
    log.handle('close', { projectedLsn: 0 })

    for (const late of [
      () => commit(log, [payload(1)]),
      () => log.handle('sync', null),
      () => log.handle('read', { from: 1, maxBytes: 100 }),
      () => log.handle('close', { projectedLsn: 0 }),
    ])
      expect(late).toThrow(expect.objectContaining({ code: 'CLOSED' }))
  })

  test('makes frames written without a sync durable', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1)], { sync: false })
    log.handle('close', { projectedLsn: 0 })
    world.disk.crash({ unsynced: 'lost' })

    expect(readAll(world.open().log)).toHaveLength(1)
  })
})

test('options may change between lives: copied frames fit, and old segments are read unchanged', () => {
  const roomy = newWorld({ maxFileSize: 64 * 1024, sectorBytes: 512 })
  const { log } = roomy.open()
  commit(log, [payload(1, 100)])
  commit(log, [payload(2, 20_000), payload(3, 20_000)])
  log.abandon()
  const tight = roomy.on(roomy.disk, { maxFileSize: 32 * 1024, sectorBytes: 4096 })

  const second = tight.open()
  expect(second.report).toMatchObject({ copiedFrames: 2, lastLsn: 3 })
  expect(commit(second.log, [payload(4, 9000)])).toMatchObject({ rolled: true, count: 1 })
  second.log.abandon()
  tight.disk.crash({ unsynced: 'lost' })

  const found = readAll(tight.open().log).map((frame) => frame.content)
  expect(found).toEqual([content(1, 100), content(2, 20_000), content(3, 20_000), content(4, 9000)])
})

test('a log that has not been opened takes no commit', () => {
  expect(() => commit(newWorld().log(), [payload(1)])).toThrow(
    expect.objectContaining({ code: 'CLOSED' }),
  )
})

test('a log is opened once in its life', () => {
  const { log, inspection } = openedLog()

  expect(() => log.handle('open', { dir, options: small, inspection })).toThrow(
    expect.objectContaining({ code: 'CLOSED' }),
  )
})

describe('a feature', () => {
  const featuresOn = ({ disk }: LogWorld): number[] =>
    segmentsOn(disk).map((name) => Buffer.from(disk.contents(name)).readUInt32LE(92))

  test('is named by a segment before the first frame that needs it, and by every later one', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1), payload(2)])
    expect(featuresOn(world)).toEqual([0])

    expect(commit(log, [payload(3), payload(4)], { features: 1 })).toMatchObject({ rolled: true })
    expect(commit(log, [payload(5)], { features: 1 })).toMatchObject({ rolled: false })
    commit(log, [payload(6)])
    expect(featuresOn(world)).toEqual([0, 1])
    for (let number = 7; number < 40; number++) commit(log, [payload(number, 400)])
    const features = featuresOn(world)
    expect(features.length).toBeGreaterThan(2)
    expect(features.slice(1)).toEqual(features.slice(1).fill(1))
    log.abandon()

    // No version knows it yet.
    expect(() => world.open()).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_VERSION' }))
  })

  test('that finds no room for its segment is refused with nothing written', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1)])
    world.disk.inject({
      at: 1,
      operation: 'write',
      path: 'spare',
      fault: { kind: 'error', code: 'ENOSPC' },
    })

    const refused = commit(log, [payload(2)], { features: 1 })

    expect(refused).toMatchObject({ count: 0, refused: { code: 'NO_SPACE' } })
    expect(featuresOn(world)).toEqual([0])
    expect(commit(log, [payload(2)], { features: 1 }).count).toBe(1)
  })
})
