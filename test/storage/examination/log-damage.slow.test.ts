/**
 * Damage to a log, everywhere: each test walks over every bit, sector or length of a small log. All
 * tests share the walk and the oracle. Nothing acknowledged is missing without an error, unless it
 * was in the last group and nothing proves that it was durable. A refusal changes nothing.
 */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import type { Evidence, Inspection } from '../../../src/storage/ports/log-host.ts'
import type { SimulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { thorough } from '../../support/tier.ts'
import {
  commit,
  content,
  dir,
  type LogWorld,
  newestOn,
  newWorld,
  openedLog,
  payload,
  readAll,
  segmentsOn,
} from '../../support/worlds/logs.ts'

const sector = 512
const firstGroup = 4096

/** Every bit or length is tried; in the quick tier one in 13. */
const step = thorough(41, 1)

/**
 * Three acknowledged groups of two frames with 600 bytes each, then a crash: three groups of 1,536
 * bytes do not fit a segment.
 */
const groupBytes = 1024
const groupAt = (group: number): number => firstGroup + (group - 1) * groupBytes
const framesEnd = groupAt(4)

const threeGroups = (): LogWorld => {
  const { world, log } = openedLog({ maxFileSize: 10 * 1024, sectorBytes: sector })
  for (const first of [1, 3, 5]) commit(log, [payload(first, 400), payload(first + 1, 400)])
  log.abandon()
  world.disk.crash()
  return world
}

const contents = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => content(index + 1, 400))

/** Opens a copy, reads everything, and checks that the log accepts another frame and returns it. */
const recover = (world: LogWorld, disk: SimulatedDisk): string[] => {
  const copy = world.on(disk.clone())
  const { log } = copy.open()
  const found = readAll(log)
  commit(log, [payload(99)])
  log.abandon()
  copy.disk.crash()
  const again = readAll(copy.open().log)
  expect(again.map((frame) => frame.content)).toEqual([
    ...found.map((frame) => frame.content),
    content(99),
  ])
  return found.map((frame) => frame.content)
}

/** The inspection, or the code of its refusal. Neither writes anything. */
const look = (world: LogWorld, evidence: readonly Evidence[] = []): Inspection | string => {
  const { counts } = world.disk
  const before = [counts.write, counts.truncate, counts.rename, counts.remove, counts.create]
  try {
    return world.inspect(evidence)
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    return error.code
  } finally {
    const { write, truncate, rename, remove, create } = world.disk.counts
    expect([write, truncate, rename, remove, create]).toEqual(before)
  }
}

/** The findings without their texts: with equal findings opening does the same. */
const facts = (found: Inspection | string): unknown => {
  if (typeof found === 'string') return found
  const { remarks: _, ...rest } = found
  return rest
}

