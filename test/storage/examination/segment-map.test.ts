/**
 * The map of a segment, beside what was done to it: after each kind of damage to each frame the runs, the holes and all other facts
 * are exactly those that the rest of the frames has.
 */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import {
  examineTail,
  findFrame,
  provenAstray,
} from '../../../src/storage/examination/frame-search.ts'
import {
  type Hole,
  mapSegment,
  mapStart,
  type SegmentMap,
} from '../../../src/storage/examination/segment-map.ts'
import { believed, type Stretch } from '../../../src/storage/examination/segment-stretches.ts'
import { encodeCheckpoint } from '../../../src/storage/frames/control-payload.ts'
import { frameTypes } from '../../../src/storage/frames/frame.ts'
import type { FrameEnd } from '../../../src/storage/frames/frame-cursor.ts'
import { GroupEncoder } from '../../../src/storage/frames/group-encoder.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { runToEnd } from '../../support/worlds/logs.ts'

const sector = 512
const facts = { salt: { low: 11, high: 12 }, sectorBytes: sector, payloadMax: 64 * 1024 }
const start: FrameEnd = { offset: 4096, lsn: 100, crc: 7 }
const size = 32 * 1024

const put = encodeFrame({
  kind: 'put',
  key: 'k',
  value: { tag: 2, bytes: new Uint8Array(200) },
  expiry: { kind: 'none' },
})
/** A put with a command code that no version has. */
const badUnits = put.slice()
badUnits[8 + 2 + 4 + 1] = 99

type Frame = { readonly offset: number; readonly before: FrameEnd; readonly end: FrameEnd }

/** A file with a frame for each payload, each in a group of its own or all in one. */
const fileOf = (
  payloads: readonly (readonly [type: number, payload: Uint8Array])[],
  { isOneGroup = false, durableLsn = 0 } = {},
) => {
  const file = simulatedDisk({ sectorBytes: sector }).open('/segment', 'create')
  file.write(new Uint8Array(size), 0)
  const frames: Frame[] = []
  let end = start
  const encoder = new GroupEncoder()
  encoder.begin(start, { ...facts, durableLsn }, size)
  for (const [index, [type, payload]] of payloads.entries()) {
    if (!isOneGroup && index > 0) encoder.endGroup()
    const offset = encoder.nextOffset
    encoder.add(type, payload)
    frames.push({ offset, before: end, end: encoder.end })
    end = encoder.end
  }
  file.write(encoder.finish(), encoder.fileOffset)
  const change = (at: number, bytes: Uint8Array): void => void file.write(bytes, at)
  const flip = (at: number): void => {
    const byte = new Uint8Array(1)
    file.read(byte, at)
    change(at, Uint8Array.of((byte[0] ?? 0) ^ 0x10))
  }
  const map = (limit = size, unitsFrom?: number): SegmentMap =>
    runToEnd(mapSegment(file, facts, start, limit, unitsFrom))
  return { file, frames, change, flip, map }
}

const data = (count: number, bytes = put): [number, Uint8Array][] =>
  Array.from({ length: count }, () => [frameTypes.data, bytes])

/** The runs of frames that are whole, as they must be. */
const runsOf = (frames: readonly Frame[], isWhole: (index: number) => boolean) => {
  const runs: { from: number; to: number; frames: number; offset: number }[] = []
  for (const [index, { before, end, offset }] of frames.entries()) {
    if (!isWhole(index)) continue
    const last = runs.at(-1)
    if (last && last.to === before.lsn)
      Object.assign(last, { to: end.lsn, frames: last.frames + 1 })
    else runs.push({ from: before.lsn, to: end.lsn, frames: 1, offset })
  }
  return runs
}

const shown = ({ runs }: SegmentMap) =>
  runs.map(({ from, to, frames }) => [from.lsn, to.lsn, frames])
const wanted = (runs: ReturnType<typeof runsOf>) =>
  runs.map(({ from, to, frames }) => [from, to, frames])

const count = 6

