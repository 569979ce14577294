/**
 * The verifier reads the whole log and continues after damage. Its verdict is compared with that of
 * an opening for every bit and sector of small logs, and its losses with the real ones. One
 * comparison judges all of it.
 */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import type { LogKnowledge } from '../../../src/storage/examination/log-damage.ts'
import { dumping } from '../../../src/storage/examination/log-dump.ts'
import type { LogVerification } from '../../../src/storage/examination/log-judgement.ts'
import { FrameCursor, segmentStart } from '../../../src/storage/frames/frame-cursor.ts'
import { GroupEncoder } from '../../../src/storage/frames/group-encoder.ts'
import { decodeSegmentHeader } from '../../../src/storage/frames/segment-header.ts'
import type { Disk } from '../../../src/storage/ports/disk.ts'
import type { SimulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { plainDisk } from '../../support/harm/odd-files.ts'
import { seedsOf, thorough } from '../../support/tier.ts'
import { verifyLog } from '../../support/verify-log.ts'
import {
  commit,
  crashedLogOf,
  dir,
  type LogWorld,
  newestOn,
  newWorld,
  openedLog,
  payload,
} from '../../support/worlds/logs.ts'

const sector = 512

const groupAt = (group: number): number => 4096 + (group - 1) * 1024

const verify = (world: LogWorld, knowledge?: LogKnowledge): LogVerification => {
  const { counts } = world.disk
  const before = JSON.stringify([counts.write, counts.truncate, counts.rename, counts.remove])
  const found = verifyLog(world.disk, dir, knowledge)
  const after = JSON.stringify([counts.write, counts.truncate, counts.rename, counts.remove])
  expect(after).toBe(before)
  return found
}

/** The verdict of an opening: `corrupt`, `torn`, or `clean` for a valid log. */
const opening = (world: LogWorld): string => {
  try {
    const { tail } = world.inspect()
    return tail === 'torn' ? 'torn' : 'clean'
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) return 'corrupt'
    throw error
  }
}

const overwrite = (disk: SimulatedDisk, path: string, offset: number, bytes: Uint8Array): void => {
  const file = disk.open(path, 'write')
  file.write(bytes, offset)
  file.sync()
  file.close()
}

describe('a valid log', () => {
  test('is clean, with every frame counted', () => {
    const world = crashedLogOf(3)

    const found = verify(world)

    expect(found).toMatchObject({
      verdict: 'clean',
      tail: 'unclean',
      frames: 6,
      dataFrames: 6,
      firstLsn: 1,
      lastLsn: 6,
      damage: [],
      lost: [],
    })
  })

  test('is clean to its end when it was closed', () => {
    const world = crashedLogOf(3)
    const { log } = world.open()
    log.handle('close', { projectedLsn: 0 })

    expect(verify(world)).toMatchObject({ verdict: 'clean', tail: 'clean' })
  })

  test('of many segments and lives is clean', () => {
    const world = crashedLogOf(20)
    for (let life = 0; life < 3; life++) {
      const { log } = world.open()
      commit(log, [payload(life)])
      log.abandon()
      world.disk.crash()
    }

    const found = verify(world)

    expect(found).toMatchObject({ verdict: 'clean', damage: [], lost: [], remarks: [] })
    expect(found.segments).toBeGreaterThan(5)
  })

  test('is NO_SEGMENTS when there is none', () => {
    const world = newWorld()
    for (const name of world.disk.list(dir)) world.disk.remove(`${dir}/${name}`)

    expect(() => verify(world)).toThrow(expect.objectContaining({ code: 'NO_SEGMENTS' }))
  })
})

