/** The bytes of one write: its frames, the groups that they stand in, and what lies between them. */
import { describe, expect, test } from 'vitest'
import { viewedBytes } from '../../../src/bytes/u64.ts'
import {
  frameBytes,
  frameHeaderBytes,
  groupFlag,
  provenBy,
  readFrameHeader,
} from '../../../src/storage/frames/frame.ts'
import { GroupEncoder } from '../../../src/storage/frames/group-encoder.ts'
import { GroupedFrames } from '../../../src/storage/frames/grouped-frames.ts'
import { decodeLost, encodeLost } from '../../../src/storage/frames/lost-frame.ts'

const salt = { low: 7, high: 9 }
const facts = { salt, sectorBytes: 512, durableLsn: 3 }
const last = { offset: 5_000, lsn: 3, crc: 0xabcdef }
const capacity = 64 * 1024

/** An encoder whose buffer is full of what an earlier write left in it. */
const used = (): GroupEncoder => {
  const encoder = new GroupEncoder()
  encoder.begin(last, facts, capacity)
  encoder.add(1, new Uint8Array(60_000).fill(0xff))
  return encoder
}

const headersOf = (bytes: Uint8Array, ...at: readonly number[]) =>
  at.map((each) => ({ ...readFrameHeader(viewedBytes(bytes), each, salt) }))

describe('a write', () => {
  test('begins on the next sector, and goes on with LSN and checksum of the frame before it', () => {
    const encoder = new GroupEncoder()
    encoder.begin(last, facts, capacity)
    expect([encoder.add(1, new Uint8Array(10)), encoder.add(1, new Uint8Array(20))]).toEqual([4, 5])

    const bytes = encoder.finish()

    const [first, second] = headersOf(bytes, 0, frameBytes(10))
    expect([encoder.fileOffset, bytes.length]).toEqual([5_120, 512])
    expect(first).toMatchObject({ lsn: 4, prevCrc: last.crc, payloadBytes: 10 })
    expect(second).toMatchObject({ lsn: 5, prevCrc: first?.headerCrc, payloadBytes: 20 })
    expect(encoder.end).toEqual({
      offset: 5_120 + frameBytes(10) + frameBytes(20),
      lsn: 5,
      crc: second?.headerCrc,
    })
  })

  test('marks the first frame of each group, and no other', () => {
    const encoder = new GroupEncoder()
    encoder.begin(last, facts, capacity)
    const places: number[] = []
    const add = () => {
      places.push(encoder.nextOffset - encoder.fileOffset)
      encoder.add(1, new Uint8Array(8))
    }
    add()
    add()
    encoder.endGroup()
    add()
    add()

    const headers = headersOf(encoder.finish(), ...places)

    expect(places).toEqual([0, 40, 512, 552])
    expect(headers.map(({ flags }) => flags)).toEqual([groupFlag, 0, groupFlag, 0])
  })

  test('has zeros between its frames, between its groups and at its end, whatever was in the memory', () => {
    const encoder = used()
    encoder.begin(last, facts, capacity)
    encoder.add(1, new Uint8Array(13).fill(1))
    encoder.endGroup()
    encoder.add(1, new Uint8Array(3).fill(1))

    const bytes = encoder.finish()

    const gaps = [
      bytes.subarray(frameHeaderBytes + 13, 512),
      bytes.subarray(512 + frameHeaderBytes + 3),
    ]
    expect(bytes.length).toBe(1_024)
    expect(gaps.map((gap) => gap.filter((byte) => byte !== 0).length)).toEqual([0, 0])
  })

  test('stamps a frame in its first eight bytes, and takes the rest from its source', () => {
    const encoder = new GroupEncoder()
    encoder.begin(last, facts, capacity)
    const source = Uint8Array.from({ length: 40 }, (_, at) => at)
    encoder.addStamped(1, source, 10, 20, 2 ** 40 + 5)

    const payload = Buffer.from(encoder.finish()).subarray(frameHeaderBytes, frameHeaderBytes + 20)

    expect(payload.readBigUInt64LE(0)).toBe(2n ** 40n + 5n)
    expect([...payload.subarray(8)]).toEqual([...source.subarray(18, 30)])
  })

  test('keeps no memory beyond 8 MiB for the next one', () => {
    const encoder = new GroupEncoder()
    encoder.begin(last, facts, 9 * 1024 * 1024)
    expect(encoder.finish().buffer.byteLength).toBe(9 * 1024 * 1024)
    encoder.begin(last, facts, 100)
    expect(encoder.finish().buffer.byteLength).toBe(8 * 1024 * 1024)
  })
})

describe('a range of lost frames', () => {
  test('comes back as it was written, also of one frame', () => {
    for (const range of [
      { from: 1, to: 1 },
      { from: 7, to: 2 ** 40 },
    ])
      expect(decodeLost(encodeLost(range))).toEqual(range)
  })

  test('is none from LSN 0, backwards, too large, or of another length', () => {
    for (const wrong of [
      encodeLost({ from: 0, to: 5 }),
      encodeLost({ from: 6, to: 5 }),
      encodeLost({ from: 1, to: 2 ** 60 }),
      new Uint8Array(15),
      new Uint8Array(17),
    ])
      expect(decodeLost(wrong)).toBeUndefined()
  })
})

describe('the frames of a new file', () => {
  const writesOf = (...payloads: readonly number[]) => {
    const writes: { at: number; bytes: number }[] = []
    const header = { ...facts, baseLsn: 4, prev: { lastLsn: 3, lastCrc: 5 } }
    const frames = new GroupedFrames(header as never, ({ length }, at) => {
      writes.push({ at, bytes: length })
    })
    for (const bytes of payloads) frames.add(1, new Uint8Array(bytes))
    frames.finish()
    return writes
  }
  const half = 512 * 1024

  test('are written in groups of 1 MiB, each on a sector', () => {
    const payload = half - frameHeaderBytes
    expect(writesOf(payload, payload, payload)).toEqual([
      { at: 4_096, bytes: 2 * half },
      { at: 4_096 + 2 * half, bytes: half },
    ])
    expect(writesOf()).toEqual([])
  })

  test('prove no more durable than the frames before the file', () => {
    const header = { ...facts, baseLsn: 40, prev: { lastLsn: 39, lastCrc: 5 } }
    const written: Uint8Array[] = []
    const frames = new GroupedFrames(header as never, (bytes) => written.push(bytes.slice()))
    for (let count = 0; count < 3; count++) frames.add(1, new Uint8Array(8))
    frames.finish()
    const proven = [0, 1, 2].map((at) => {
      const read = readFrameHeader(viewedBytes(written[0] ?? Buffer.of()), 40 * at, salt)
      return read && [read.lsn, provenBy(read)]
    })
    expect(proven).toEqual([
      [40, 39],
      [41, 39],
      [42, 39],
    ])
  })

  test('that are longer have a group of their own', () => {
    expect(writesOf(100, 4 * half - frameHeaderBytes, 100)).toEqual([
      { at: 4_096, bytes: 512 },
      { at: 4_608, bytes: 4 * half },
      { at: 4_608 + 4 * half, bytes: 512 },
    ])
  })
})