describe.each([
  ['in groups of one frame', false],
  ['in one group', true],
])('a segment with frames %s', (_, isOneGroup) => {
  const fresh = () => fileOf(data(count), { isOneGroup })
  const last = count - 1

  test('is one run to its end, with nothing behind it', () => {
    const { map, frames } = fresh()
    expect(map()).toEqual({
      runs: [
        {
          ...{ from: start, to: frames[last]?.end, frames: count, dataFrames: count },
          ...{ checkpointLsn: 0, lastTime: 0, provenLsn: 0, mark: 'none', lostBefore: [] },
          isUnreadable: false,
        },
      ],
      ...{ holes: [], unreadable: [], lostBefore: [], provenLsn: 0, checkpointLsn: 0, lastTime: 0 },
      ...{ end: frames[last]?.end, mark: 'none', usedEnd: frames[last]?.end.offset },
    })
  })

  /** The hole where frame `index` was, found by a search; `usedEnd`: where bytes end, if it is the last. */
  const searched = (
    frames: readonly Frame[],
    index: number,
    kind: Hole['kind'],
    usedEnd: number,
  ) => {
    const [frame, next] = [frames[index], frames[index + 1]]
    const hole = { offset: frame?.before.offset, lastLsn: frame?.before.lsn, kind }
    return next ? { ...hole, end: next.offset, nextLsn: next.end.lsn } : { ...hole, end: usedEnd }
  }

  test.each([...Array(count).keys()])(
    'has one hole where the payload of frame %i is damaged',
    (at) => {
      const { map, frames, flip } = fresh()
      const frame = frames[at]
      if (!frame) throw new Error('no frame')
      flip(frame.offset + 32 + 50)

      const found = map()

      const hole = { offset: frame.offset, end: frame.end.offset, lastLsn: frame.before.lsn }
      const nextLsn = at < last ? { nextLsn: frame.end.lsn + 1 } : {}
      expect(found.holes).toEqual([{ ...hole, ...nextLsn, kind: 'payload' }])
      expect(shown(found)).toEqual(wanted(runsOf(frames, (index) => index !== at)))
      expect(found.end).toEqual(at < last ? frames[last]?.end : frame.before)
      expect(found.usedEnd).toBe(frames[last]?.end.offset)
    },
  )

  test.each([...Array(count).keys()])(
    'has one hole where the header of frame %i is damaged',
    (at) => {
      const { map, frames, flip } = fresh()
      const frame = frames[at]
      if (!frame) throw new Error('no frame')
      flip(frame.offset + 8)

      const found = map()

      const usedEnd = frame.end.offset
      expect(found.holes).toEqual([searched(frames, at, 'bytes', usedEnd)])
      expect(shown(found)).toEqual(wanted(runsOf(frames, (index) => index !== at)))
      expect(found.end).toEqual(at < last ? frames[last]?.end : frame.before)
    },
  )

  test.each([...Array(count).keys()])('has one hole of zeros where frame %i is zeroed', (at) => {
    const { map, frames, change } = fresh()
    const frame = frames[at]
    if (!frame) throw new Error('no frame')
    const from = isOneGroup ? frame.offset : frame.before.offset
    change(from, new Uint8Array(frame.end.offset - from))

    const found = map()

    // Zeros at the end are no hole: nothing was ever there.
    expect(found.holes).toEqual(at < last ? [searched(frames, at, 'zeros', 0)] : [])
    expect(shown(found)).toEqual(wanted(runsOf(frames, (index) => index !== at)))
    expect(found.usedEnd).toBe(at < last ? frames[last]?.end.offset : frame.before.offset)
  })

  test.each([...Array(count).keys()])(
    'has one hole where the units of frame %i cannot be read',
    (at) => {
      const payloads = data(count).map((one, index) =>
        index === at ? ([frameTypes.data, badUnits] as const) : one,
      )
      const { map, frames } = fileOf(payloads, { isOneGroup })
      const frame = frames[at]
      if (!frame) throw new Error('no frame')

      const found = map(size, 0)

      expect(found.holes).toEqual([
        {
          ...{ offset: frame.offset, end: frame.end.offset, lastLsn: frame.before.lsn },
          ...{ kind: 'units', error: expect.objectContaining({ code: expect.any(String) }) },
          ...(at < last && { nextLsn: frame.end.lsn + 1 }),
        },
      ])
      expect(shown(found)).toEqual(wanted(runsOf(frames, (index) => index !== at)))
      // It was written: an opening must not cut it off.
      expect([found.provenLsn, found.end]).toEqual([frame.end.lsn, frames[last]?.end])
      // Units before the first one that counts are not read.
      expect(map(size, frame.end.lsn + 1).holes).toEqual([])
      expect(map().holes).toEqual([])

      const opened = mapStart(...startOf(payloads, isOneGroup), { unitsFrom: 0, hasTail: true })
      expect(opened).toMatchObject({ provenLsn: frame.end.lsn, end: frame.end, mark: 'none' })
      expect(opened.holes).toMatchObject([{ lastLsn: frame.before.lsn, kind: 'units' }])
      expect(shown(opened)).toEqual(wanted(runsOf(frames, (index) => index < at)))
    },
  )

  const startOf = (payloads: Parameters<typeof fileOf>[0], isOne: boolean) =>
    [fileOf(payloads, { isOneGroup: isOne }).file, facts, start, size] as const

  test.each([...Array(count).keys()])(
    'that is cut within frame %i has one hole at its end',
    (at) => {
      const { map, frames } = fresh()
      const frame = frames[at]
      if (!frame) throw new Error('no frame')
      const limit = frame.offset + 100

      const found = map(limit)

      const kind = 'payload'
      expect(found.holes).toEqual([
        { offset: frame.offset, end: limit, lastLsn: frame.before.lsn, kind },
      ])
      expect(shown(found)).toEqual(wanted(runsOf(frames, (index) => index < at)))
      expect(found.end).toEqual(frame.before)
      expect(map(frame.offset + 32).holes).toEqual([
        { offset: frame.offset, end: frame.offset + 32, lastLsn: frame.before.lsn, kind },
      ])
      // At the end of the frame it is whole; within its header nothing of it is known.
      expect(map(frame.end.offset).holes).toEqual([])
      const kindOf = isOneGroup || at === 0 ? 'bytes' : 'zeros'
      const { before } = frame
      expect(map(frame.offset + 19).holes).toEqual([
        { offset: before.offset, end: frame.offset + 19, lastLsn: before.lsn, kind: kindOf },
      ])
    },
  )

  test('has a hole behind its end where there are other bytes, up to the last of them', () => {
    const { map, frames, change } = fresh()
    const end = frames[last]?.end as FrameEnd
    change(end.offset + 40, Uint8Array.of(1, 2, 3))

    const found = map()

    expect(found.holes).toEqual([
      { offset: end.offset, end: end.offset + 43, lastLsn: end.lsn, kind: 'zeros' },
    ])
    expect([found.end, found.usedEnd]).toEqual([end, end.offset + 43])
    change(end.offset, Uint8Array.of(9))
    expect(map().holes).toMatchObject([{ kind: 'bytes' }])
  })

  test('whose payload and whose next header are damaged has a hole for each', () => {
    const { map, frames, flip } = fresh()
    const [, second, third] = frames
    if (!second || !third) throw new Error('no frame')
    flip(second.offset + 32 + 50)
    flip(third.offset + 8)

    const found = map()

    expect(found.holes).toEqual([
      {
        ...{ offset: second.offset, end: second.end.offset, lastLsn: second.before.lsn },
        ...{ kind: 'payload', nextLsn: 104 },
      },
      searched(frames, 2, 'bytes', 0),
    ])
    expect(shown(found)).toEqual(wanted(runsOf(frames, (index) => index !== 1 && index !== 2)))
  })
})