describe('a flipped bit', () => {
  test('in a header only adds a remark', () => {
    const world = threeGroups()
    const path = newestOn(world.disk)
    const sound = JSON.stringify(facts(world.inspect()))
    const remarks = new Set<number>()
    for (let bit = 0; bit < 4096 * 8; bit += step) {
      // Every bit of both copies; in the unused space between them one bit per byte is enough.
      if (bit % 2048 >= 512 * 8 && bit % 8 !== 0) continue
      world.disk.flipBit(path, bit)
      const found = look(world)
      world.disk.flipBit(path, bit)
      if (typeof found === 'string') expect.fail(`bit ${bit}: ${found}`)
      if (JSON.stringify(facts(found)) !== sound) expect.fail(`bit ${bit}: the findings differ`)
      remarks.add(found.remarks.length)
    }
    expect([...remarks].sort()).toEqual([0, 1])
  })

  test('in the MANIFEST loses no frame', () => {
    const world = threeGroups()
    const path = `${dir}/MANIFEST`
    for (let bit = 0; bit < 8192 * 8; bit += step * (bit % 32768 < 4096 ? 1 : 64)) {
      world.disk.flipBit(path, bit)
      const found = look(world)
      world.disk.flipBit(path, bit)
      if (typeof found === 'string' || found.lastLsn !== 6)
        expect.fail(`bit ${bit}: ${typeof found === 'string' ? found : found.lastLsn}`)
    }
  })

  test.each([
    ['a projection', [{ lsn: 6, source: 'lmdb' }]],
    ['what the caller knows', [{ lsn: 5, source: 'minDurable' }]],
    ['a replica', [{ lsn: 40, source: 'postgres' }]],
  ])('in the last group is damage when %s proves it', { tags: ['D7'] }, (_, evidence) => {
    const world = threeGroups()
    const path = newestOn(world.disk)
    for (let bit = groupAt(3) * 8; bit < (groupAt(3) + 432) * 8; bit += 5 * step) {
      world.disk.flipBit(path, bit)
      if (look(world, evidence) !== 'CORRUPT') expect.fail(`bit ${bit}`)
      world.disk.flipBit(path, bit)
    }
  })

  test('is reported with file, offset, LSN and evidence', () => {
    const world = threeGroups()
    world.disk.flipBit(newestOn(world.disk), (groupAt(2) + 100) * 8)

    expect(() => world.inspect()).toThrow(
      expect.objectContaining({
        code: 'CORRUPT',
        details: {
          file: newestOn(world.disk).slice(dir.length + 1),
          offset: groupAt(1) + 864,
          lsn: 3,
          evidence: expect.stringContaining('a later frame'),
        },
      }),
    )
  })
})

test('a misdirected write over the header block and the group before is found by its frames', () => {
  for (let landing = 0; landing < groupAt(3); landing += sector) {
    const { world, log } = openedLog({ maxFileSize: 10 * 1024, sectorBytes: sector })
    commit(log, [payload(1, 900)])
    const fault = { kind: 'misdirected', offset: landing } as const
    world.disk.inject({ at: 1, operation: 'write', path: '.wal', fault })
    commit(log, [payload(2, 900), payload(3, 900)])
    log.abandon()
    world.disk.crash()
    const found = look(world)
    // If the first group is not harmed, the second is simply not there, and nothing proves it.
    const harmsFirst = landing < groupAt(2) && landing + 4 * sector > firstGroup
    if (harmsFirst) expect(found, `at ${landing}`).toBe('CORRUPT')
    else expect(found, `at ${landing}`).toMatchObject({ lastLsn: landing === groupAt(2) ? 3 : 1 })
  }
})

describe('evidence', () => {
  test('of another log is ignored', () => {
    const world = threeGroups()

    expect(world.inspect([{ lsn: 40, source: 'lmdb', walId: '00'.repeat(16) }]).lastLsn).toBe(6)
  })

  test('of this log beyond its end proves a loss of data', () => {
    const world = threeGroups()
    const { walId = '' } = world.inspect()

    expect(look(world, [{ lsn: 7, source: 'lmdb', walId }])).toBe('CORRUPT')
  })

  test('for a folder without a segment proves a loss of data', () => {
    const world = newWorld()
    for (const path of [...segmentsOn(world.disk), `${dir}/MANIFEST`]) world.disk.remove(path)

    expect(look(world)).toMatchObject({ exists: false })
    expect(look(world, [{ lsn: 1, source: 'lmdb' }])).toBe('CORRUPT')
  })
})

describe('a segment that is cut', () => {
  test('at any length is refused: a crash never makes it shorter than allocated', () => {
    const world = threeGroups()
    const path = newestOn(world.disk)
    const { size = 0 } = world.disk.entry(path) ?? {}
    for (let length = 0; length < size; length += step) {
      const copy = world.on(world.disk.clone())
      const file = copy.disk.open(path, 'write')
      file.truncate(length)
      file.close()
      if (look(copy) !== 'CORRUPT') expect.fail(`cut to ${length}`)
    }
  })
})

