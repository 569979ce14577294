/** Snapshots as files: what goes in comes out, the same rows give the same bytes, and no damage goes unnoticed. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.ts'
import { type Disk, pathIn } from '../../../src/storage/ports/disk.ts'
import type { Row } from '../../../src/storage/ports/projection-store.ts'
import type { SnapshotFacts } from '../../../src/storage/ports/snapshot-host.ts'
import { snapshotName } from '../../../src/storage/snapshots/snapshot-folder.ts'
import { SnapshotReader, verifyingFile } from '../../../src/storage/snapshots/snapshot-reader.ts'
import { encodeRecord } from '../../../src/storage/values/row-codec.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import {
  keyArbitrary,
  positionAt,
  rowArbitrary,
  textRow,
} from '../../support/worlds/projection-rows.ts'
import { madeSnapshot, readWhole, sourceOf } from '../../support/worlds/snapshot-files.ts'

const dir = '/snapshot'
const position = { ...positionAt(9), frame: { time: 1_700_000_000_000, crc: 0xfedcba98 } }

/** A snapshot of these rows, alone on a disk. */
const snapshotOf = (rows: Parameters<typeof sourceOf>[0]) => {
  const disk = simulatedDisk()
  const facts = madeSnapshot(disk, dir, sourceOf(rows, position))
  return { disk, facts, bytes: readWhole(disk, dir, facts) }
}

const rowsIn = (disk: Disk, { lsn }: SnapshotFacts) => {
  const reader = new SnapshotReader(disk, dir, snapshotName(lsn))
  try {
    return [...reader.blocks()].flatMap(({ records }) =>
      records.map(({ key, record }) => [
        Buffer.from(key).toString('hex'),
        Buffer.from(record).toString('hex'),
      ]),
    )
  } finally {
    reader.close()
  }
}

const encoded = (rows: Iterable<readonly [string, Row]>) =>
  [...rows]
    .map(([name, row]) => {
      const { key, record } = encodeRecord(name, row)
      return [Buffer.from(key).toString('hex'), Buffer.from(record).toString('hex')] as const
    })
    .sort(([a], [b]) => (a < b ? -1 : 1))

/** A snapshot of a few blocks, of one with a single long row too. */
const someBlocks = (): [string, Row][] => [
  ...Array.from({ length: 9 }, (_, at): [string, Row] => [
    `key ${at}`,
    { value: { tag: 2, bytes: Buffer.alloc(at === 4 ? 300_000 : 70_000, at) }, expiresAt: at },
  ]),
]

/** What reading a file of these bytes, under the name of `facts`, says. */
const verdictOf = (disk: Disk, facts: SnapshotFacts, bytes: Uint8Array) => {
  const path = pathIn(dir, snapshotName(facts.lsn))
  disk.remove(path)
  const file = disk.open(path, 'create')
  file.write(bytes, 0)
  file.close()
  try {
    const steps = verifyingFile(disk, dir, snapshotName(facts.lsn), facts)
    while (!steps.next().done);
    return 'sound'
  } catch (error) {
    return error
  }
}

const damaged = expect.objectContaining({
  code: 'CORRUPT',
  details: {
    file: '0000000000000009.snap',
    offset: expect.any(Number),
    evidence: expect.stringMatching(/^\S.*[^.]$/),
  },
})

describe('a snapshot', () => {
  test('has the rows that went in, in the order of keys', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(keyArbitrary, rowArbitrary), { maxLength: 60 }), (list) => {
        const disk = simulatedDisk()
        const rows = new Map(list)
        const facts = madeSnapshot(disk, dir, sourceOf(rows, position))
        expect(rowsIn(disk, facts)).toEqual(encoded(rows))
        expect(facts).toMatchObject({ lsn: 9, rows: rows.size, position })
      }),
      { numRuns: 60 },
    )
  })

  test('is read block by block, each of at most 256 KiB but for a longer row', () => {
    const disk = simulatedDisk()
    const facts = madeSnapshot(disk, dir, sourceOf(someBlocks(), position))
    const reader = new SnapshotReader(disk, dir, snapshotName(9))
    const blocks = [...reader.blocks()]
    expect(blocks.map(({ records }) => records.length)).toEqual([3, 1, 1, 3, 1])
    expect(facts).toMatchObject({ blocks: 5, rows: 9 })
    const [first] = blocks
    if (!first) throw new Error('there is no block')
    const rest = [...reader.blocks({ offset: first.next, rows: 3 })]
    expect(rest.map(({ next }) => next)).toEqual(blocks.slice(1).map(({ next }) => next))
    reader.close()
  })

  // These bytes are in existing folders: a change here is a change of the format.
  test('is these bytes', () => {
    const { bytes } = snapshotOf([
      ['a', textRow('one')],
      ['b', textRow('')],
    ])
    expect(bytes.toString('hex').match(/.{1,64}/g)).toMatchInlineSnapshot(`
      [
        "4b45454c534e500a0100010001000000000102030405060708090a0b0c0d0eff",
        "030000000000000009000000000000000068e5cf8b01000098badcfe4204a2eb",
        "13d57dc32b0000000200000001001000000061df7d80e1000000000000000001",
        "6f6e6501000d00000062ad8c9f41000000000000000001400000000000000001",
        "00614b45454c534e450a0200000000000000c200000000000000010000000000",
        "000009000000000000007700000000000000f3009f15b43ab3f2000000000214",
        "2461",
      ]
    `)
  })

  test('without the mark of a frame has none after it was read', () => {
    const disk = simulatedDisk()
    expect(madeSnapshot(disk, dir, sourceOf([], positionAt(3))).position).toEqual(positionAt(3))
    const reader = new SnapshotReader(disk, dir, snapshotName(3))
    expect(reader.facts.position).toEqual(positionAt(3))
    reader.close()
  })

  test('of a newer version is refused as that', () => {
    const { disk, facts, bytes } = snapshotOf([])
    bytes.writeUInt16LE(2, 8)
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60)
    expect(verdictOf(disk, facts, bytes)).toMatchObject({ code: 'UNSUPPORTED_VERSION' })
  })
})

