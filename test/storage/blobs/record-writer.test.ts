/** The bytes in the file are those of FORMAT.md, however small the buffer is. */
import { describe, expect, test } from 'vitest'
import { sha256 } from '../../../src/bytes/sha256.ts'
import { seededRandom } from '../../../src/clock.ts'
import {
  ChunkSums,
  encodeBlobHeader,
  encodeBlobTrailer,
} from '../../../src/storage/blobs/blob-record.ts'
import { RecordWriter } from '../../../src/storage/blobs/blob-writer.ts'
import type { DiskFile } from '../../../src/storage/ports/disk.ts'
import { recordBytes } from '../../../src/storage/values/blob-extents.ts'
import { payload } from '../../support/worlds/blob-folder.ts'

const segment = 7

/** A file in memory that counts its writes. */
const memoryFile = () => {
  const file = {
    path: 'memory',
    bytes: new Uint8Array(0),
    writes: 0,
    size: () => file.bytes.length,
    read: () => 0,
    write(bytes: Uint8Array, offset: number) {
      const larger = new Uint8Array(Math.max(file.bytes.length, offset + bytes.length))
      larger.set(file.bytes)
      larger.set(bytes, offset)
      file.bytes = larger
      file.writes += 1
      return bytes.length
    },
    sync: () => undefined,
    truncate: () => undefined,
    rename: () => undefined,
    close: () => undefined,
  }
  return file satisfies DiskFile
}

/** The records of payloads from `end` on, put together in the simplest way. */
const recordsOf = (payloads: readonly Uint8Array[], end: number): Uint8Array => {
  const pieces = [new Uint8Array(end)]
  let from = end
  for (const bytes of payloads) {
    const place = { segment, offset: from + 48 }
    const header = encodeBlobHeader(bytes.length, sha256(bytes))
    const sums = new ChunkSums(place)
    sums.add(bytes)
    const record = new Uint8Array(recordBytes(bytes.length))
    record.set(header)
    record.set(bytes, 48)
    record.set(encodeBlobTrailer(place, header, sums.end()), 48 + bytes.length)
    pieces.push(record)
    from += record.length
  }
  return new Uint8Array(Buffer.concat(pieces))
}

const written = (payloads: readonly Uint8Array[], buffer: Uint8Array, end = 0) => {
  const file = memoryFile()
  if (end > 0) file.write(new Uint8Array(end), 0)
  file.writes = 0
  const records = new RecordWriter({ segment, file, end }, buffer)
  const refs = payloads.map((bytes) => records.add(bytes))
  records.end()
  return { file, refs }
}

/** Sizes at a border of a block, of a chunk or of a buffer. */
const oddSizes = [0, 1, 4096 - 48 - 20, 4096 - 48, 4096, 8192 - 48, 65_536 - 48, 65_536, 131_072]

describe('the records of a put', () => {
  test('are the same bytes whatever the size of the buffer, which may hold any bytes before', {
    tags: ['slow'],
  }, () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = seededRandom(seed)
      const below = (limit: number) => Math.floor(random() * limit)
      const sizeOf = () =>
        random() < 0.5
          ? Math.max(0, (oddSizes[below(oddSizes.length)] ?? 0) + below(3) - 1)
          : below(200_000)
      const payloads = Array.from({ length: 1 + below(6) }, (_, at) => payload(at + 1, sizeOf()))
      const buffer = new Uint8Array(4096 * (1 + below(20))).fill(0xee)
      const end = 4096 * below(3)
      const { file, refs } = written(payloads, buffer, end)
      const same = Buffer.compare(file.bytes, recordsOf(payloads, end)) === 0
      expect(same, `seed ${seed}`).toBe(true)
      expect(refs.map(({ size, sha256: sum }) => [size, Buffer.from(sum)])).toEqual(
        payloads.map((bytes) => [bytes.length, Buffer.from(sha256(bytes))]),
      )
      const again = written(payloads, buffer, end)
      expect(Buffer.compare(again.file.bytes, file.bytes), `seed ${seed}`).toBe(0)
    }
  })

  test('are one write when they fit the buffer', () => {
    const payloads = [payload(1, 5000), payload(2, 100), payload(3, 20_000)]
    expect(written(payloads, new Uint8Array(65_536)).file.writes).toBe(1)
  })

  test('are written right after a put that failed in the same buffer', () => {
    const buffer = new Uint8Array(8192)
    const refusing = { ...memoryFile(), write: () => 0 }
    const failed = new RecordWriter({ segment, file: refusing, end: 0 }, buffer)
    failed.add(payload(8, 100))
    expect(() => failed.add(payload(9, 50_000))).toThrow()
    const payloads = [payload(1, 30_000), payload(2, 10)]
    expect(Buffer.compare(written(payloads, buffer).file.bytes, recordsOf(payloads, 0))).toBe(0)
  })
})