describe('zeros', () => {
  test('from any byte of the last group on keep the longest valid prefix, and another frame can follow', {
    tags: ['D3', 'E11'],
  }, () => {
    const world = threeGroups()
    const path = newestOn(world.disk)
    for (let from = groupAt(3); from < framesEnd; from += step) {
      const disk = world.disk.clone()
      disk.poke(path, from, new Uint8Array(framesEnd - from))
      const whole = from < groupAt(3) + 432 ? 4 : from < groupAt(3) + 864 ? 5 : 6
      const found = world.on(disk).inspect()
      if (found.lastLsn !== whole) expect.fail(`zeros from ${from}: ${found.lastLsn}`)
      if (from % 27 === 0) expect(recover(world, disk)).toEqual(contents(whole))
    }
  })

  test('instead of all frames are a loss of data when the MANIFEST proves it', () => {
    const world = threeGroups()
    const { log } = world.open()
    log.abandon()
    const path = newestOn(world.disk)
    const { size = 0 } = world.disk.entry(path) ?? {}

    world.disk.poke(path, firstGroup, new Uint8Array(size - firstGroup))

    expect(look(world)).toBe('CORRUPT')
  })
})

describe('a torn write with a hole', () => {
  /** One group of six sectors, written and not synced; `lost` of them never reached the disk. */
  const torn = (lost: readonly number[]): { world: LogWorld; disk: SimulatedDisk } => {
    const { world, log } = openedLog({ maxFileSize: 10 * 1024, sectorBytes: sector })
    commit(log, [payload(1, 400), payload(2, 400)])
    commit(
      log,
      [3, 4, 5, 6, 7, 8].map((number) => payload(number, 400)),
    )
    log.abandon()
    const disk = world.disk.clone()
    for (const index of lost)
      disk.poke(newestOn(disk), groupAt(2) + index * sector, new Uint8Array(sector))
    return { world, disk }
  }

  test('of any two sectors is cut at the first, and valid-looking bytes after it never return', {
    tags: ['D4', 'E15'],
  }, () => {
    for (let first = 0; first < 5; first++)
      for (let second = first + 1; second <= 5; second++) {
        const { world, disk } = torn([first, second])
        const found = recover(world, disk)
        // Frame n of the group starts at 432 (n - 3).
        const whole = 2 + Math.floor((first * sector) / 432)
        expect(found, `holes ${first} and ${second}`).toEqual(contents(whole))
      }
  })

  test('keeps the cut bytes in quarantine', () => {
    const { world, disk } = torn([1])
    const copy = world.on(disk)
    const kept = Buffer.from(disk.contents(newestOn(disk)))
    const name = newestOn(disk).slice(dir.length + 1)

    const { report } = copy.open()

    const from = groupAt(2) + 432
    expect(report).toMatchObject({ tail: 'torn', lastLsn: 3, cutBytes: groupAt(2) + 2592 - from })
    expect(disk.list(`${dir}/quarantine`)).toEqual([`${name}-${from}.cut`])
    const cut = Buffer.from(disk.contents(`${dir}/quarantine/${name}-${from}.cut`))
    expect(cut.equals(kept.subarray(from, from + report.cutBytes))).toBe(true)
  })

  test('without a valid frame in its segment keeps the bytes in quarantine too', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1, 400), payload(2, 400)])
    log.abandon()
    const path = newestOn(world.disk)
    world.disk.poke(path, firstGroup, new Uint8Array(sector))
    const torn = world.disk.contents(path).slice(groupAt(1), groupAt(1) + 864)

    const { report } = world.open()

    expect(report).toMatchObject({ tail: 'torn', lastLsn: 0, cutBytes: 864, segments: 2 })
    const [cut = ''] = world.disk.list(`${dir}/quarantine`)
    expect(world.disk.contents(`${dir}/quarantine/${cut}`)).toEqual(torn)
  })

  test('is not cut until its bytes can be kept', () => {
    const { world, disk } = torn([1])
    const copy = world.on(disk)
    const path = newestOn(disk)
    const { size } = disk.entry(path) ?? {}
    disk.inject({ at: 1, operation: 'create', path: 'quarantine', fault: { kind: 'error' } })

    copy.open().log.abandon()
    expect(disk.entry(path)?.size).toBe(size)
    expect(disk.list(`${dir}/quarantine`)).toEqual([])

    copy.open().log.abandon()
    expect(disk.entry(path)?.size).toBeLessThan(size ?? 0)
    expect(disk.list(`${dir}/quarantine`)).toHaveLength(1)
  })

  test('in an earlier group is damage', { tags: ['E16'] }, () => {
    for (let index = 0; index < 2; index++) {
      const world = threeGroups()
      world.disk.poke(newestOn(world.disk), groupAt(2) + index * sector, new Uint8Array(sector))
      expect(look(world)).toBe('CORRUPT')
    }
  })
})

