/**
 * The whole report of a verification, for each kind of damage to files: what the damage changes, and nothing else. The log has 36
 * frames in four segments, of which each but the first begins at the lsn in its name.
 */
import { describe, expect, test } from 'vitest'
import type { LogKnowledge } from '../../../src/storage/examination/log-damage.ts'
import { type DumpRecord, dumping } from '../../../src/storage/examination/log-dump.ts'
import { verifying } from '../../../src/storage/examination/log-verification.ts'
import { decodeSegmentHeader } from '../../../src/storage/frames/segment-header.ts'
import { verifyLog } from '../../support/verify-log.ts'
import {
  crashedLogOf,
  dir,
  type LogWorld,
  openedLog,
  segmentsOn,
} from '../../support/worlds/logs.ts'

const other = 'f'.repeat(32)
const first = '0000000000000001-00000001.wal'
const second = '000000000000000c-00000002.wal'
const third = '0000000000000017-00000003.wal'
const newest = '0000000000000022-00000004.wal'

const built = crashedLogOf(15)
const log = () => built.on(built.disk.clone())
const reportOf = ({ disk }: LogWorld, knowledge?: LogKnowledge) => {
  const { good, ...report } = verifyLog(disk, dir, knowledge)
  expect(good.reduce((sum, { from, to }) => sum + to - from + 1, 0)).toBe(report.frames)
  return report
}
const sound = reportOf(log())

/** Where the frames are, by lsn. */
const places = new Map(
  [...dumping(log().disk, dir)].flatMap((record) =>
    record.kind === 'frame'
      ? [[record.lsn, { from: record.offset, to: record.offset + 32 + record.payloadBytes }]]
      : [],
  ),
)
const placeOf = (lsn: number) => places.get(lsn) ?? { from: 0, to: 0 }
const end = placeOf(36).to

const pathOf = (name: string): string => `${dir}/${name}`
const harmed = (harm: (world: LogWorld) => void, knowledge?: LogKnowledge) => {
  const world = log()
  harm(world)
  return reportOf(world, knowledge)
}
const remove =
  (...names: string[]) =>
  ({ disk }: LogWorld): void => {
    for (const name of names) disk.remove(pathOf(name))
  }
const poke =
  (name: string, ...at: number[]) =>
  ({ disk }: LogWorld): void => {
    for (const offset of at) disk.poke(pathOf(name), offset, Uint8Array.of(0x99, 0x98, 0x97))
  }
const write = ({ disk }: LogWorld, name: string, bytes: Uint8Array): void => {
  const file = disk.open(pathOf(name), 'create')
  file.write(bytes, 0)
  file.close()
}
const at = (file: string, lsn: number, evidence: string, offset = 0) => ({
  ...{ file, offset, lsn, evidence },
})
/** Both copies of a header. */
const bothCopies = [20, 2048 + 20]

test('a sound log', () => {
  expect(sound).toEqual({
    ...{ verdict: 'clean', tail: 'unclean', epoch: 1, segments: 4, frames: 36, dataFrames: 30 },
    ...{ firstLsn: 1, lastLsn: 36, provenLsn: 34, provenBy: `a later frame in ${newest}` },
    ...{ lostBefore: [], lastTime: 0, checkpointLsn: 0, damage: [], lost: [], remarks: [] },
    ...{ bytes: expect.any(Number), walId: expect.any(String), snapshots: [] },
  })
})

describe('damage within a file', () => {
  test('that is one frame loses that one', () => {
    const found = harmed(poke(second, 4096 + 100))
    expect(found).toEqual({
      ...{ ...sound, verdict: 'corrupt', frames: 35, dataFrames: 29 },
      damage: [
        at(
          second,
          12,
          'the header of frame 12 is valid, but its payload is not (432 bytes); the next good frame is 13',
          4096,
        ),
      ],
      lost: [{ from: 12, to: 12 }],
    })
  })

  test('that nothing proves is torn, in the newest file alone', () => {
    const { from } = placeOf(36)
    expect(harmed(poke(newest, from + 100))).toEqual({
      ...{ ...sound, verdict: 'torn', tail: 'torn', frames: 35, dataFrames: 29, lastLsn: 35 },
      torn: { file: newest, offset: from, lsn: 36, bytes: end - from },
    })
  })
})