test('a length is believed up to the limit of a payload, and no frame beyond it', () => {
  const { file, frames, flip } = fileOf(data(3))
  const map = (payloadMax: number) =>
    runToEnd(mapSegment(file, { ...facts, payloadMax }, start, size))
  const [, second] = frames
  if (!second) throw new Error('no frame')
  expect(map(put.length).holes).toEqual([])
  expect([shown(map(put.length - 1)), map(put.length - 1).holes]).toEqual([
    [],
    [{ offset: start.offset, end: expect.any(Number), lastLsn: 100, kind: 'bytes' }],
  ])
  flip(second.offset + 32 + 50)
  expect(map(put.length).holes).toMatchObject([{ kind: 'payload', lastLsn: 101, nextLsn: 103 }])
})

describe('the facts of a segment', () => {
  test('are those of its frames: the last checkpoint, what is lost, what was durable', () => {
    const mark = (lsn: number) => encodeCheckpoint({ lsn, opaque: new Uint8Array() } as never)
    const { map, frames } = fileOf(
      [
        ...[...data(1), [frameTypes.checkpoint, mark(98)], [frameTypes.checkpoint, mark(97)]],
        ...data(2),
      ] as never,
      { durableLsn: 99 },
    )
    const found = map()
    expect(found.runs).toHaveLength(1)
    expect(found.runs[0]).toMatchObject({ frames: 5, dataFrames: 3 })
    expect([found.provenLsn, found.end]).toEqual([99, frames.at(-1)?.end])
  })

  test('a frame of a type that only a newer version knows is named, and frames go on behind it', () => {
    const { map, frames } = fileOf([...data(2), [77, put], ...data(2)])
    const found = map()
    expect(found.unreadable).toMatchObject([
      { offset: frames[2]?.offset, lsn: 103, type: 77, typeVersion: 1 },
    ])
    expect([shown(found), found.holes]).toEqual([
      [
        [100, 102, 2],
        [103, 105, 2],
      ],
      [],
    ])
  })

  test('a frame that does not name the one before it is linked to nothing: a hole of no bytes', () => {
    const first = fileOf(data(3))
    const other = fileOf([[frameTypes.data, badUnits], ...data(2)])
    const [, second] = other.frames
    const bytes = new Uint8Array(2 * sector)
    other.file.read(bytes, second?.offset ?? 0)
    first.change(first.frames[1]?.offset ?? 0, bytes)

    const found = first.map()

    const [begin] = first.frames
    expect(found.holes).toEqual([
      {
        ...{ offset: begin?.end.offset, end: second?.offset, lastLsn: 101, nextLsn: 102 },
        kind: 'link',
      },
    ])
    expect(shown(found)).toEqual([
      [100, 101, 1],
      [101, 103, 2],
    ])
  })
})

