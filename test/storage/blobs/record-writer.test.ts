/** However small the bench, and whenever the sums come: what stands in the file is what FORMAT.md says. */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import {
  ChunkSums,
  encodeBlobHeader,
  encodeBlobTrailer,
  recordBytes,
} from '../../../src/storage/blobs/blob-record.ts'
import { RecordWriter } from '../../../src/storage/blobs/record-writer.ts'
import { sha256 } from '../../../src/storage/bytes/sha256.ts'
import { payload } from '../../support/blob-folder.ts'
import { type Coming, memoryFile, smallBench } from '../../support/workbenches.ts'

const segment = 7

/** The records of payloads from `end` on, put together in the plainest way. */
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

const written = (
  payloads: readonly Uint8Array[],
  bench: ReturnType<typeof smallBench>,
  end = 0,
) => {
  const file = memoryFile()
  if (end > 0) file.write(new Uint8Array(end), 0)
  file.writes = 0
  const bytes = payloads.reduce((sum, { length }) => sum + recordBytes(length), 0)
  const records = new RecordWriter({ segment, file, end }, bench, bytes)
  for (const bytes of payloads) records.add(bytes)
  const refs = records.end()
  return { file, refs }
}

/** Sizes at which a border lies: of a block, of a chunk, of a piece, and one beside each. */
const oddSizes = [0, 1, 4096 - 48 - 20, 4096 - 48, 4096, 8192 - 48, 65_536 - 48, 65_536, 131_072]

describe('the records of a put', () => {
  test.each<Coming>(['prompt', 'late', 'sometimes', 'never'])(
    'are the same bytes whatever the bench, with sums that come %s',
    (coming) => {
      for (let seed = 1; seed <= 60; seed++) {
        const random = seededRandom(seed)
        const below = (limit: number) => Math.floor(random() * limit)
        const sizeOf = () =>
          random() < 0.5
            ? Math.max(0, (oddSizes[below(oddSizes.length)] ?? 0) + below(3) - 1)
            : below(200_000)
        const payloads = Array.from({ length: 1 + below(6) }, (_, at) => payload(at + 1, sizeOf()))
        const bench = smallBench(1 + below(4), 4096 * (1 + below(20)), coming, random)
        const end = 4096 * below(3)
        const { file, refs } = written(payloads, bench, end)
        const same = Buffer.compare(file.bytes, recordsOf(payloads, end)) === 0
        expect(same, `seed ${seed}`).toBe(true)
        expect(refs.map(({ size }) => size)).toEqual(payloads.map(({ length }) => length))
        expect(
          refs.every(
            ({ sha256: sum }, at) => Buffer.compare(sum, sha256(payloads[at] as Uint8Array)) === 0,
          ),
        ).toBe(true)
        // The bench is used again, whatever stands on it.
        const again = written(payloads, bench, end)
        expect(Buffer.compare(again.file.bytes, file.bytes), `seed ${seed}`).toBe(0)
      }
    },
  )

  test('are one write when they fit a piece and their sums are there', () => {
    const payloads = [payload(1, 5000), payload(2, 100), payload(3, 20_000)]
    expect(written(payloads, smallBench(2, 65_536, 'prompt')).file.writes).toBe(1)
  })

  test('are written before their sums are waited for; then their borders alone are written again', () => {
    const { file } = written([payload(1, 50_000)], smallBench(2, 65_536, 'late'))
    expect(file.writes).toBe(3)
  })

  test('of more payloads than sums may wait for are written nevertheless', () => {
    const payloads = Array.from({ length: 100 }, (_, at) => payload(at, 300 + at))
    const { file } = written(payloads, smallBench(2, 8192, 'late'))
    expect(Buffer.compare(file.bytes, recordsOf(payloads, 0))).toBe(0)
  })

  test('that a put which failed had begun leave nothing behind on the bench', () => {
    const bench = smallBench(2, 8192, 'late')
    const refusing = { ...memoryFile(), write: () => 0 }
    const failed = new RecordWriter({ segment, file: refusing, end: 0 }, bench, 100_000)
    failed.add(payload(8, 100))
    expect(() => failed.add(payload(9, 50_000))).toThrow()
    const payloads = [payload(1, 30_000), payload(2, 10)]
    expect(Buffer.compare(written(payloads, bench).file.bytes, recordsOf(payloads, 0))).toBe(0)
  })
})
