import { describe, expect, test } from 'vitest'
import { viewedBytes } from '../../../src/bytes/u64.ts'
import { seededRandom } from '../../../src/clock.ts'
import {
  frameBytes,
  frameHeaderBytes,
  groupFlag,
  isReadable,
  noEvidence,
  payloadIsWhole,
  provenBy,
  readFrameHeader,
  writeFrameHeader,
} from '../../../src/storage/frames/frame.ts'

const salt = { low: 0xdeadbeef, high: 0x12345678 }

const facts = {
  payloadBytes: 13,
  lsn: 2 ** 40 + 7,
  type: 1,
  flags: groupFlag,
  prevCrc: 0xfedcba98,
  durableLsn: 2 ** 40,
}

const frame = (overrides: Partial<typeof facts> = {}) => {
  const all = { ...facts, ...overrides }
  const buffer = viewedBytes(new Uint8Array(frameBytes(all.payloadBytes)))
  for (let at = 0; at < all.payloadBytes; at++) buffer.bytes[frameHeaderBytes + at] = at * 17
  const headerCrc = writeFrameHeader(buffer, 0, all, salt)
  return { buffer, headerCrc }
}

describe('a frame', () => {
  test('comes back as it was written', () => {
    const { buffer, headerCrc } = frame()

    const header = readFrameHeader(buffer, 0, salt)

    const { durableLsn, ...written } = facts
    expect(header).toEqual({
      ...written,
      typeVersion: 1,
      durableLag: facts.lsn - durableLsn,
      payloadCrc: header?.payloadCrc,
      headerCrc,
    })
    expect(header && payloadIsWhole(buffer, 0, header, salt)).toBe(true)
  })

  test('stands on eight bytes whatever its payload', () => {
    expect([0, 1, 8, 9].map(frameBytes)).toEqual([32, 40, 40, 48])
  })

  test('is refused for each bit that is turned over, in header and payload', () => {
    const { buffer } = frame()
    for (let bit = 0; bit < (frameHeaderBytes + facts.payloadBytes) * 8; bit++) {
      buffer.bytes[bit >> 3] = (buffer.bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const header = readFrameHeader(buffer, 0, salt)
      expect(header && payloadIsWhole(buffer, 0, header, salt), `bit ${bit}`).toBeFalsy()
      buffer.bytes[bit >> 3] = (buffer.bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    }
  })

  test('of another salt is none', () => {
    const { buffer } = frame()

    expect(readFrameHeader(buffer, 0, { ...salt, low: salt.low + 1 })).toBeUndefined()
    const header = readFrameHeader(buffer, 0, salt)
    expect(header && payloadIsWhole(buffer, 0, header, { ...salt, high: 1 })).toBe(false)
  })

  test('has a type and an LSN from 1 on', () => {
    expect(readFrameHeader(frame({ lsn: 0, durableLsn: 0 }).buffer, 0, salt)).toBeUndefined()
    expect(readFrameHeader(frame({ type: 0 }).buffer, 0, salt)).toBeUndefined()
  })

  test('proves the log up to what was durable when it was written', () => {
    const { buffer } = frame()
    const header = readFrameHeader(buffer, 0, salt)

    expect(header && provenBy(header)).toBe(facts.durableLsn)
  })

  test('with a lag too great to write proves nothing', () => {
    const { buffer } = frame({ lsn: 2 ** 33, durableLsn: 0 })
    const header = readFrameHeader(buffer, 0, salt)

    expect(header?.durableLag).toBe(noEvidence)
    expect(header && provenBy(header)).toBe(0)
  })

  test('keeps the greatest LSN exact', { tags: ['D35'] }, () => {
    const { buffer } = frame({
      lsn: Number.MAX_SAFE_INTEGER,
      durableLsn: Number.MAX_SAFE_INTEGER - 1,
    })

    expect(readFrameHeader(buffer, 0, salt)?.lsn).toBe(Number.MAX_SAFE_INTEGER)
  })

  test('of an unknown type may be passed over from 128 on only', () => {
    const { buffer } = frame()
    const header = readFrameHeader(buffer, 0, salt)
    if (!header) throw new Error('the frame was not read')

    const readable = [0, 1, 2, 3, 4, 5, 6, 7, 127, 128, 255].map((type) =>
      isReadable({ ...header, type }),
    )

    expect(readable).toEqual([
      ...[false, true, true, true, true, true, true, false, false, true, true],
    ])
    expect(isReadable({ ...header, typeVersion: 2 })).toBe(false)
    expect(isReadable({ ...header, flags: 2 })).toBe(false)
  })
})

test('reading frames out of random bytes never throws and finds none', {
  tags: ['slow', 'E37'],
}, () => {
  const random = seededRandom(11)
  const buffer = viewedBytes(new Uint8Array(256))
  for (let round = 0; round < 20_000; round++) {
    for (let at = 0; at < 64; at++) buffer.bytes[at] = Math.floor(random() * 256)
    expect(readFrameHeader(buffer, Math.floor(random() * 300), salt)).toBeUndefined()
  }
})