test('frames that continue the header are the log, whatever heavier chain begins within them', () => {
  const first = fileOf(data(3))
  const other = fileOf([[frameTypes.data, badUnits], ...data(6)])
  const [, second] = other.frames
  const bytes = new Uint8Array(6 * sector)
  other.file.read(bytes, second?.offset ?? 0)
  // One sector is damaged between them. The chain behind it begins with the second lsn again.
  const behind = 4096 + 4 * sector
  first.change(behind - sector, Uint8Array.of(1, 2, 3))
  first.change(behind, bytes)

  expect(shown(first.map())).toEqual([
    [100, 103, 3],
    [103, 107, 4],
  ])
})

describe('a search finds a frame at any place', () => {
  const chunk = 256 * 1024
  const area = { offset: 4096, known: start, limit: 3 * chunk }
  /** A frame at `at`, in a file of zeros but for one byte at its beginning. */
  const withFrame = (at: number, first = 1) => {
    const file = simulatedDisk().open('/segment', 'create')
    file.write(new Uint8Array(3 * chunk), 0)
    file.write(Uint8Array.of(first), area.offset)
    const encoder = new GroupEncoder()
    const before = { offset: at, lsn: 104, crc: 9 }
    encoder.begin(before, { ...facts, sectorBytes: 8, durableLsn: 103 }, 4096)
    encoder.add(frameTypes.data, put)
    // Groups begin on sectors: elsewhere it is a later frame of its group.
    const bytes = encoder.finish()
    file.write(bytes, at)
    return { file, bytes: bytes.length }
  }
  const search = (file: Parameters<typeof findFrame>[0], limit = area.limit) => {
    const steps = findFrame(file, facts, { ...area, limit })
    let read = 0
    let step = steps.next()
    for (; !step.done; step = steps.next()) read += step.value
    return { ...step.value, read }
  }

  test.each([
    4608,
    chunk - 512,
    chunk,
    chunk + 4096 - 512,
    chunk + 4096,
    2 * chunk,
    3 * chunk - 512,
  ])('at the beginning of a sector: %i', (at) => {
    const { file } = withFrame(at)
    const passed = Math.floor((at - area.offset) / chunk)
    expect(search(file)).toEqual({
      frame: { offset: at, lsn: 104, crc: 9 },
      ...{ provenLsn: 103, startsWithZeros: false, read: passed * chunk },
      usedEnd: expect.any(Number),
    })
  })

  test('whose end is within the area, and not beyond it', () => {
    const { file, bytes } = withFrame(8192)
    expect(search(file, 8192 + bytes).frame?.offset).toBe(8192)
    const short = search(file, 8192 + bytes - 8)
    expect(short.frame).toBe(undefined)
    // Its header proves what it says all the same.
    expect(short.provenLsn).toBe(103)
  })

  test('and says how far there are bytes, and that it begins with zeros', () => {
    const file = simulatedDisk().open('/segment', 'create')
    file.write(new Uint8Array(3 * chunk), 0)
    const none = { provenLsn: 0, startsWithZeros: true, read: area.limit - area.offset }
    expect(search(file)).toEqual({ ...none, usedEnd: area.offset })
    file.write(Uint8Array.of(5), 2 * chunk + 77)
    expect(search(file)).toEqual({ ...none, usedEnd: 2 * chunk + 78 })
    file.write(Uint8Array.of(5), area.offset + 31)
    expect(search(file)).toMatchObject({ startsWithZeros: false, usedEnd: 2 * chunk + 78 })
    const empty = findFrame(file, facts, { ...area, limit: area.offset })
    expect(runToEnd(empty)).toEqual({ provenLsn: 0, startsWithZeros: true, usedEnd: area.offset })
  })

  test('only with an lsn that fits between the last certain frame and there', () => {
    // Each frame takes at least 32 bytes.
    const room = (at: number) => start.lsn + 1 + (at - start.offset) / 32
    const at = 4096 + 512
    expect(room(at)).toBe(117)
    const { file } = withFrame(at)
    const known = (lsn: number) => ({ ...area, known: { ...start, lsn } })
    const found = (lsn: number) => runToEnd(findFrame(file, facts, known(lsn))).frame?.lsn
    expect([found(104), found(103), found(88), found(87)]).toEqual([104, 104, 104, undefined])
    expect([found(105), found(106)]).toEqual([undefined, undefined])
  })

  test('and the bytes behind an end prove what their frames prove, in any chunk of them', () => {
    for (const at of [4608, chunk, chunk + 512, 3 * chunk - 512]) {
      const { file, bytes } = withFrame(at, 0)
      const used = Math.max(at + bytes - 1, 0)
      const tail = examineTail(file, facts, start, area.limit)
      expect(tail.provenLsn).toBe(103)
      expect(tail.usedEnd).toBeGreaterThan(at + 32)
      expect(tail.usedEnd).toBeLessThanOrEqual(used + 1)
      expect(examineTail(file, facts, start, at)).toEqual({ usedEnd: start.offset, provenLsn: 0 })
    }
    const { file } = withFrame(4096, 0)
    expect(provenAstray(file, facts, { ...start, offset: 4096 + 100 })).toBe(103)
    expect(provenAstray(file, facts, { ...start, offset: 4096 + 512 })).toBe(0)
    expect(provenAstray(withFrame(1024, 0).file, facts, start)).toBe(103)
  })
})

