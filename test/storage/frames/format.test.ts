/** What FORMAT.md says, row by row, against the bytes that the code writes: neither can change without the other. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.ts'
import { viewedBytes } from '../../../src/bytes/u64.ts'
import {
  frameHeaderBytes,
  frameTypes,
  frameTypeVersion,
  groupFlag,
  noEvidence,
  writeFrameHeader,
} from '../../../src/storage/frames/frame.ts'
import {
  encodeSegmentHeader,
  formatVersion,
  segmentHeaderBytes,
} from '../../../src/storage/frames/segment-header.ts'
import { encodeCleanMark } from '../../../src/storage/lmdb/projection-marks.ts'
import { encodeManifest, manifestBytes } from '../../../src/storage/segments/manifest.ts'
import { encodeFooter, encodeHeader } from '../../../src/storage/snapshots/snapshot-format.ts'

const text = readFileSync('src/storage/FORMAT.md', 'utf8')

/** Rows of the table below a heading: offsets and type. */
const rowsBelow = (heading: string): { offsets: number[]; type: string }[] => {
  const section = text.slice(text.indexOf(`\n## ${heading}\n`) + 1).split('\n## ')[0] ?? ''
  return [...section.matchAll(/^\| ([\d, ]+?) +\| (\w+(?: bytes)?) +\| .+ +\|$/gm)].map(
    ([, offsets = '', type = '']) => ({
      offsets: offsets.split(', ').map(Number),
      type,
    }),
  )
}

const valueAt = (bytes: Uint8Array, offset: number, type: string): unknown => {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  if (type === 'u8') return view.getUint8(offset)
  if (type === 'u16') return view.getUint16(offset, true)
  if (type === 'u32') return view.getUint32(offset, true)
  if (type === 'u64') return Number(view.getBigUint64(offset, true))
  const [length = 0] = type.split(' ').map(Number)
  return Buffer.from(bytes.subarray(offset, offset + length)).toString('latin1')
}

/** The values of a table's rows, in their order. */
const read = (heading: string, bytes: Uint8Array): unknown[][] =>
  rowsBelow(heading).map(({ offsets, type }) =>
    offsets.map((offset) => valueAt(bytes, offset, type)),
  )

const id = '00112233445566778899aabbccddeeff'
const idText = Buffer.from(id, 'hex').toString('latin1')

test('the mark of a clean close has every field where FORMAT.md says, and nothing else', () => {
  const mark = encodeCleanMark({ transaction: 41, bytes: 42 })

  expect(read('CLEAN', mark)).toEqual([[crc32(mark.subarray(4))], [1], [41, 42]])
  expect(mark).toHaveLength(24)
})

test('header and footer of a snapshot have every field where FORMAT.md says, and nothing else', () => {
  const header = encodeHeader({ walId: id, epoch: 41, lsn: 42, frame: { time: 43, crc: 44 } })
  const footer = encodeFooter({
    rows: 51,
    bytes: 52,
    blocks: 53,
    lsn: 54,
    indexAt: 55,
    indexCrc: 56,
    sum: 57,
  })
  const sumOf = (bytes: Uint8Array) => crc32(bytes.subarray(0, 60))

  const fields = 8
  expect(read('Snapshot', header).slice(0, fields)).toEqual([
    ...[['KEELSNP\n'], [1, 1], [1], [idText], [41, 42], [43], [44], [sumOf(header)]],
  ])
  expect(read('Snapshot', footer).slice(fields)).toEqual([
    ...[['KEELSNE\n'], [51, 52, 53], [54, 55], [56], [57], [sumOf(footer)]],
  ])
  expect([header.length, footer.length]).toEqual([64, 64])
})

