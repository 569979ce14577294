import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sha256 } from '../../../src/bytes/sha256.ts'
import {
  ChunkSums,
  encodeBlobHeader,
  encodeBlobTrailer,
  headerFault,
  trailerFault,
} from '../../../src/storage/blobs/blob-record.ts'
import { chunkCount, recordBytes, recordExtent } from '../../../src/storage/values/blob-extents.ts'
import { encodeBlobReference } from '../../../src/storage/values/blob-reference.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

describe('the record of a blob', () => {
  test('begins as the reference implementation writes it, byte for byte', () => {
    const file = ['hello blob', 'x', 'yy'].map((text) => {
      const bytes = bytesOf(text)
      return hex(encodeBlobHeader(bytes.length, sha256(bytes))) + hex(bytes)
    })
    expect(file.join('')).toBe(
      '004653424c4f4701000000000000000ae997afd18e5f6be004fc193aed2c90291e68ab2c7599a62538c935b7fca6ab0f' +
        '68656c6c6f20626c6f62' +
        '004653424c4f470100000000000000012d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881' +
        '78' +
        '004653424c4f47010000000000000002ef90d9c1ec76b1edc9edfaf2c0c05359c10ccc49ae8ecf7b7fd25ce9c02e86a4' +
        '7979',
    )
  })

  test('has the same reference as in the reference implementation', () => {
    const payload = bytesOf('hello blob')
    const ref = { size: 10, segment: 0, offset: 48, sha256: sha256(payload) }
    expect(hex(encodeBlobReference(ref))).toBe(
      '004653424c4f4202000000000000000a00000000000000000000000000000030e997afd18e5f6be004fc193aed2c90291e68ab2c7599a62538c935b7fca6ab0f',
    )
    const other = { size: 3, segment: 12, offset: 4096, sha256: sha256(bytesOf('abc')) }
    expect(hex(encodeBlobReference(other))).toBe(
      '004653424c4f42020000000000000003000000000000000c0000000000001000ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
  })

  test('has a trailer of known bytes, computed by a Python program', () => {
    const payload = bytesOf('hello blob')
    const header = encodeBlobHeader(10, sha256(payload))
    const place = { segment: 0, offset: 48 }
    const sums = new ChunkSums(place)
    sums.add(payload)
    expect(hex(encodeBlobTrailer(place, header, sums.end()))).toBe(
      'b27c38d24b424c545e7963ba989aacef9a9ce5a7',
    )
  })

  test('takes whole blocks, also for an empty payload', () => {
    expect(recordBytes(0)).toBe(4096)
    expect(recordBytes(4096 - 48 - 4 - 16)).toBe(4096)
    expect(recordBytes(4096 - 48 - 4 - 16 + 1)).toBe(8192)
    expect(recordExtent({ size: 5000, offset: 8192 + 48 })).toEqual({
      from: 8192,
      to: 16_384,
    })
  })

  test('has the same sums whatever pieces its payload comes in', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 200_000 }),
        fc.array(fc.integer({ min: 1, max: 80_000 }), { maxLength: 6 }),
        (size, cuts) => {
          const payload = new Uint8Array(size).map((_, at) => at * 31 + (at >> 9))
          const place = { segment: 7, offset: 4096 + 48 }
          const whole = new ChunkSums(place)
          whole.add(payload)
          const pieces = new ChunkSums(place)
          let at = 0
          for (const cut of cuts) {
            pieces.add(payload.subarray(at, at + cut))
            at += cut
          }
          if (at < size) pieces.add(payload.subarray(at))
          const sums = whole.end()
          expect(sums).toHaveLength(chunkCount(size))
          expect(pieces.end()).toEqual(sums)
        },
      ),
      { numRuns: 30 },
    )
  })

  test('has sums that do not hold at another place', () => {
    const payload = bytesOf('the same content')
    const sumsAt = (segment: number, offset: number) => {
      const sums = new ChunkSums({ segment, offset })
      sums.add(payload)
      return sums.end()
    }
    expect(sumsAt(1, 48)).not.toEqual(sumsAt(2, 48))
    expect(sumsAt(1, 48)).not.toEqual(sumsAt(1, 4096 + 48))
  })

  test('fails for every flipped bit of header and trailer', () => {
    const payload = new Uint8Array(70_000).fill(9)
    const place = { segment: 1, offset: 48 }
    const ref = { size: payload.length, ...place, sha256: sha256(payload) }
    const header = encodeBlobHeader(ref.size, ref.sha256)
    const sums = new ChunkSums(place)
    sums.add(payload)
    const trailer = encodeBlobTrailer(place, header, sums.end())
    expect(headerFault(header, ref)).toBeUndefined()
    expect(trailerFault(place, header, trailer)).toBeUndefined()
    for (let bit = 0; bit < header.length * 8; bit++)
      expect(headerFault(flipped(header, bit), ref), `header bit ${bit}`).toBeDefined()
    for (let bit = 0; bit < trailer.length * 8; bit++)
      expect(trailerFault(place, header, flipped(trailer, bit)), `trailer bit ${bit}`).toBeDefined()
    expect(trailerFault(place, flipped(header, 100), trailer)).toBeDefined()
  })
})

const flipped = (bytes: Uint8Array, bit: number): Uint8Array => {
  const copy = new Uint8Array(bytes)
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return copy
}
