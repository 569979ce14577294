import { describe, expect, test } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import { frameHeaderBytes } from '../../../src/storage/frames/frame.ts'
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
} from '../../../src/storage/frames/segment-header.ts'
import type { Evidence, Inspection, LogNeeds } from '../../../src/storage/ports/log-host.ts'
import { segmentName } from '../../../src/storage/segments/log-folder.ts'
import type { SimulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import {
  commit,
  content,
  dir,
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

const size = 900
const frames = 10

/** Ten acknowledged frames, two per segment, in five segments; then a crash. */
const rolled = (): LogWorld => {
  const { world, log } = openedLog()
  for (let number = 1; number <= frames; number++) commit(log, [payload(number, size)])
  log.abandon()
  world.disk.crash()
  return world
}

const look = (world: LogWorld, evidence: readonly Evidence[] = []): Inspection | string => {
  try {
    return world.inspect(evidence)
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    return error.code
  }
}

const found = (world: LogWorld): string[] => readAll(world.open().log).map((frame) => frame.content)

const all = Array.from({ length: frames }, (_, index) => content(index + 1, size))

const headerOf = (disk: SimulatedDisk, path: string) => {
  const reading = decodeSegmentHeader(disk.contents(path).subarray(0, 4096))
  if (reading.kind !== 'good') throw new Error(`${path} has no header`)
  return reading.header
}

/** Gives a segment another header, CRCs included. */
const rewriteHeader = (
  disk: SimulatedDisk,
  path: string,
  changes: Partial<ReturnType<typeof headerOf>>,
): void => disk.poke(path, 0, encodeSegmentHeader({ ...headerOf(disk, path), ...changes }))

const loseManifest = (world: LogWorld): void => world.disk.remove(`${dir}/MANIFEST`)

describe('segments', () => {
  test('are valid after a crash', () => {
    const world = rolled()

    expect(segmentsOn(world.disk)).toHaveLength(5)
    expect(world.inspect()).toMatchObject({ remarks: [], cutBytes: 0 })
    expect(found(world)).toEqual(all)
  })

  for (const withManifest of [true, false])
    for (let index = 0; index < 4; index++)
      test(`number ${index + 1} of five missing is damage ${withManifest ? 'with' : 'without'} a MANIFEST`, () => {
        const world = rolled()
        world.disk.remove(segmentsOn(world.disk)[index] ?? '')
        if (!withManifest) loseManifest(world)

        expect(look(world)).toBe('CORRUPT')
      })

  test('without the newest are damage when MANIFEST or other evidence names it', () => {
    const world = rolled()
    const { lastLsn } = world.inspect()
    world.disk.remove(newestOn(world.disk))

    expect(look(world)).toBe('CORRUPT')
    loseManifest(world)
    expect(look(world, [{ lsn: lastLsn, source: 'lmdb' }])).toBe('CORRUPT')
    expect(look(world)).toMatchObject({ tail: 'unclean' })
  })

  test('are damage if all are missing and MANIFEST proves that the log was used', () => {
    const world = rolled()
    for (const path of segmentsOn(world.disk)) world.disk.remove(path)

    expect(look(world)).toBe('CORRUPT')
  })

  test('with one number twice are damage', () => {
    const world = rolled()
    const [, second = ''] = segmentsOn(world.disk)
    const twin = world.disk.open(
      `${dir}/${segmentName(99, headerOf(world.disk, second).seq)}`,
      'create',
    )
    twin.close()

    expect(look(world)).toBe('CORRUPT')
  })

  test('that were renamed are damage', () => {
    const world = rolled()
    const [, second = ''] = segmentsOn(world.disk)
    world.disk.rename(second, `${dir}/${segmentName(4, 2)}`)

    expect(look(world)).toBe('CORRUPT')
  })

  test('with names that this log does not use are refused, and other files are ignored', () => {
    const world = rolled()
    for (const name of ['notes.txt', 'spare-7.tmp', 'LOCK', 'quarantine'])
      world.disk.open(`${dir}/${name}`, 'create').close()
    expect(look(world)).toMatchObject({ exists: true })

    world.disk.open(`${dir}/1.wal`, 'create').close()
    expect(look(world)).toBe('CORRUPT')
  })

  test.each([
    ['another log', { walId: '00112233445566778899aabbccddeeff' }],
    ['another predecessor', { prev: { seq: 2, lastLsn: 8, endOffset: 5544, lastCrc: 1 } }],
    ['an epoch that goes back', { epoch: 0 }],
  ])('of which one is of %s are damage', (_, changes) => {
    const world = rolled()
    rewriteHeader(world.disk, segmentsOn(world.disk)[2] ?? '', changes)

    expect(look(world)).toBe('CORRUPT')
  })

  test('that were swapped for those of another life are damage', () => {
    const world = rolled()
    const other = rolled()
    const path = newestOn(world.disk)
    world.disk.poke(path, 0, other.disk.contents(path))
    // Its own header would not help either: its salt differs.
    rewriteHeader(world.disk, path, { ...headerOf(rolled().disk, path), salt: { low: 1, high: 2 } })

    expect(look(world)).toBe('CORRUPT')
  })

  test('before the checkpoint are not read at opening, and are verified when they are read', () => {
    const { world, log } = openedLog()
    for (let number = 1; number <= frames; number++)
      commit(log, [payload(number, size)], { projectedLsn: 1000 })
    log.handle('close', { projectedLsn: 1000 })
    const [first = ''] = segmentsOn(world.disk)
    world.disk.flipBit(first, (4096 + 200) * 8)

    const second = world.open()

    expect(second.inspection.tail).toBe('clean')
    expect(() => readAll(second.log)).toThrow(
      expect.objectContaining({
        code: 'CORRUPT',
        details: expect.objectContaining({
          file: first.slice(dir.length + 1),
          offset: 4096,
          lsn: 1,
        }),
      }),
    )
    expect(readAll(second.log, 2048, 5).map((frame) => frame.content)).toEqual(all.slice(2))
  })

  test('are damage if the first is missing and no checkpoint covers it', () => {
    const world = rolled()
    const [first = ''] = segmentsOn(world.disk)
    world.disk.remove(first)
    expect(look(world)).toBe('CORRUPT')

    const covered = newWorld()
    const { log } = covered.open()
    for (let number = 1; number <= frames; number++)
      commit(log, [payload(number, size)], { projectedLsn: 1000 })
    log.abandon()
    covered.disk.remove(segmentsOn(covered.disk)[0] ?? '')
    expect(look(covered)).toMatchObject({ exists: true })
    loseManifest(covered)
    expect(look(covered)).toMatchObject({ exists: true })
  })
})

describe('the MANIFEST', () => {
  test('is written again when it is lost, and nothing else changes', { tags: ['E41'] }, () => {
    const world = rolled()
    loseManifest(world)

    const { log, inspection } = world.open()

    expect(inspection.remarks).toHaveLength(1)
    expect(readAll(log).map((frame) => frame.content)).toEqual(all)
    log.handle('close', { projectedLsn: 0 })
    expect(world.inspect()).toMatchObject({ tail: 'clean', remarks: [], epoch: 2 })
  })

  test('is written again when it is garbage or too short', () => {
    for (const bytes of [0, 100, 8192]) {
      const world = rolled()
      loseManifest(world)
      const file = world.disk.open(`${dir}/MANIFEST`, 'create')
      file.write(new Uint8Array(bytes).fill(0xa5), 0)
      file.close()
      const { log, inspection } = world.open()
      expect(inspection.remarks, `${bytes} bytes`).toHaveLength(1)
      log.abandon()
      world.disk.crash()
      expect(world.inspect().remarks).toEqual([])
      expect(found(world)).toEqual(all)
    }
  })

  test('proves a loss of data when it is ahead of the segments', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1, 40)])
    log.abandon()
    const before = world.disk.contents(newestOn(world.disk))
    const path = newestOn(world.disk)
    const { log: second } = world.open()
    second.handle('close', { projectedLsn: 0 })
    for (const newer of segmentsOn(world.disk).slice(1)) world.disk.remove(newer)
    const file = world.disk.open(path, 'write')
    file.truncate(before.length)
    file.write(before, 0)
    file.close()

    expect(look(world)).toBe('CORRUPT')
  })

  test('of another log is damage', () => {
    const world = rolled()
    const other = newWorld(undefined, 77)
    world.disk.poke(`${dir}/MANIFEST`, 0, other.disk.contents(`${dir}/MANIFEST`))

    expect(look(world)).toBe('CORRUPT')
  })
})