describe('a file that is gone', () => {
  test('from the middle loses its frames', () => {
    expect(harmed(remove(second))).toEqual({
      ...{ ...sound, verdict: 'corrupt', segments: 3, frames: 25, dataFrames: 21 },
      bytes: expect.any(Number),
      damage: [at(third, 23, 'its predecessor has number 1, but its header names 2')],
      lost: [{ from: 12, to: 22 }],
    })
  })

  test('from the front loses its frames, unless they are needed no more', () => {
    const left = { ...sound, segments: 3, frames: 25, dataFrames: 21, firstLsn: 12 }
    expect(harmed(remove(first))).toEqual({
      ...{ ...left, verdict: 'corrupt', bytes: expect.any(Number) },
      damage: [
        at(
          second,
          1,
          'segments before it are missing, and nothing has taken the place of their frames',
        ),
      ],
      lost: [{ from: 1, to: 11 }],
    })
    expect(harmed(remove(first), { heldFrom: 12 })).toEqual({ ...left, bytes: expect.any(Number) })
    expect(harmed(remove(first), { heldFrom: 11 }).lost).toEqual([{ from: 11, to: 11 }])
  })

  test('from the end is missed by the MANIFEST', () => {
    expect(harmed(remove(newest))).toMatchObject({
      ...{ verdict: 'corrupt', segments: 3, frames: 33, lastLsn: 33, provenLsn: 33 },
      ...{ provenBy: 'MANIFEST', lost: [] },
      damage: [at('MANIFEST', 34, 'MANIFEST names segment 4, which is missing')],
    })
  })

  test('with all others leaves what the MANIFEST proves', () => {
    const found = harmed(remove(first, second, third, newest))
    expect(found).toEqual({
      ...{ ...sound, verdict: 'corrupt', segments: 0, bytes: 0, frames: 0, dataFrames: 0 },
      ...{ firstLsn: 0, lastLsn: 0, provenLsn: 33, provenBy: 'MANIFEST', doubtFrom: 34 },
      damage: [
        at('MANIFEST', 1, 'MANIFEST names segments, but none can be read'),
        at('MANIFEST', 34, 'MANIFEST names segment 4, which is missing'),
      ],
      lost: [{ from: 1, to: 33 }],
    })
  })

  test('and is the MANIFEST leaves a log, with a remark', () => {
    expect(harmed(remove('MANIFEST'))).toEqual({ ...sound, remarks: ['MANIFEST is missing'] })
  })
})

describe('a damaged header', () => {
  test('in one copy, or one slot of the MANIFEST, only adds a remark', () => {
    expect(harmed(poke(second, 20))).toEqual({
      ...{ ...sound, remarks: [`${second} has one damaged copy of its header`] },
    })
    const slots = harmed(poke('MANIFEST', 20))
    expect(slots).toEqual({ ...sound, remarks: ['MANIFEST has one damaged slot'] })
  })

  test('in both copies loses the frames of its file', () => {
    expect(harmed(poke(second, ...bothCopies))).toEqual({
      ...{ ...sound, verdict: 'corrupt', segments: 3, frames: 25, dataFrames: 21 },
      bytes: expect.any(Number),
      damage: expect.arrayContaining([
        at(second, 12, 'both copies of its header are damaged; none of its frames can be read'),
      ]),
      lost: [{ from: 12, to: 22 }],
    })
  })

  test('in both copies of the newest file leaves its frames in doubt, and is named once', () => {
    expect(harmed(poke(newest, ...bothCopies))).toEqual({
      ...{ ...sound, verdict: 'corrupt', segments: 3, frames: 33, dataFrames: 27 },
      ...{ bytes: expect.any(Number), lastLsn: 33, provenLsn: 33, provenBy: 'MANIFEST' },
      ...{ doubtFrom: 34 },
      damage: [
        at(newest, 34, 'both copies of its header are damaged; none of its frames can be read'),
      ],
    })
  })
})

describe('a cut file', () => {
  test('lacks what it was allocated: its last frames may be gone', () => {
    const cut = placeOf(36).from + 100
    const found = harmed(({ disk }) => {
      const file = disk.open(pathOf(newest), 'write')
      file.truncate(cut)
      file.sync()
      file.close()
    })
    expect(found).toEqual({
      ...{ ...sound, verdict: 'corrupt', tail: 'torn', frames: 35, dataFrames: 29, lastLsn: 35 },
      ...{ bytes: sound.bytes - 10 * 1024 + cut, doubtFrom: 36 },
      damage: [at(newest, 36, `the file was cut: it has ${cut} of ${10 * 1024} bytes`, cut)],
      torn: { file: newest, offset: placeOf(36).from, lsn: 36, bytes: 100 },
    })
  })
})