describe('the verdict', () => {
  test('agrees with an opening for any flipped bit', () => {
    const world = crashedLogOf(3)
    const path = newestOn(world.disk)
    const counts = new Map<string, number>()
    for (
      let bit = 0;
      bit < groupAt(4) * 8 + 4096;
      bit += thorough(23, 1) * (bit < 4096 * 8 ? 37 : 1)
    ) {
      world.disk.flipBit(path, bit)
      const expected = opening(world)
      const { verdict } = verify(world)
      world.disk.flipBit(path, bit)
      if (verdict !== expected) expect.fail(`bit ${bit}: ${verdict}, opening: ${expected}`)
      counts.set(verdict, (counts.get(verdict) ?? 0) + 1)
    }
    expect([...counts.keys()].sort()).toEqual(['clean', 'corrupt', 'torn'])
  })

  test('agrees with an opening for any zeroed sector of any file', () => {
    const world = crashedLogOf(12)
    for (const name of world.disk.list(dir)) {
      const path = `${dir}/${name}`
      const size = world.disk.entry(path)?.size ?? 0
      for (let at = 0; at < size; at += thorough(5, 1) * sector) {
        const copy = world.on(world.disk.clone())
        overwrite(copy.disk, path, at, new Uint8Array(Math.min(sector, size - at)))
        const expected = opening(copy)
        const { verdict } = verify(copy)
        if (verdict !== expected) expect.fail(`${name} ${at}: ${verdict}, opening: ${expected}`)
      }
    }
  })

  test('agrees with an opening for any cut of any file', () => {
    const world = crashedLogOf(12)
    for (const name of world.disk.list(dir)) {
      const path = `${dir}/${name}`
      const size = world.disk.entry(path)?.size ?? 0
      for (let at = 0; at < size; at += thorough(9, 1) * 104) {
        const copy = world.on(world.disk.clone())
        const file = copy.disk.open(path, 'write')
        file.truncate(at)
        file.sync()
        file.close()
        const expected = opening(copy)
        const { verdict } = verify(copy)
        if (verdict !== expected) expect.fail(`${name} ${at}: ${verdict}, opening: ${expected}`)
      }
    }
  })
})

describe('damage', () => {
  test('a flipped bit in an acknowledged frame loses that frame, named by file, offset and lsn', {
    tags: ['D6'],
  }, () => {
    const world = crashedLogOf(3)
    const path = newestOn(world.disk)
    world.disk.flipBit(path, (groupAt(2) + 100) * 8)

    const found = verify(world)

    expect(found.verdict).toBe('corrupt')
    expect(found.damage).toEqual([
      {
        file: path.slice(dir.length + 1),
        offset: groupAt(2),
        lsn: 3,
        evidence: expect.stringContaining('payload'),
      },
    ])
    expect(found.lost).toEqual([{ from: 3, to: 3 }])
    expect(found.lastLsn).toBe(6)
  })

  test('a changed length is not used, and the frames after it are found', { tags: ['D8'] }, () => {
    const world = crashedLogOf(3)
    world.disk.flipBit(newestOn(world.disk), (groupAt(2) + 4) * 8 + 30)

    expect(verify(world)).toMatchObject({
      verdict: 'corrupt',
      damage: [{ offset: 4960, lsn: 3 }],
      lost: [{ from: 3, to: 3 }],
      frames: 5,
    })
  })
})

/** The bytes of the log's first frames, as a value may hold them. */
const firstFrames = (world: LogWorld, from: number, to: number): Uint8Array =>
  world.disk.contents(newestOn(world.disk)).slice(from, to)

const rot = (world: LogWorld, offset: number): void =>
  world.disk.flipBit(newestOn(world.disk), offset * 8)