describe('a newest segment without a readable header', () => {
  const destroyHeader = (world: LogWorld): void =>
    world.disk.poke(newestOn(world.disk), 0, new Uint8Array(4096))

  test('is set aside when MANIFEST proves that it was never used', { tags: ['D14'] }, () => {
    const { world, log } = openedLog()
    for (const number of [1, 2]) commit(log, [payload(number, size)])
    world.disk.inject({ at: 1, operation: 'write', path: 'MANIFEST', fault: { kind: 'halt' } })
    expect(() => commit(log, [payload(3, size)])).toThrow()
    world.disk.crash({ unsynced: 'kept' })
    destroyHeader(world)
    const name = newestOn(world.disk).slice(dir.length + 1)

    const { log: second, inspection } = world.open()

    expect(inspection.remarks).toHaveLength(1)
    expect(world.disk.list(`${dir}/quarantine`)).toEqual([name])
    expect(readAll(second).map((frame) => frame.content)).toEqual(all.slice(0, 2))
  })

  test('is damage when MANIFEST names it or is missing', { tags: ['D14'] }, () => {
    const world = rolled()
    destroyHeader(world)

    expect(look(world)).toBe('CORRUPT')
    loseManifest(world)
    expect(look(world)).toBe('CORRUPT')
  })
})

