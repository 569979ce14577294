import { describe, expect, test } from 'vitest'
import {
  loggedBlobRow,
  loggedBlobRows,
  type Row,
  recordExtent,
  recordOfLogged,
} from '../../../src/storage/index.ts'
import { isRowKey } from '../../../src/storage/lmdb/row-codec.ts'
import { isWithin } from '../../../src/storage/rows/rows.ts'
import type { BlobRef } from '../../../src/storage/values/blob-reference.ts'

const refOf = (segment: number, offset: number, size: number): BlobRef => ({
  segment,
  offset,
  size,
  sha256: new Uint8Array(32),
})

const rowOf = (ref: BlobRef): readonly [string, Row] => {
  const [key, row] = loggedBlobRow(ref)
  if (!row) throw new Error('no row')
  return [key, row]
}

describe('the row of a blob that the log refers to', () => {
  test('has the place of its record, up to the greatest numbers', () => {
    for (const ref of [
      refOf(0, 48, 0),
      refOf(7, 8240, 5_000),
      refOf(2 ** 53 - 1, 2 ** 50 + 48, 2 ** 40),
    ]) {
      const [key, row] = rowOf(ref)
      expect(recordOfLogged(key, row)).toEqual({ segment: ref.segment, extent: recordExtent(ref) })
    }
  })

  test('has a key that no user can write, in the order of segment and offset', () => {
    const keys = [refOf(1, 48, 1), refOf(1, 4144, 1), refOf(2, 48, 1), refOf(16, 48, 1)].map(
      (ref) => rowOf(ref)[0],
    )
    expect([...keys].sort()).toEqual(keys)
    for (const key of keys) {
      expect(isRowKey(Buffer.from(key))).toBe(true)
      expect(isWithin(key, loggedBlobRows)).toBe(true)
      expect(key.charCodeAt(0)).toBe(0)
    }
    expect(isRowKey(Buffer.from(loggedBlobRows.gt))).toBe(false)
  })

  test('is CORRUPT if it cannot be read', () => {
    const [key, row] = rowOf(refOf(1, 48, 10))
    const corrupt = expect.objectContaining({ code: 'CORRUPT' })
    for (const other of [`${key.slice(0, -1)}x`, key.slice(0, 5), `${key}0`, 'k'])
      expect(() => recordOfLogged(other, row)).toThrow(corrupt)
    for (const value of [
      { tag: 2 as const, bytes: row.value.bytes },
      { tag: row.value.tag, bytes: new Uint8Array(7) },
    ])
      expect(() => recordOfLogged(key, { ...row, value })).toThrow(corrupt)
  })
})