describe('stale bytes', () => {
  test('of an older segment after the end are not frames', { tags: ['D10', 'E18'] }, () => {
    const world = threeGroups()
    const older = world.disk.contents(newestOn(world.disk))
    const { log } = world.open()
    commit(log, [payload(7, 400)])
    log.abandon()
    const path = newestOn(world.disk)

    // Frames 5 and 6 were copied into the first group; 7 is the second. After them come the same
    // frames of the first life.
    for (let at = groupAt(2) + sector; at < 8 * 1024; at += sector)
      for (const group of [1, 2, 3]) {
        const disk = world.disk.clone()
        disk.poke(path, at, older.subarray(groupAt(group), groupAt(group + 1)))
        expect(look(world.on(disk))).toMatchObject({ tail: 'torn', lastLsn: 7 })
      }
  })

  test('of the same segment, or a payload that is a copy of the log, prove nothing', {
    tags: ['D32'],
  }, () => {
    const { world, log } = openedLog({ maxFileSize: 16 * 1024, sectorBytes: sector })
    commit(log, [payload(1, 400), payload(2, 400)])
    const copied = world.disk.contents(newestOn(world.disk)).subarray(firstGroup, firstGroup + 1024)
    // A frame whose payload holds the group before it, placed to begin on a sector, and torn before
    // that place.
    const nested = new Uint8Array(480 + 1024)
    nested.set(copied, 480)
    commit(log, [nested])
    log.abandon()
    world.disk.poke(newestOn(world.disk), groupAt(2), new Uint8Array(sector))

    expect(look(world)).toMatchObject({ tail: 'torn', lastLsn: 2 })
  })
})

test('any bytes anywhere give a result or a refusal with a code', { tags: ['E37'] }, () => {
  const random = seededRandom(21)
  const below = (limit: number): number => Math.floor(random() * limit)
  const { world, log } = openedLog({ maxFileSize: 10 * 1024, sectorBytes: sector })
  for (let number = 1; number <= 12; number++)
    commit(log, [payload(number, 900)], { projectedLsn: below(number) })
  log.abandon()
  const paths = [...segmentsOn(world.disk), `${dir}/MANIFEST`]
  const seen = new Set<string>()
  for (let round = 0; round < thorough(25, 3_000); round++) {
    const disk = world.disk.clone()
    for (let change = below(4); change >= 0; change--) {
      const path = paths[below(paths.length)] ?? ''
      const { size = 0 } = disk.entry(path) ?? {}
      const at = below(size - 64)
      // Mostly at used places; lengths and types appear among the noise.
      const bytes = Uint8Array.from({ length: 1 + below(64) }, () => below(256))
      disk.poke(path, random() < 0.5 ? at : Math.min(at, 4096 + below(64)), bytes)
    }
    const found = look(world.on(disk))
    seen.add(typeof found === 'string' ? found : found.tail)
  }

  expect([...seen].sort()).toEqual(['CORRUPT', 'torn', 'unclean'])
})