describe('what a newer version wrote', () => {
  test('is refused in a header', () => {
    const world = rolled()
    const path = newestOn(world.disk)
    const block = world.disk.contents(path).slice(0, 4096)
    for (const at of [0, 2048]) {
      const view = new DataView(block.buffer, at, 512)
      view.setUint16(10, 2, true)
      view.setUint32(508, crc32(block.subarray(at, at + 508)), true)
    }
    world.disk.poke(path, 0, block)

    expect(look(world)).toBe('UNSUPPORTED_VERSION')
  })

  /** Gives the last frame of the log another type, CRC included. */
  const retype = (world: LogWorld, type: number): void => {
    const path = newestOn(world.disk)
    const { salt } = headerOf(world.disk, path)
    const header = world.disk.contents(path).slice(4096, 4096 + frameHeaderBytes)
    header[16] = type
    new DataView(header.buffer).setUint32(0, crc32(header.subarray(4), salt.low), true)
    world.disk.poke(path, 4096, header)
  }

  const oneFrame = (): LogWorld => {
    const { world, log } = openedLog()
    commit(log, [payload(1)])
    log.abandon()
    return world
  }

  test('is refused as a frame, and the frame is not cut', () => {
    const world = oneFrame()
    retype(world, 99)
    const before = filesOf(world.disk)

    expect(look(world)).toBe('UNSUPPORTED_VERSION')
    expect(filesOf(world.disk)).toEqual(before)
  })

  test('is skipped as a frame that may be skipped', () => {
    const world = oneFrame()
    retype(world, 200)

    const { log, report } = world.open()

    expect(report).toMatchObject({ lastLsn: 1, copiedFrames: 1 })
    expect(readAll(log)).toEqual([])
    expect(commit(log, [payload(2)]).lsns).toEqual([2])
  })
})

describe('units of a store', () => {
  const put = encodeFrame({
    kind: 'put',
    key: 'k',
    value: { tag: 2, bytes: new Uint8Array(600) },
    expiry: { kind: 'none' },
  })
  /** The put with one byte changed: its unit has another kind, or its command another code. */
  const changed = (at: number, byte: number): Uint8Array => {
    const bytes = put.slice()
    bytes[at] = byte
    return bytes
  }
  const unitKindAt = 8 + 2 + 4
  const unknown = { unit: changed(unitKindAt, 77), command: changed(unitKindAt + 1, 99) }
  const damaged = put.slice(0, unitKindAt + 3)

  /** The result of an inspection of a log with these frames, or its refusal. */
  const inspected = (payloads: readonly Uint8Array[], needs: LogNeeds) => {
    const { world, log } = openedLog()
    for (const each of payloads) commit(log, [each])
    log.handle('close', { projectedLsn: 0 })
    const before = filesOf(world.disk)
    try {
      const request = { dir, options: small, evidence: [], needs }
      return world.log().handle('inspect', request).lastLsn > 0
    } catch (error) {
      if (!isKeelsonError(error)) throw error
      return { ...error.details, code: error.code }
    } finally {
      expect(filesOf(world.disk)).toEqual(before)
    }
  }
  const needs = { readFrom: 1, holdsUnits: true }

  test.each([0, 4, 19])(
    'that are whole are found, and one that is not is named (after %i)',
    (before) => {
      const puts = Array.from({ length: before }, () => put)
      expect(inspected([...puts, put], needs)).toBe(true)
      const lsnOf = (found: unknown) => (found as { lsn: number }).lsn
      for (const each of Object.values(unknown)) {
        const found = inspected([...puts, each, put], needs)
        expect(found).toMatchObject({ code: 'UNSUPPORTED_VERSION', file: expect.any(String) })
        expect(lsnOf(found)).toBeGreaterThan(before)
      }
      const found = inspected([...puts, damaged, put], needs)
      expect(found).toMatchObject({ code: 'CORRUPT', evidence: expect.stringContaining('payload') })
      expect(lsnOf(found)).toBeGreaterThan(before)
    },
  )

  test('are not decoded where nothing will read them, and in a log without a store', () => {
    expect(inspected([unknown.unit, put], { readFrom: 1 })).toBe(true)
    expect(inspected([unknown.unit, put], { readFrom: 2, holdsUnits: true })).toBe(true)
  })
})
