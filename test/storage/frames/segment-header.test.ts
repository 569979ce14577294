import { describe, expect, test } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.ts'
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  isSectorSize,
  type SegmentHeader,
} from '../../../src/storage/frames/segment-header.ts'

const header: SegmentHeader = {
  walId: '00112233445566778899aabbccddeeff',
  seq: 7,
  baseLsn: 2 ** 40,
  epoch: 3,
  salt: { low: 0xffff_fffe, high: 5 },
  prev: { seq: 6, lastLsn: 2 ** 40 - 1, endOffset: 4160, lastCrc: 0xffff_ffff },
  payloadMax: 10_000,
  createdMs: Date.UTC(2026, 0, 1),
  allocatedBytes: 16 * 1024 * 1024,
  sectorBytes: 4096,
  features: 0,
}

/** Changes one copy, or both, as a writer of another version would: with a CRC that holds. */
const rewritten = (change: (view: DataView) => void): Uint8Array => {
  const block = encodeSegmentHeader(header)
  for (const at of [0, 2048]) {
    const copy = block.subarray(at, at + 512)
    const view = new DataView(copy.buffer, copy.byteOffset, 512)
    change(view)
    view.setUint32(508, crc32(copy.subarray(0, 508)), true)
  }
  return block
}

describe('a segment header', () => {
  test('comes back as it was written', () => {
    expect(decodeSegmentHeader(encodeSegmentHeader(header))).toEqual({
      kind: 'good',
      header,
      damagedCopies: 0,
    })
  })

  test('is read from either copy, and says that the other is damaged', { tags: ['D14'] }, () => {
    for (const at of [0, 100, 511, 2048, 2200, 2559]) {
      const block = encodeSegmentHeader(header)
      block[at] = (block[at] ?? 0) ^ 1
      expect(decodeSegmentHeader(block), `byte ${at}`).toEqual({
        kind: 'good',
        header,
        damagedCopies: 1,
      })
    }
  })

  test('with both copies damaged is damaged', () => {
    const block = encodeSegmentHeader(header)
    block[300] = 1
    block[2348] = 1

    expect(decodeSegmentHeader(block).kind).toBe('damaged')
  })

  test('cut anywhere before its second copy ends is read from the first, or not at all', () => {
    const block = encodeSegmentHeader(header)
    for (let size = 0; size < 4096; size += 8) {
      const reading = decodeSegmentHeader(block.subarray(0, size))
      expect(reading.kind, `${size} bytes`).toBe(size < 512 ? 'damaged' : 'good')
    }
  })

  test.each([
    ['a reader of a newer version', (view: DataView) => view.setUint16(10, 2, true)],
    ['an unknown incompatible feature', (view: DataView) => view.setUint32(92, 1, true)],
    ['another checksum', (view: DataView) => view.setUint8(14, 2)],
    ['another header size', (view: DataView) => view.setUint16(12, 8192, true)],
  ])('that asks for %s is not read', (_, change) => {
    expect(decodeSegmentHeader(rewritten(change)).kind).toBe('unsupported')
  })

  test('of a newer version that older readers may read is read, compatible features included', () => {
    const block = rewritten((view) => {
      view.setUint16(8, 2, true)
      view.setUint32(96, 0xffff, true)
    })

    expect(decodeSegmentHeader(block)).toMatchObject({ kind: 'good', header })
  })

  test.each([
    ['sectors of 1,000 bytes', (view: DataView) => view.setUint16(120, 1000, true)],
    ['no number', (view: DataView) => view.setUint32(32, 0, true)],
    ['no LSN', (view: DataView) => view.setBigUint64(40, 0n, true)],
    ['an LSN beyond exact numbers', (view: DataView) => view.setUint32(44, 0xffff_ffff, true)],
  ])('with %s is damaged though its CRC holds', (_, change) => {
    expect(decodeSegmentHeader(rewritten(change)).kind).toBe('damaged')
  })
})

test('sectors are powers of two from 64 bytes to 4 KiB', () => {
  expect([0, 32, 64, 512, 520, 4096, 8192, Number.NaN].map(isSectorSize)).toEqual([
    false,
    false,
    true,
    true,
    false,
    true,
    false,
    false,
  ])
})
