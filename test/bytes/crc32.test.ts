import { crc32 as zlibCrc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { crc32, crc32Within } from '../../src/bytes/crc32.ts'
import { seededRandom } from '../../src/clock.ts'

const random = seededRandom(7)
const noise = Uint8Array.from({ length: 8192 }, () => Math.floor(random() * 256))
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)

/** The definition, a bit at a time: what both fast ways have to agree with. */
const bitwise = (bytes: Uint8Array, seed = 0): number => {
  let sum = ~seed
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1
  }
  return ~sum >>> 0
}

describe('crc32', () => {
  test.each([
    ['', 0x00000000],
    ['a', 0xe8b7be43],
    ['123456789', 0xcbf43926],
    ['The quick brown fox jumps over the lazy dog', 0x414fa339],
  ])('of %j is the published value', (text, expected) => {
    expect(crc32(ascii(text))).toBe(expected)
  })

  test('equals the definition and zlib for every length from 0 to 4096', { tags: ['E46'] }, () => {
    for (let length = 0; length <= 4096; length++) {
      // A start that moves with the length covers every alignment of the words.
      const bytes = noise.subarray(length % 13, (length % 13) + length)
      const sum = crc32(bytes)
      if (sum !== zlibCrc32(bytes) || (length < 600 && sum !== bitwise(bytes)))
        expect.fail(`length ${length}: ${sum}`)
    }
  })

  test('chained over any cut equals the sum of the whole', { tags: ['E46'] }, () => {
    const whole = noise.subarray(0, 700)
    const expected = bitwise(whole)
    for (let cut = 0; cut <= whole.length; cut++)
      expect(crc32(whole.subarray(cut), crc32(whole.subarray(0, cut)))).toBe(expected)
  })

  test('takes any 32-bit seed, at every length', () => {
    for (const seed of [1, 0x7fffffff, 0x80000000, 0xdeadbeef, 0xffffffff])
      for (const length of [0, 1, 3, 4, 15, 16, 17, 639, 640, 641, 4096]) {
        const bytes = noise.subarray(0, length)
        expect([seed, length, crc32(bytes, seed)]).toEqual([seed, length, bitwise(bytes, seed)])
      }
  })

  test('of a part of a buffer equals that of a copy', () => {
    // A view that does not begin with its buffer, as those of Node's pool.
    const bytes = noise.subarray(5)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (const length of [0, 1, 28, 268, 639, 640, 2000])
      for (const from of [0, 1, 2, 3, 4, 8, 36, 1001]) {
        const sum = crc32Within({ bytes, view }, from, from + length, 0xdeadbeef)
        const part = bitwise(bytes.subarray(from, from + length), 0xdeadbeef)
        expect([from, length, sum]).toEqual([from, length, part])
      }
  })

  test('notices each single flipped bit', () => {
    const bytes = noise.slice(0, 300)
    const sum = crc32(bytes)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const mask = 1 << (bit & 7)
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ mask
      expect(crc32(bytes)).not.toBe(sum)
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ mask
    }
  })
})