describe('a damaged snapshot is CORRUPT, with file, offset and evidence', () => {
  test('for every byte that changed', () => {
    const { disk, facts, bytes } = snapshotOf([
      ['a', textRow('one')],
      ['b', textRow('two')],
    ])
    expect(verdictOf(disk, facts, bytes)).toBe('sound')
    for (let at = 0; at < bytes.length; at++) {
      const harmed = Buffer.from(bytes)
      harmed[at] = (harmed[at] ?? 0) ^ (1 << (at % 8))
      expect(verdictOf(disk, facts, harmed), `byte ${at}`).toEqual(damaged)
    }
  })

  test('for every length to which it was cut, and bytes behind its end', () => {
    const { disk, facts, bytes } = snapshotOf([
      ['a', textRow('one')],
      ['b', textRow('two')],
    ])
    for (let length = 0; length < bytes.length; length++)
      expect(verdictOf(disk, facts, bytes.subarray(0, length)), `${length}`).toEqual(damaged)
    expect(verdictOf(disk, facts, Buffer.concat([bytes, Buffer.alloc(1)]))).toEqual(damaged)
  })

  test('for blocks that are missing, doubled, exchanged, zero or of another snapshot', {
    tags: ['slow'],
  }, () => {
    const disk = simulatedDisk()
    const other = madeSnapshot(disk, dir, sourceOf(someBlocks(), { ...position, epoch: 4 }))
    const others = readWhole(disk, dir, other)
    const facts = madeSnapshot(disk, dir, sourceOf(someBlocks(), position))
    const bytes = readWhole(disk, dir, facts)
    const reader = new SnapshotReader(disk, dir, snapshotName(9))
    const ends = [64, ...[...reader.blocks()].map(({ next }) => next)]
    reader.close()
    const part = (from: number, to: number, of = bytes) => of.subarray(ends[from], ends[to])
    const [head, tail] = [bytes.subarray(0, 64), bytes.subarray(ends[5])]
    const harms: Record<string, Buffer[]> = {
      missing: [part(1, 5)],
      'missing in the middle': [part(0, 2), part(3, 5)],
      doubled: [part(0, 5), part(4, 5)],
      exchanged: [part(3, 4), part(1, 3), part(0, 1), part(4, 5)],
      zero: [part(0, 2), Buffer.alloc(part(2, 3).length), part(3, 5)],
      'of another snapshot': [part(0, 2), part(2, 3, others), part(3, 5)],
    }
    for (const [harm, blocks] of Object.entries(harms))
      expect(verdictOf(disk, facts, Buffer.concat([head, ...blocks, tail])), harm).toEqual(damaged)
    expect(verdictOf(disk, facts, others)).toEqual(damaged)
    // Heads of blocks and what stands behind them: the rest is content, under one checksum each.
    const places = ends.flatMap((end) => [0, 3, 4, 7, 8, 11, 12, 500].map((behind) => end + behind))
    for (const at of places.filter((at) => at < bytes.length)) {
      const harmed = Buffer.from(bytes)
      harmed[at] = (harmed[at] ?? 0) ^ 0x10
      expect(verdictOf(disk, facts, harmed), `byte ${at}`).toEqual(damaged)
    }
  })

  test('for an index or a footer that fits other blocks, although their checksums hold', () => {
    const { disk, facts, bytes: sound } = snapshotOf(someBlocks())
    const footerAt = sound.length - 64
    const indexAt = Number(sound.readBigUInt64LE(footerAt + 40))
    const forged = (index: Buffer, change: (footer: Buffer) => void = () => undefined) => {
      const footer = Buffer.from(sound.subarray(footerAt))
      footer.writeBigUInt64LE(BigInt(indexAt + index.length + 64), 16)
      footer.writeUInt32LE(crc32(index, sound.readUInt32LE(60)), 48)
      change(footer)
      footer.writeUInt32LE(crc32(footer.subarray(0, 60)), 60)
      const bytes = Buffer.concat([sound.subarray(0, indexAt), index, footer])
      return verdictOf(disk, { ...facts, bytes: bytes.length, sum: footer.readUInt32LE(52) }, bytes)
    }
    const index = sound.subarray(indexAt, footerAt)
    const entryBytes = 10 + 'key 0'.length
    expect(forged(index)).toBe('sound')
    const moved = Buffer.from(index)
    moved.writeBigUInt64LE(moved.readBigUInt64LE(entryBytes) + 1n, entryBytes)
    expect(forged(moved)).toEqual(damaged)
    const renamed = Buffer.from(index)
    renamed.write('key 2', entryBytes + 10)
    expect(forged(renamed)).toEqual(damaged)
    expect(forged(Buffer.concat([index, index.subarray(0, entryBytes)]))).toEqual(damaged)
    expect(forged(index.subarray(0, -entryBytes))).toEqual(damaged)
    expect(forged(index, (footer) => footer.writeUInt8(8, 8))).toEqual(damaged)
    expect(forged(index, (footer) => footer.writeUInt32LE(facts.sum ^ 1, 52))).toEqual(damaged)
  })
})