describe('bytes that only look like frames', () => {
  const wide = { maxFileSize: 64 * 1024, sectorBytes: sector }

  test('frames of this very log inside a payload are not taken for the log after damage', {
    tags: ['D32'],
  }, () => {
    const { world, log } = openedLog(wide)
    for (let number = 1; number <= 4; number++) commit(log, [payload(number, 400)])
    const copies = firstFrames(world, 4096, 4096 + 4 * sector)
    const carrier = new Uint8Array(8 + sector * 6)
    carrier.set(copies, sector - 32)
    commit(log, [carrier])
    for (let number = 6; number <= 9; number++) commit(log, [payload(number, 400)])
    log.abandon()
    // The header of the frame that holds them, and some bytes before and after it.
    rot(world, 4096 + 2 * sector)
    rot(world, 4096 + 3 * sector)
    rot(world, 4096 + 4 * sector)

    const found = verify(world)

    expect(found.lost).toEqual([{ from: 3, to: 5 }])
    expect(found.good.map(({ from, to, run }) => [from, to, run.from.offset])).toEqual([
      [1, 2, 4096],
      [6, 9, expect.any(Number)],
    ])
    expect(found.frames).toBe(6)
  })

  test('a forged chain that contradicts the frames after it is not trusted', {
    tags: ['D32'],
  }, () => {
    const { world, log } = openedLog(wide)
    commit(log, [payload(1, 400)])
    const twin = world.on(world.disk.clone())
    // The frames that another life of the same segment would have written next, with its salt.
    for (const number of [2, 3]) commit(log, [payload(number + 50, 100)])
    const forged = firstFrames(world, 4096 + sector, 4096 + 3 * sector)
    log.abandon()
    const carrier = new Uint8Array(8 + 4 * sector)
    carrier.set(forged, sector - 32)
    const body = payload(7, 400)
    const file = twin.disk.open(newestOn(twin.disk), 'write')
    const header = decodeSegmentHeader(twin.disk.contents(newestOn(twin.disk)).slice(0, 4096))
    if (header.kind !== 'good') throw new Error('no header')
    const encoder = new GroupEncoder()
    const first = new FrameCursor(file, header.header, segmentStart(header.header), file.size())
    first.next()
    encoder.begin(first.end, { ...header.header, durableLsn: 1 }, 32 * 1024)
    encoder.add(1, carrier)
    for (let number = 3; number <= 9; number++) {
      encoder.endGroup()
      encoder.add(1, body)
    }
    file.write(encoder.finish(), encoder.fileOffset)
    file.sync()
    file.close()
    expect(verify(twin)).toMatchObject({ verdict: 'clean', lastLsn: 9 })
    // Its length: then nothing shows where the frame that holds them ends.
    rot(twin, 4096 + sector + 4)

    const found = verifyLog(twin.disk, dir, { evidence: [{ lsn: 9, source: 'a replica' }] })

    expect(found.lost).toEqual([{ from: 2, to: 2 }])
    expect(found.good.map(({ from, to }) => [from, to])).toEqual([
      [1, 1],
      [3, 9],
    ])
  })

  test('frames of an older life have another salt and are ignored', { tags: ['D10'] }, () => {
    const { world, log } = openedLog(wide)
    for (let number = 1; number <= 6; number++) commit(log, [payload(number, 400)])
    const stale = firstFrames(world, 4096, 4096 + 6 * sector)
    log.abandon()
    const next = world.open().log
    commit(next, [payload(7, 400)])
    next.abandon()
    const { lastLsn } = verify(world)
    overwrite(world.disk, newestOn(world.disk), 4096 + 8 * sector, stale)

    expect(verify(world)).toMatchObject({ verdict: 'torn', lost: [], lastLsn })
  })
})

describe('versions', () => {
  const withFrame = (type: number): LogWorld => {
    const world = crashedLogOf(1)
    const path = newestOn(world.disk)
    const file = world.disk.open(path, 'write')
    const reading = decodeSegmentHeader(world.disk.contents(path).slice(0, 4096))
    if (reading.kind !== 'good') throw new Error('no header')
    const cursor = new FrameCursor(file, reading.header, segmentStart(reading.header), file.size())
    while (cursor.next());
    const encoder = new GroupEncoder()
    encoder.begin(cursor.end, { ...reading.header, durableLsn: 2 }, 4096)
    encoder.add(type, new Uint8Array(16))
    file.write(encoder.finish(), encoder.fileOffset)
    file.sync()
    file.close()
    return world
  }

  test('a type that must be known is UNSUPPORTED_VERSION, one that may be skipped is counted', {
    tags: ['D26'],
  }, () => {
    expect(() => verify(withFrame(77))).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_VERSION' }),
    )
    expect(verify(withFrame(200))).toMatchObject({ verdict: 'clean', frames: 3, dataFrames: 2 })
  })

  test('a dump shows a frame that it cannot read, and continues', { tags: ['D26'] }, () => {
    const records = [...dumping(withFrame(77).disk, dir)].filter(({ kind }) => kind !== 'pause')

    expect(records.map(({ kind }) => kind)).toEqual(['segment', 'frame', 'frame', 'newer'])
  })
})

describe('random damage', () => {
  test('loses only frames that it touched, and every one is named', () => {
    for (const seed of seedsOf(6, 300)) {
      const random = seededRandom(seed)
      const world = crashedLogOf(14)
      const { log } = world.open()
      log.handle('close', { projectedLsn: 0 })
      const sound = verify(world)
      const frames = framesOf(world)
      const touched = new Set<number>()
      for (let place = 0; place < 1 + random() * 4; place++) {
        const victim = frames[Math.floor(random() * frames.length)]
        if (!victim) continue
        touched.add(victim.lsn)
        const at = victim.offset + Math.floor(random() * (32 + victim.payloadBytes))
        world.disk.flipBit(`${dir}/${victim.segment.name}`, at * 8 + Math.floor(random() * 8))
      }
      const found = verify(world)
      const lost = found.lost.flatMap(({ from, to }) =>
        Array.from({ length: to - from + 1 }, (_, index) => from + index),
      )
      const expected = [...touched].sort((a, b) => a - b)
      if (JSON.stringify(lost) !== JSON.stringify(expected))
        expect.fail(`seed ${seed}: lost ${lost}, touched ${expected}`)
      if (found.frames + lost.length !== sound.frames) expect.fail(`seed ${seed}: frames`)
      if (found.damage.length === 0) expect.fail(`seed ${seed}: no damage named`)
    }
  })
})

