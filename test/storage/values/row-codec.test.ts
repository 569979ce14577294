/**
 * Rows and the position decode to what was encoded, and no flipped bit of key or record goes
 * unnoticed.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { viewedBytes } from '../../../src/bytes/u64.ts'
import type { Row } from '../../../src/storage/ports/projection-store.ts'
import {
  decodePlace,
  decodePosition,
  decodeRow,
  encodeLoad,
  encodePosition,
  encodeRow,
  positionKey,
  rowBytes,
} from '../../../src/storage/values/row-codec.ts'

const encoded = (key: Uint8Array, row: Row): Uint8Array => {
  // The bytes are the same at any place.
  const bytes = Buffer.alloc(3 + key.length + rowBytes(row.value), 0xff)
  bytes.set(key, 3)
  expect(encodeRow(viewedBytes(bytes), 3, 3 + key.length, row)).toBe(bytes.length)
  return new Uint8Array(bytes.subarray(3 + key.length))
}

const corrupt = expect.objectContaining({ code: 'CORRUPT' })

/** Every copy of `bytes` with one bit changed. */
const flipped = (bytes: Uint8Array): Uint8Array[] =>
  Array.from({ length: bytes.length * 8 }, (_, bit) => {
    const copy = new Uint8Array(bytes)
    copy[bit >>> 3] = (copy[bit >>> 3] ?? 0) ^ (1 << (bit & 7))
    return copy
  })

const key = Buffer.from('order:1')
const row: Row = { value: { tag: 1, bytes: Buffer.from('a value') }, expiresAt: 2 ** 41 + 5 }

describe('a row', () => {
  test('decodes to what was encoded', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 30 }),
        fc.constantFrom<(0 | 1 | 2 | 3)[]>(0, 1, 2, 3),
        fc.uint8Array({ maxLength: 400 }),
        fc.maxSafeNat(),
        (name, tag, bytes, expiresAt) => {
          const put: Row = { value: { tag, bytes }, expiresAt }
          expect(decodeRow(name, encoded(name, put))).toEqual(put)
        },
      ),
    )
  })

  test('is CORRUPT if any bit of it or of its key is flipped', () => {
    const record = encoded(key, row)
    for (const other of flipped(record)) expect(() => decodeRow(key, other)).toThrow(corrupt)
    for (const other of flipped(key)) expect(() => decodeRow(other, record)).toThrow(corrupt)
  })

  test('is CORRUPT when it was cut', () => {
    const record = encoded(key, row)
    for (let length = 0; length < record.length; length++)
      expect(() => decodeRow(key, record.subarray(0, length))).toThrow(corrupt)
  })

  // These bytes are in existing folders: a change here is a change of the format.
  test('is these bytes', () => {
    expect(Buffer.from(encoded(key, row)).toString('hex')).toBe(
      '92fb4e7f050000000002000001612076616c7565',
    )
  })
})

describe('a position', () => {
  const position = { walId: '000102030405060708090a0b0c0d0e0f', epoch: 7, lsn: 2 ** 53 - 1 }

  const marked = { ...position, frame: { time: 2 ** 53 - 1, crc: 2 ** 32 - 1 } }

  test('decodes to what was encoded, with the mark of its frame or without', () => {
    expect(decodePosition(encodePosition(position))).toEqual(position)
    expect(decodePosition(encodePosition(marked))).toEqual(marked)
  })

  test('is CORRUPT if any bit of it is flipped, or if it was cut', { tags: ['L18'] }, () => {
    for (const record of [encodePosition(position), encodePosition(marked)]) {
      for (const other of flipped(record)) expect(() => decodePosition(other)).toThrow(corrupt)
      for (let length = 0; length < record.length; length++)
        expect(() => decodePosition(record.subarray(0, length))).toThrow(corrupt)
    }
  })

  test('of a kind that this version does not know is CORRUPT, so the projection is rebuilt', () => {
    for (const hex of [
      '61c69af605000102030405060708090a0b0c0d0e0f0700000000000000ffffffffffff1f00',
      '7539fc9106000102030405060708090a0b0c0d0e0f0700000000000000ffffffffffff1f00ffffffffffff1f00ffffffff',
    ])
      expect(() => decodePosition(Buffer.from(hex, 'hex'))).toThrow(corrupt)
  })

  test('is these bytes in both kinds', () => {
    const hex = (record: Uint8Array) => Buffer.from(record).toString('hex')
    expect(hex(encodePosition(position))).toBe(
      'ad85502d01000102030405060708090a0b0c0d0e0f0700000000000000ffffffffffff1f00',
    )
    expect(hex(encodePosition(marked))).toBe(
      '8692377202000102030405060708090a0b0c0d0e0f0700000000000000ffffffffffff1f00ffffffffffff1f00ffffffff',
    )
  })

  test('can give way to the place of a load, which is no position', () => {
    const snapshot = { lsn: 2 ** 53 - 1, bytes: 2 ** 53 - 2, sum: 2 ** 32 - 1 }
    const place = { walId: position.walId, snapshot, offset: 2 ** 53 - 3, rows: 2 ** 53 - 4 }
    const record = encodeLoad(place)
    expect(decodePlace(record)).toEqual(place)
    expect(() => decodePosition(record)).toThrow(corrupt)
    for (const other of flipped(record)) expect(() => decodePlace(other)).toThrow(corrupt)
    expect(Buffer.from(record).toString('hex')).toBe(
      'e2962e6f03000102030405060708090a0b0c0d0e0fffffffffffff1f00feffffffffff1f00fffffffffdffffffffff1f00fcffffffffff1f00',
    )
  })

  test('sorts before every key of a user', () => {
    expect(Buffer.compare(positionKey, Buffer.from('\x01'))).toBeLessThan(0)
  })
})
