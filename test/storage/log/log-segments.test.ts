/** A log of several segments: each sealed one must be valid, and the facts of all of them count. */
import { describe, expect, test } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import { frameHeaderBytes } from '../../../src/storage/frames/frame.ts'
import { decodeSegmentHeader } from '../../../src/storage/frames/segment-header.ts'
import { inspectLog, readNeeded } from '../../../src/storage/log/log-inspection.ts'
import { surveyLog } from '../../../src/storage/segments/log-survey.ts'
import type { SimulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import {
  commit,
  dir,
  type LogWorld,
  newestOn,
  openedLog,
  payload,
  segmentsOn,
} from '../../support/worlds/logs.ts'

/** Ten frames, two per segment: four sealed segments and the newest; then a crash. */
const rolled = (): LogWorld => {
  const { world, log } = openedLog()
  for (let number = 1; number <= 10; number++)
    commit(log, [payload(number, 900)], { now: 1_000 * number })
  log.abandon()
  world.disk.crash()
  return world
}

/** The error of an inspection of every frame, or `undefined`. */
const refusal = (disk: SimulatedDisk) => {
  try {
    inspectLog(disk, dir, [], { readFrom: 1 })
    return undefined
  } catch (error) {
    if (isKeelsonError(error)) return error
    throw error
  }
}

/** Gives the first frame of a segment another type, CRC included. */
const retype = (disk: SimulatedDisk, path: string, type: number): void => {
  const reading = decodeSegmentHeader(disk.contents(path).slice(0, 4096))
  if (reading.kind !== 'good') throw new Error(`${path} has no good header`)
  const frame = disk.contents(path).slice(4096, 4096 + frameHeaderBytes)
  frame[16] = type
  new DataView(frame.buffer).setUint32(0, crc32(frame.subarray(4), reading.header.salt.low), true)
  disk.poke(path, 4096, frame)
}

describe('an inspection of several segments', () => {
  test('refuses a frame of a newer version in any segment, whatever else is damaged', {
    tags: ['D26'],
  }, () => {
    const { disk } = rolled()
    const paths = segmentsOn(disk)
    const found = new Set<string | undefined>()
    for (const newer of paths)
      for (const damaged of paths) {
        const copy = disk.clone()
        copy.flipBit(damaged, (4096 + 500) * 8)
        retype(copy, newer, 99)
        found.add(refusal(copy)?.code)
      }
    expect([...found].sort()).toEqual(['CORRUPT', 'UNSUPPORTED_VERSION'])
  })

  test('names the first of two damaged segments', () => {
    const { disk } = rolled()
    const paths = segmentsOn(disk)
    for (const [at, first] of paths.entries())
      for (const second of paths.slice(at + 1, -1)) {
        const copy = disk.clone()
        for (const path of [first, second]) copy.flipBit(path, (4096 + 300) * 8)
        expect(refusal(copy)?.details).toMatchObject({ file: first.slice(dir.length + 1) })
      }
  })

  test('names damage in a sealed segment when the newest cannot be read either', () => {
    const { disk } = rolled()
    const [, second = ''] = segmentsOn(disk)
    disk.flipBit(second, (4096 + 300) * 8)
    // The header of the newest can be read, its frames cannot.
    const path = newestOn(disk)
    disk.inject({ at: 2, times: 1_000, operation: 'open', path, fault: { kind: 'error' } })

    expect(refusal(disk)?.details).toMatchObject({ file: second.slice(dir.length + 1) })
  })

  test('is SHARD_DOWN when the disk cannot read a segment', () => {
    const { disk } = rolled()
    for (const path of segmentsOn(disk)) {
      const copy = disk.clone()
      copy.inject({ at: 2, times: 1_000, operation: 'open', path, fault: { kind: 'error' } })
      expect(refusal(copy)?.code).toBe('SHARD_DOWN')
    }
  })
})

test('facts of earlier segments count when the newest is empty', () => {
  const world = rolled()
  const { log } = world.open()
  log.handle('checkpoint', { opaque: new Uint8Array(3) })
  log.abandon()
  // Twice, because the first opening copies the frames of the newest segment, which nothing proves
  // yet.
  for (let life = 0; life < 2; life++) world.open().log.abandon()
  const { disk } = world
  const { segments } = surveyLog(disk, dir)
  const maps = readNeeded(disk, dir, segments, 0).map(({ map }) => map)

  expect(Math.max(...maps.map(({ lastTime }) => lastTime))).toBe(10_000)
  expect(Math.max(...maps.map(({ checkpointLsn }) => checkpointLsn))).toBeGreaterThan(0)
  expect(Math.max(...maps.map(({ provenLsn }) => provenLsn))).toBeGreaterThan(0)
  expect(maps.at(-1)).toMatchObject({ lastTime: 0, checkpointLsn: 0, provenLsn: 0 })
})