const framesOf = (world: LogWorld) =>
  [...dumping(world.disk, dir)].filter((record) => record.kind === 'frame')

describe('a log that is being written', () => {
  /** A disk whose file changes between two reads of the same place, as in an open log. */
  const changing = (world: LogWorld, path: string, before: Uint8Array, offset: number): Disk => {
    let opens = 0
    return new Proxy(world.disk, {
      get: (disk, name) => {
        const member = Reflect.get(disk, name, disk)
        if (name !== 'open' || typeof member !== 'function')
          return typeof member === 'function' ? member.bind(disk) : member
        return (file: string, mode: 'read') => {
          const opened = disk.open(file, mode)
          if (file !== path || opens++ === 0) return opened
          let reads = 0
          return {
            ...opened,
            path: file,
            size: () => opened.size(),
            close: () => opened.close(),
            read: (into: Uint8Array, at: number) => {
              const count = opened.read(into, at)
              const start = offset - at
              if (reads++ === 0 && start >= 0 && start + before.length <= count)
                into.set(before, start)
              return count
            },
          }
        }
      },
    })
  }

  test('is not damaged by a frame that was incomplete at the first read', () => {
    const world = crashedLogOf(3)
    const path = newestOn(world.disk)
    const disk = changing(world, path, new Uint8Array(1024), groupAt(2))

    const found = verifyLog(disk, dir, { isLive: true })

    expect(found).toMatchObject({ verdict: 'clean', tail: 'open', damage: [], lost: [] })
  })

  test('ends before a place that only the second read finds damaged', () => {
    const world = crashedLogOf(3)
    const path = newestOn(world.disk)
    let reads = 0
    // The first reading finds the second group incomplete, and the next one the third.
    const disk: Disk = {
      ...plainDisk(world.disk),
      open: (opened, mode) => {
        const file = world.disk.open(opened, mode)
        return {
          ...file,
          read: (into, at) => {
            const count = file.read(into, at)
            if (opened !== path || count < 4 * 1024) return count
            if (at === 4096) reads++
            const from = groupAt(reads === 1 ? 2 : 3) - at
            if (from >= 0) into.fill(0, from, from + 1024)
            return count
          },
        }
      },
    }

    const found = verifyLog(disk, dir, { isLive: true })

    expect(reads).toBe(2)
    expect(found).toMatchObject({ verdict: 'clean', tail: 'open', frames: 4, lastLsn: 4 })
  })

  test('is damaged where every read finds damage', () => {
    const world = crashedLogOf(3)
    overwrite(world.disk, newestOn(world.disk), groupAt(2), new Uint8Array(1024))

    expect(verify(world, { isLive: true })).toMatchObject({
      verdict: 'corrupt',
      lost: [{ from: 3, to: 4 }],
    })
  })

  test('has no torn tail', () => {
    const world = crashedLogOf(3)
    overwrite(world.disk, newestOn(world.disk), groupAt(4), Buffer.from('half a frame'))

    expect(verify(world)).toMatchObject({ verdict: 'torn' })
    expect(verify(world, { isLive: true })).toMatchObject({ verdict: 'clean', tail: 'open' })
  })
})

test('a log of an earlier epoch than keelson.json names has lost its newest files, and one of that epoch has not', () => {
  const world = crashedLogOf(2)
  const { epoch, lastLsn } = verify(world)

  const later = verify(world, { floor: { epoch: epoch + 1, lsn: lastLsn } })

  expect(later).toMatchObject({ verdict: 'corrupt', damage: [{ lsn: lastLsn + 1 }] })
  expect(later.damage[0]?.evidence).toContain(`names epoch ${epoch + 1}`)
  expect(verify(world, { floor: { epoch, lsn: lastLsn } }).damage).toEqual([])
})