test('a segment header has every field where FORMAT.md says, in both copies, and nothing else', () => {
  const block = encodeSegmentHeader({
    walId: id,
    seq: 21,
    baseLsn: 22,
    epoch: 23,
    salt: { low: 24, high: 25 },
    prev: { seq: 26, lastLsn: 27, endOffset: 28, lastCrc: 29 },
    payloadMax: 30,
    createdMs: 31,
    allocatedBytes: 32,
    sectorBytes: 512,
    features: 1,
    chain: { count: 33, root: '61'.repeat(32), commits: true },
  })

  expect(read('Segment', block)).toEqual([
    ['KEELWAL\n'],
    [formatVersion, formatVersion],
    [segmentHeaderBytes],
    [1],
    [0],
    [idText],
    [21],
    [22],
    [23],
    [24, 25],
    [26, 27, 28],
    [29],
    [1, 1],
    [30],
    [31],
    [32],
    [512],
    [33],
    ['a'.repeat(32)],
    [1],
    [crc32(block.subarray(0, 508))],
  ])
  expect(segmentHeaderBytes).toBe(4096)
  expect(block.subarray(2048, 2560)).toEqual(block.subarray(0, 512))
  for (const [from, to] of [
    [122, 128],
    [169, 508],
    [512, 2048],
    [2560, 4096],
  ] as const)
    expect(block.subarray(from, to).every((byte) => byte === 0)).toBe(true)
})

test('a frame has every field where FORMAT.md says, and is summed as it says', () => {
  const buffer = viewedBytes(new Uint8Array(40))
  buffer.bytes.set([1, 2, 3, 4, 5], 32)
  const salt = { low: 1234, high: 5678 }
  const facts = { payloadBytes: 5, lsn: 40, type: 3, flags: 1, prevCrc: 77, durableLsn: 38 }
  writeFrameHeader(buffer, 0, facts, salt)

  expect(read('Frame', buffer.bytes)).toEqual([
    [crc32(buffer.bytes.subarray(4, 32), salt.low)],
    [5],
    [40],
    [3],
    [1],
    [1],
    [77],
    [2],
    [crc32(buffer.bytes.subarray(32, 37), salt.high)],
  ])
  expect([frameHeaderBytes, groupFlag, frameTypeVersion, noEvidence]).toEqual([
    32,
    1,
    1,
    2 ** 32 - 1,
  ])
})

test('the types of frames are those of FORMAT.md', () => {
  const named = [...text.matchAll(/^\| (\d+) ([A-Z_]+) +\|/gm)].map(([, number, name = '']) => [
    name.toLowerCase().replace('_', ''),
    Number(number),
  ])

  expect(Object.fromEntries(named)).toEqual(
    Object.fromEntries(
      Object.entries(frameTypes).map(([name, number]) => [name.toLowerCase(), number]),
    ),
  )
})

describe('a slot of the MANIFEST', () => {
  const manifest = {
    generation: 41,
    walId: id,
    epoch: 42,
    newest: { seq: 43, baseLsn: 44, salt: { low: 45, high: 46 } },
    recoveredLsn: 47,
    checkpointLsn: 48,
    checkpointSegment: 49,
    lastTime: 50,
    cleanClose: { lastLsn: 51, endOffset: 52 },
    snapshots: [],
  }

  test('has every field where FORMAT.md says', () => {
    const slot = encodeManifest(manifest)

    expect(read('MANIFEST', slot)).toEqual([
      ['KEELMAN\n'],
      [formatVersion],
      [1],
      [idText],
      [41, 42],
      [43, 44],
      [45, 46],
      [47],
      [48, 49],
      [50],
      [51, 52],
      [0],
      [crc32(slot.subarray(0, 508))],
    ])
    expect([slot.length, manifestBytes]).toEqual([4096, 8192])
    const named = encodeManifest({
      ...manifest,
      snapshots: [1, 2].map((n) => ({ lsn: 60 + n, bytes: 70 + n, sum: 80 + n })),
    })
    expect([valueAt(named, 8, 'u16'), valueAt(named, 120, 'u16')]).toEqual([1, 2])
    const at = (offset: number) =>
      ['u64', 'u64', 'u32'].map((type, index) => valueAt(named, offset + 8 * index, type))
    expect([at(128), at(148)]).toEqual([
      [61, 71, 81],
      [62, 72, 82],
    ])
  })
})
