/** The facts that are collected from the frames of a log, one after another. */
import { describe, expect, test } from 'vitest'
import { encodeCheckpoint, encodeEndMark } from '../../../src/storage/frames/control-payload.ts'
import { frameTypes } from '../../../src/storage/frames/frame.ts'
import { addFrame, FrameCursor, noSums } from '../../../src/storage/frames/frame-cursor.ts'
import { dataFrames, walkFrames } from '../../../src/storage/frames/frame-walk.ts'
import { GroupEncoder } from '../../../src/storage/frames/group-encoder.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'

const facts = { salt: { low: 3, high: 4 }, sectorBytes: 512, payloadMax: 2 ** 20 }
const start = { offset: 4_096, lsn: 9, crc: 77 }

/** Frames with these types and payloads: `payload` is given the place of its frame. */
type Frames = readonly (readonly [
  type: number,
  payload: (place: { lsn: number; endOffset: number }) => Uint8Array,
])[]

/** A disk with the frames in `/segment`. */
const written = (frames: Frames) => {
  const encoder = new GroupEncoder()
  encoder.begin(start, { ...facts, durableLsn: 5 }, 2 ** 16)
  let lsn = start.lsn
  for (const [type, payload] of frames) {
    lsn++
    const { length } = payload({ lsn, endOffset: 0 })
    const endOffset = encoder.nextOffset + 32 + length
    encoder.add(type, payload({ lsn, endOffset }))
  }
  const bytes = encoder.finish()
  const disk = simulatedDisk()
  const file = disk.open('/segment', 'create')
  file.truncate(2 ** 16)
  file.write(bytes, encoder.fileOffset)
  file.close()
  return disk
}

const sumsOf = (frames: Frames) => {
  const file = written(frames).open('/segment', 'read')
  const cursor = new FrameCursor(file, facts, start, 2 ** 16)
  const sums = noSums()
  for (let frame = cursor.next(); frame; frame = cursor.next()) addFrame(sums, cursor, frame)
  return sums
}

const stamped = (time: number) => (): Uint8Array => {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64LE(BigInt(time))
  return bytes
}

const covers = (lsn: number) => (): Uint8Array => encodeCheckpoint({ lsn, opaque: Buffer.alloc(8) })

const mark = (moved: { lastLsn?: number; endOffset?: number } = {}) => {
  const { lastLsn: lsns = 0, endOffset: bytes = 0 } = moved
  return ({ lsn, endOffset }: { lsn: number; endOffset: number }): Uint8Array =>
    encodeEndMark({ lastLsn: lsn - 1 + lsns, count: 1, endOffset: endOffset + bytes })
}

const { data, checkpoint, seal, cleanClose } = frameTypes

describe('the facts of frames', () => {
  test('are the greatest stamp and the greatest LSN of a checkpoint, in any order', () => {
    expect(
      sumsOf([
        [data, stamped(70)],
        [checkpoint, covers(8)],
        [data, stamped(50)],
        [checkpoint, covers(6)],
      ]),
    ).toMatchObject({ lastTime: 70, checkpointLsn: 8, mark: 'none' })
  })

  test('have no stamp of a payload that is too short for one', () => {
    const ones = (bytes: number) => () => new Uint8Array(bytes).fill(1)
    expect(sumsOf([[data, ones(7)]]).lastTime).toBe(0)
    expect(sumsOf([[data, () => stamped(50)().subarray(0, 8)]]).lastTime).toBe(50)
  })

  test('have a mark if the last frame names its own place and the frame before it', () => {
    const before = [data, stamped(1)] as const
    expect(sumsOf([before, [seal, mark()]]).mark).toBe('seal')
    expect(sumsOf([before, [cleanClose, mark()]]).mark).toBe('closed')
    expect(sumsOf([before, [cleanClose, mark()], before]).mark).toBe('none')
    for (const moved of [{ lastLsn: 1 }, { lastLsn: -1 }, { endOffset: 8 }, { endOffset: -8 }])
      expect(sumsOf([before, [cleanClose, mark(moved)]]).mark).toBe('none')
    expect(sumsOf([before, [seal, stamped(1)]]).mark).toBe('none')
  })
})

test('a walk of DATA frames gives each with its LSN, its stamp and its payload, and no other', () => {
  const disk = written([
    [data, stamped(70)],
    [checkpoint, covers(8)],
    [data, stamped(80)],
  ])
  const found: unknown[] = []
  const stretch = { name: 'segment', header: facts, from: start, to: {} }

  walkFrames(
    disk,
    '/',
    stretch,
    dataFrames((lsn, time, payload) => found.push([lsn, time, payload.length])),
  )

  expect(found).toEqual([
    [10, 70, 16],
    [12, 80, 16],
  ])
})

test('a walk that is given up closes its file', () => {
  const disk = written([
    [data, stamped(70)],
    [data, stamped(80)],
  ])
  const open = disk.open.bind(disk)
  const closed: boolean[] = []
  disk.open = (...found: Parameters<typeof open>) => {
    const file = open(...found)
    const at = closed.push(false) - 1
    const close = file.close.bind(file)
    return Object.assign(file, {
      close: () => {
        closed[at] = true
        close()
      },
    })
  }
  const stretch = { name: 'segment', header: facts, from: start, to: {} }
  walkFrames(disk, '/', stretch, () => {})
  expect(() =>
    walkFrames(disk, '/', stretch, () => {
      throw new Error('enough')
    }),
  ).toThrow('enough')
  expect(closed).toEqual([true, true])
})