describe('the stretches that are believed', () => {
  const stretch = (from: number, to: number, frames: number, isLinked = false): Stretch => ({
    ...{ from: { offset: from, lsn: from, crc: 0 }, to: { offset: to, lsn: to, crc: 0 } },
    ...{ whole: { offset: to, lsn: to, crc: 0 }, isLinked, frames, runs: [], bad: [] },
  })
  const fits = (chain: readonly Stretch[]): boolean =>
    chain.every((each, at) => at === 0 || each.from.lsn >= (chain[at - 1]?.to.lsn ?? 0))
  const weight = (chain: readonly Stretch[]): number =>
    chain.reduce((sum, { frames, isLinked }) => sum + (isLinked ? 1_000_000 : frames), 0)

  test('are the heaviest of all that rise, and one that is linked is always among them', () => {
    const random = seededRandom(3)
    const whole = (below: number): number => Math.floor(random() * below)
    for (let round = 0; round < 300; round++) {
      const stretches = Array.from({ length: 1 + whole(7) }, (_, at) => {
        const from = whole(12)
        const frames = whole(6)
        return stretch(from, from + frames, frames, at === 0 && whole(3) === 0)
      })
      const found = believed(stretches)
      const all = Array.from({ length: 2 ** stretches.length }, (_, bits) =>
        stretches.filter((_each, at) => (bits >> at) & 1),
      ).filter(fits)
      const best = Math.max(...all.map(weight))
      expect(fits(found)).toBe(true)
      if (fits(stretches)) expect(found).toBe(stretches)
      else expect(weight(found)).toBe(best)
      if (stretches[0]?.isLinked) expect(found[0]).toBe(stretches[0])
    }
  })
})
