/** References to blobs: 64 bytes, those that FerricStore writes, and nothing else is read. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type BlobRef,
  decodeBlobReference,
  encodeBlobReference,
} from '../../../src/storage/values/blob-reference.ts'

const refTo = (payload: string, segment: number, offset: number): BlobRef => ({
  size: Buffer.byteLength(payload),
  segment,
  offset,
  sha256: new Uint8Array(createHash('sha256').update(payload).digest()),
})

// Made by FerricStore v0.4.2.
const golden: readonly (readonly [BlobRef, string])[] = [
  [
    refTo('hello blob', 0, 48),
    '004653424c4f4202000000000000000a00000000000000000000000000000030e997afd18e5f6be004fc193aed2c90291e68ab2c7599a62538c935b7fca6ab0f',
  ],
  [
    refTo('abc', 12, 4096),
    '004653424c4f42020000000000000003000000000000000c0000000000001000ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  ],
]

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
const corrupt = expect.objectContaining({ code: 'CORRUPT' })

describe('a blob reference', () => {
  test.each(golden)('is the reference’s 64 bytes, both ways: %#', (ref, hex) => {
    expect(Buffer.from(encodeBlobReference(ref)).toString('hex')).toBe(hex)
    expect(decodeBlobReference(bytesOf(hex))).toEqual(ref)
  })

  test('comes back as it was', () => {
    const count = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 2 ** 32, Number.MAX_SAFE_INTEGER))
    const sha256 = fc.uint8Array({ minLength: 32, maxLength: 32 })
    fc.assert(
      fc.property(fc.record({ size: count, segment: count, offset: count, sha256 }), (ref) => {
        expect(decodeBlobReference(encodeBlobReference(ref))).toEqual(ref)
      }),
    )
  })

  test('shares no memory with the bytes it was read from', () => {
    const bytes = bytesOf(golden[0]?.[1] ?? '')
    const ref = decodeBlobReference(bytes)
    bytes.fill(0)
    expect(ref).toEqual(golden[0]?.[0])
  })

  test('of the reference’s version 1, or a later one, is UNSUPPORTED_VERSION', () => {
    for (const version of [0, 1, 3, 255]) {
      const bytes = bytesOf(golden[0]?.[1] ?? '')
      bytes[7] = version
      expect(() => decodeBlobReference(bytes)).toThrow(
        expect.objectContaining({ code: 'UNSUPPORTED_VERSION' }),
      )
    }
  })

  test('of another length, with another magic or with a number beyond 2^53 is CORRUPT', () => {
    const good = golden[0]?.[1] ?? ''
    for (const hex of [good.slice(2), `${good}00`, '', good.slice(0, 96)])
      expect(() => decodeBlobReference(bytesOf(hex))).toThrow(corrupt)
    for (let at = 0; at < 7; at++) {
      const bytes = bytesOf(good)
      bytes[at] = (bytes[at] ?? 0) ^ 1
      expect(() => decodeBlobReference(bytes)).toThrow(corrupt)
    }
    for (const at of [9, 17, 25]) {
      const bytes = bytesOf(good)
      bytes[at] = 0x20
      expect(() => decodeBlobReference(bytes)).toThrow(corrupt)
    }
  })

  test('with a field that no reference has is refused', () => {
    const good = golden[0]?.[0] as BlobRef
    const bad = [-1, 0.5, Number.NaN, 2 ** 53].flatMap((value): BlobRef[] => [
      { ...good, size: value },
      { ...good, segment: value },
      { ...good, offset: value },
    ])
    for (const ref of [...bad, { ...good, sha256: new Uint8Array(31) }])
      expect(() => encodeBlobReference(ref)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
  })
})