describe('bytes behind the end', () => {
  test('are a torn tail, up to the last of them', () => {
    const clean = harmed(() => undefined)
    expect(harmed(poke(newest, 9_000))).toEqual({
      ...{ ...clean, verdict: 'torn', tail: 'torn' },
      torn: { file: newest, offset: end, lsn: 37, bytes: 9_003 - end },
    })
    expect(harmed(poke(newest, 9_000), { isLive: true })).toEqual({ ...clean, tail: 'open' })
  })

  test('of a closed log are a remark', () => {
    const world = log()
    world.open().log.handle('close', { projectedLsn: 0 })
    const closed = reportOf(world)
    expect(closed).toMatchObject({ verdict: 'clean', tail: 'clean', remarks: [] })
    const path = segmentsOn(world.disk).at(-1) ?? ''
    const size = world.disk.entry(path)?.size ?? 0
    const file = world.disk.open(path, 'write')
    file.write(Uint8Array.of(1, 2, 3), size)
    file.close()

    expect(reportOf(world)).toEqual({
      ...{ ...closed, bytes: closed.bytes + 3 },
      remarks: [expect.stringContaining(`${path.slice(dir.length + 1)} has `)],
    })
  })
})

describe('a file that is not of this log', () => {
  test('and belongs to another one is named, and costs nothing', () => {
    const world = log()
    const bytes = fileOfOther()
    write(world, '0000000000000030-00000005.wal', bytes)

    const found = reportOf(world)

    const reading = decodeSegmentHeader(bytes.slice(0, 4096))
    if (reading.kind !== 'good') throw new Error('no header')
    const { seq, baseLsn, walId } = reading.header
    expect(found).toEqual({
      ...{ ...sound, verdict: 'corrupt' },
      damage: [
        at(
          '0000000000000030-00000005.wal',
          baseLsn,
          `its name does not match its header: segment ${seq}, first lsn ${baseLsn}`,
        ),
        at('0000000000000030-00000005.wal', baseLsn, `it belongs to another log, ${walId}`),
      ],
    })
  })

  test('and has the number of another one is named', () => {
    const world = log()
    write(world, '000000000000000c-0000000c.wal', world.disk.contents(pathOf(second)))

    expect(reportOf(world)).toEqual({
      ...{ ...sound, verdict: 'corrupt' },
      damage: [
        at(
          '000000000000000c-0000000c.wal',
          12,
          'its name does not match its header: segment 2, first lsn 12',
        ),
        at('000000000000000c-0000000c.wal', 12, `${second} has the same number`),
      ],
    })
  })

  test('and has no header and no name of ours is named', () => {
    const world = log()
    write(world, 'notes.wal', new Uint8Array(100))

    expect(reportOf(world)).toEqual({
      ...{ ...sound, verdict: 'corrupt' },
      damage: [at('notes.wal', 0, 'its name is not one that this log gives, and it has no header')],
    })
  })

  test('and was never used is set aside by an opening, with a remark', () => {
    const world = log()
    const unused = '0000000000000030-00000005.wal'
    write(world, unused, new Uint8Array(8192))

    expect(reportOf(world)).toEqual({
      ...sound,
      remarks: [`${unused} has no readable header and was never used; opening sets it aside`],
    })
    // Without the MANIFEST nobody knows whether it was used.
    remove('MANIFEST')(world)
    expect(reportOf(world)).toMatchObject({ verdict: 'corrupt', doubtFrom: 37 })
  })

  /** A file of a log of another seed, which has another id. */
  const fileOfOther = (): Uint8Array => {
    const { world } = openedLog({ maxFileSize: 10 * 1024, sectorBytes: 512 }, 2)
    return world.disk.contents(segmentsOn(world.disk)[0] ?? '').slice()
  }
})

describe('what the caller knows', () => {
  test('is evidence: an lsn beyond the end is lost, one of another log is nothing', () => {
    const source = 'a replica'
    expect(reportOf(log(), { evidence: [{ lsn: 38, source }] })).toEqual({
      ...{ ...sound, verdict: 'corrupt', provenLsn: 38, provenBy: source, doubtFrom: 39 },
      damage: [
        at(newest, 37, `${source} proves frames up to lsn 38, but the last valid one is 36`, end),
      ],
      lost: [{ from: 37, to: 38 }],
    })
    expect(reportOf(log(), { evidence: [{ lsn: 38, source, walId: other }] })).toEqual(sound)
    expect(reportOf(log(), { evidence: [{ lsn: 36, source, walId: sound.walId }] })).toEqual({
      ...{ ...sound, provenLsn: 36, provenBy: source },
    })
  })

  test('is the id that the log must have', () => {
    expect(reportOf(log(), { walId: sound.walId })).toEqual(sound)
    expect(reportOf(log(), { walId: other })).toEqual({
      ...{ ...sound, verdict: 'corrupt' },
      damage: [at(first, 1, `it belongs to the log ${sound.walId}, expected ${other}`)],
    })
  })

  test('is its floor: an epoch and an lsn', () => {
    expect(reportOf(log(), { floor: { epoch: 1, lsn: 36 } })).toEqual({
      ...{ ...sound, provenLsn: 36, provenBy: 'floor.json' },
    })
    expect(reportOf(log(), { floor: { epoch: 2, lsn: 36 } })).toEqual({
      ...{ ...sound, verdict: 'corrupt', provenLsn: 36, provenBy: 'floor.json', doubtFrom: 37 },
      damage: [at('MANIFEST', 37, 'floor.json names epoch 2, and the newest file is of epoch 1')],
    })
  })

  test('is the frame from which it was read: none before it is judged', () => {
    const found = harmed(remove(first), { heldFrom: 1, readFrom: 12 })
    expect(found).toMatchObject({ lost: [], verdict: 'corrupt' })
    expect(found.damage).toHaveLength(1)
  })
})

