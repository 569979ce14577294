/**
 * A log whose sealed segments are read by two: whatever the assistant has read, and whatever it has not, every inspection
 * says what it says without one, word for word.
 */
import { describe, expect, test } from 'vitest'
import { crc32 } from '../../../src/storage/bytes/crc32.ts'
import { frameHeaderBytes } from '../../../src/storage/frames/frame.ts'
import { decodeSegmentHeader } from '../../../src/storage/frames/segment-header.ts'
import { inspectLog } from '../../../src/storage/recovery/log-inspection.ts'
import { scanLog } from '../../../src/storage/recovery/log-scan.ts'
import { noAssistant, type ScanAssistant } from '../../../src/storage/recovery/scan-board.ts'
import { readSealed } from '../../../src/storage/recovery/segment-reading.ts'
import { readManifest } from '../../../src/storage/segments/manifest.ts'
import { listSegments } from '../../../src/storage/segments/segment-list.ts'
import type { SimulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import {
  commit,
  dir,
  type LogWorld,
  newestOn,
  newWorld,
  payload,
  segmentsOn,
} from '../../support/logs.ts'
import { dead, eager, saidBy } from '../../support/scan-assistants.ts'

/** Ten frames, two a segment: four sealed segments and the newest; then a crash. */
const rolled = (): LogWorld => {
  const world = newWorld()
  const { log } = world.open()
  for (let number = 1; number <= 10; number++)
    commit(log, [payload(number, 900)], { now: 1_000 * number })
  log.abandon()
  world.disk.crash()
  return world
}

const sealedCount = 4

/** What inspections of `disk` say: without an assistant; and with each that there may be. */
const verdicts = (disk: SimulatedDisk): { readonly alone: string; readonly assisted: string[] } => {
  const said = (assistant?: ScanAssistant) =>
    saidBy(() => inspectLog(disk, dir, [], { readFrom: 1 }, assistant))
  const places = Array.from({ length: sealedCount + 1 }, (_, from) => from)
  return {
    alone: said(),
    assisted: places.flatMap((from) => [said(eager(disk, from)), said(dead(from))]),
  }
}

/** @throws when one of them differs. */
const expectSame = (disk: SimulatedDisk, what: string): string => {
  const { alone, assisted } = verdicts(disk)
  for (const [at, said] of assisted.entries())
    if (said !== alone) expect.fail(`${what}, assistant ${at}: ${said}, and alone ${alone}`)
  return alone
}

const codeIn = (said: string): string => JSON.parse(said).code ?? 'whole'

/** Gives the first frame of a segment another type, CRC included. */
const retype = (disk: SimulatedDisk, path: string, type: number): void => {
  const reading = decodeSegmentHeader(disk.contents(path).slice(0, 4096))
  if (reading.kind !== 'good') throw new Error(`${path} has no good header`)
  const frame = disk.contents(path).slice(4096, 4096 + frameHeaderBytes)
  frame[16] = type
  new DataView(frame.buffer).setUint32(0, crc32(frame.subarray(4), reading.header.salt.low), true)
  disk.poke(path, 4096, frame)
}

describe('an inspection with an assistant says what it says alone', () => {
  test('of a log that is whole', () => {
    const { disk } = rolled()
    expect(segmentsOn(disk)).toHaveLength(sealedCount + 1)

    expect(codeIn(expectSame(disk, 'whole'))).toBe('whole')
  })

  test('D6 with a bit turned over in any seventh byte of its frames', { timeout: 120_000 }, () => {
    const { disk } = rolled()
    const codes = new Map<string, number>()
    for (const path of segmentsOn(disk)) {
      const bytes = disk.contents(path).length
      for (let byte = 4096; byte < bytes; byte += 7) {
        disk.flipBit(path, byte * 8 + (byte % 8))
        const code = codeIn(expectSame(disk, `byte ${byte} of ${path}`))
        codes.set(code, (codes.get(code) ?? 0) + 1)
        disk.flipBit(path, byte * 8 + (byte % 8))
      }
    }
    expect(codes.get('CORRUPT')).toBeGreaterThan(1_000)
    expect(codes.get('whole')).toBeGreaterThan(70)
  })

  test('D12 with a segment cut, or exchanged for another', () => {
    const { disk } = rolled()
    const paths = segmentsOn(disk)
    const codes = paths.flatMap((path, index) => {
      const other = paths[(index + 1) % paths.length] ?? ''
      const size = disk.contents(path).length
      const cut = disk.clone()
      const file = cut.open(path, 'write')
      file.truncate(Math.floor((4096 + size) / 2))
      file.close()
      const exchanged = disk.clone()
      exchanged.poke(path, 4096, disk.contents(other).slice(4096, 5000))
      return [expectSame(cut, `${path} cut`), expectSame(exchanged, `${path} like ${other}`)].map(
        codeIn,
      )
    })
    expect(codes).toEqual(codes.map(() => 'CORRUPT'))
  })

  test('D26 with a frame of a newer version in any segment, and damage in another', () => {
    const { disk } = rolled()
    const paths = segmentsOn(disk)
    const found = new Set<string>()
    for (const newer of paths)
      for (const damaged of paths) {
        const copy = disk.clone()
        copy.flipBit(damaged, (4096 + 500) * 8)
        retype(copy, newer, 99)
        found.add(codeIn(expectSame(copy, `${newer} newer, ${damaged} damaged`)))
      }
    expect([...found].sort()).toEqual(['CORRUPT', 'UNSUPPORTED_VERSION'])
  })

  test('with damage in two segments: it names the first', () => {
    const { disk } = rolled()
    const paths = segmentsOn(disk)
    for (const [at, first] of paths.entries())
      for (const second of paths.slice(at + 1, -1)) {
        const copy = disk.clone()
        for (const path of [first, second]) copy.flipBit(path, (4096 + 300) * 8)
        const said = expectSame(copy, `${first} and ${second}`)
        expect(JSON.parse(said).details.file).toBe(first.slice(dir.length + 1))
      }
  })

  test('of damage in a sealed segment, when the newest cannot be read either', () => {
    const { disk } = rolled()
    const [, second = ''] = segmentsOn(disk)
    disk.flipBit(second, (4096 + 300) * 8)
    // The header of the newest can be read, its frames cannot.
    const path = newestOn(disk)
    const said = [undefined, eager(disk, 1), dead(0), dead(1)].map((assistant) => {
      const copy = disk.clone()
      copy.inject({ at: 2, times: 1_000, operation: 'open', path, fault: { kind: 'error' } })
      return saidBy(() => inspectLog(copy, dir, [], { readFrom: 1 }, assistant))
    })
    expect(new Set(said).size, said.join('\n')).toBe(1)
    expect(said[0]).toContain(second.slice(dir.length + 1))
  })

  test('of a segment that the disk cannot read: the disk’s own words', () => {
    const { disk } = rolled()
    for (const path of segmentsOn(disk)) {
      const refused = (assistantOn: (copy: SimulatedDisk) => ScanAssistant | undefined) => {
        const copy = disk.clone()
        copy.inject({ at: 2, times: 1_000, operation: 'open', path, fault: { kind: 'error' } })
        return saidBy(() => inspectLog(copy, dir, [], { readFrom: 1 }, assistantOn(copy)))
      }
      const alone = refused(() => undefined)
      expect(JSON.parse(alone)).toMatchObject({ code: 'SHARD_DOWN' })
      for (const from of [0, 1, 2, 3, 4]) {
        expect(refused((copy) => eager(copy, from))).toBe(alone)
        expect(refused(() => dead(from))).toBe(alone)
      }
    }
  })
})

describe('a segment that both read', () => {
  /** Segments of 2 MiB, each read in several windows. */
  const large = (): LogWorld => {
    const world = newWorld({ maxFileSize: 2 * 1024 * 1024, sectorBytes: 512 })
    const { log } = world.open()
    for (let number = 1; number <= 50; number++) commit(log, [payload(number, 120_000)])
    log.abandon()
    return world
  }

  /** Answers segment `at` when it was asked for `asks` times. */
  const slow =
    (disk: SimulatedDisk, at: number, asks: number): ScanAssistant =>
    (folder, sealed) => {
      let left = asks
      const segment = sealed[at]
      return {
        take: (index) => index < at,
        answer: (index) =>
          segment && index === at && left-- <= 0 ? readSealed(disk, folder, segment) : undefined,
        end: () => undefined,
      }
    }

  test('is read by the first that has done it, and the other leaves it', () => {
    const { disk } = large()
    const inspected = (asks: number) => {
      // The assistant reads another disk, so that only the reads of the other side count.
      const copy = disk.clone()
      const before = copy.counts.read
      const said = saidBy(() => inspectLog(copy, dir, [], { readFrom: 1 }, slow(disk, 1, asks)))
      return { said, reads: copy.counts.read - before }
    }
    const alone = saidBy(() => inspectLog(disk, dir, [], { readFrom: 1 }))
    const [atOnce, soon, late, never] = [0, 2, 4, 1e9].map(inspected)

    for (const found of [atOnce, soon, late, never]) expect(found?.said).toBe(alone)
    expect(atOnce?.reads).toBeLessThan(soon?.reads ?? 0)
    expect(soon?.reads).toBeLessThan(late?.reads ?? 0)
    expect(late?.reads).toBeLessThan(never?.reads ?? 0)
  })

  test('is left by the assistant when it is told that nobody waits for it', () => {
    const { disk } = large()
    const { isRead: isLeft, reads: few } = readUntil(disk, 1)
    const { isRead, reads: all } = readUntil(disk, 1_000)

    expect([isLeft, isRead]).toEqual([false, true])
    expect(few).toBeLessThan(all)
  })

  /** Reads the second segment as an assistant that is told at its `last` look that nobody waits. */
  const readUntil = (disk: SimulatedDisk, last: number) => {
    const found = { isRead: false, reads: 0 }
    inspectLog(disk, dir, [], { readFrom: 1 }, (folder, sealed) => {
      const before = disk.counts.read
      let looks = 0
      const [, segment] = sealed
      const reading = segment && readSealed(disk, folder, segment, () => ++looks >= last)
      found.isRead = reading !== undefined
      found.reads = disk.counts.read - before
      return noAssistant(folder, sealed)
    })
    return found
  }
})

test('what earlier segments say counts when the newest is empty, whoever has read them', () => {
  const world = rolled()
  const { log } = world.open()
  log.handle('checkpoint', { opaque: new Uint8Array(3) })
  log.abandon()
  // Twice: what the newest holds is taken along into the fresh one as long as nothing proves it.
  for (let life = 0; life < 2; life++) world.open().log.abandon()
  const { disk } = world
  const { segments } = listSegments(disk, dir, readManifest(disk, dir))
  const alone = scanLog(disk, dir, segments)

  expect(alone).toMatchObject({ lastTime: 10_000 })
  expect(alone.checkpointLsn).toBeGreaterThan(0)
  expect(alone.provenLsn).toBeGreaterThan(0)
  const [newest] = segments.slice(-1)
  expect(newest && scanLog(disk, dir, [newest])).toMatchObject({
    lastTime: 0,
    checkpointLsn: 0,
    provenLsn: 0,
  })
  for (const from of segments.keys()) {
    expect(scanLog(disk, dir, segments, eager(disk, from))).toEqual(alone)
    expect(scanLog(disk, dir, segments, dead(from))).toEqual(alone)
  }
})

test('the assistant is told to end whether the log is whole, damaged or unreadable', () => {
  const { disk } = rolled()
  const [, second = ''] = segmentsOn(disk)
  const ends = [() => undefined, () => disk.flipBit(second, (4096 + 300) * 8)].map((damage) => {
    damage()
    let count = 0
    saidBy(() =>
      inspectLog(disk, dir, [], { readFrom: 1 }, () => ({
        take: () => true,
        answer: () => undefined,
        end: () => void count++,
      })),
    )
    return count
  })
  expect(ends).toEqual([1, 1])
})