test('progress counts the bytes of one file after another, up to all of them', () => {
  const steps = [...verifying(log().disk, dir)]
  const whats = [...new Set(steps.map(({ what }) => what))]

  expect(whats).toEqual([first, second, third, newest])
  expect(steps.map(({ bytes }) => bytes)).toEqual(
    steps.map(({ bytes }) => bytes).sort((one, two) => one - two),
  )
  for (const { totalBytes } of steps) expect(totalBytes).toBe(sound.bytes)
  expect(steps.at(-1)?.bytes).toBe(sound.bytes)
  for (const name of whats) {
    const own = steps.filter(({ what }) => what === name)
    const before = steps.findLast(({ what }) => whats.indexOf(what) === whats.indexOf(name) - 1)
    const size = log().disk.entry(pathOf(name))?.size ?? 0
    expect(own.at(-1)?.bytes).toBe((before?.bytes ?? 0) + size)
  }
})

describe('a dump', () => {
  const dumped = (world: LogWorld, range?: { from?: number; to?: number }) =>
    [...dumping(world.disk, dir, range)].flatMap((record: DumpRecord): (string | number)[] => {
      if (record.kind === 'frame') return [record.lsn]
      if (record.kind === 'segment') return [record.segment.name]
      if (record.kind === 'given back') return [`from ${record.firstLsn}, not ${record.from}`]
      return record.kind === 'pause' ? [] : [`${record.kind} at ${record.lsn}`]
    })
  const lsns = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index)

  test('has the frames of a range, both ends too, and the files that hold them', () => {
    const whole = [
      ...[first, ...lsns(1, 11), second, ...lsns(12, 22)],
      ...[third, ...lsns(23, 33), newest, ...lsns(34, 36)],
    ]
    expect(dumped(log())).toEqual(whole)
    expect(dumped(log(), { from: 12, to: 22 })).toEqual([second, ...lsns(12, 22)])
    expect(dumped(log(), { from: 11, to: 12 })).toEqual([first, 11, second, 12])
    expect(dumped(log(), { from: 36 })).toEqual([newest, 36])
    expect(dumped(log(), { from: 37 })).toEqual([newest])
    expect(dumped(log(), { to: 1 })).toEqual([first, 1])
    expect(dumped(log(), { from: 1, to: 2 })).toEqual([first, 1, 2])
  })

  test('says with which frame a log begins that has given back the first', () => {
    const world = log()
    remove(first)(world)
    expect(dumped(world, { from: 11, to: 12 })).toEqual(['from 12, not 11', second, 12])
    expect(dumped(world, { from: 12, to: 12 })).toEqual([second, 12])
    expect(dumped(world, { to: 12 })).toEqual([second, 12])
  })

  test('has damage at its place, within the range alone', () => {
    const world = log()
    poke(second, 4096 + 100)(world)
    expect(dumped(world, { from: 11, to: 14 })).toEqual([first, 11, second, 'damage at 12', 13, 14])
    expect(dumped(world, { from: 12, to: 12 })).toEqual([second, 'damage at 12'])
    expect(dumped(world, { from: 13, to: 13 })).toEqual([second, 13])
    expect(dumped(world, { to: 11 })).toEqual([first, ...lsns(1, 11)])
  })

  test('of a folder without a log is NO_SEGMENTS, and not where there is a trace of one', () => {
    const world = log()
    remove(first, second, third, newest)(world)
    expect(dumped(world)).toEqual([expect.stringContaining('damage at')])
    remove('MANIFEST')(world)
    expect(() => dumped(world)).toThrow(
      expect.objectContaining({ code: 'NO_SEGMENTS', details: { dir } }),
    )
    write(world, 'notes.wal', new Uint8Array(100))
    expect(dumped(world)).toEqual(['damage at 0'])
  })
})
