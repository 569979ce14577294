import { describe, expect, test } from 'vitest'
import { type FrameUnits, noExpiry, type Unit } from '../../../src/storage/commands/command.ts'
import {
  blobRope,
  blobRowsOfFrame,
  encodeRope,
  loggedBlobRow,
  loggedBlobRows,
  type Row,
  recordExtent,
  recordOfLogged,
  type StoredValue,
} from '../../../src/storage/index.ts'
import { isWithin } from '../../../src/storage/rows/rows.ts'
import type { BlobRef } from '../../../src/storage/values/blob-reference.ts'
import { isRowKey } from '../../../src/storage/values/row-codec.ts'

const refOf = (segment: number, offset: number, size: number): BlobRef => ({
  segment,
  offset,
  size,
  sha256: new Uint8Array(32),
})

const rowOf = (ref: BlobRef, lsn = 1): readonly [string, Row] => {
  const [key, row] = loggedBlobRow(ref, lsn)
  if (!row) throw new Error('no row')
  return [key, row]
}

describe('the row of a blob that the log refers to', () => {
  test('has the place of its record and the LSN of its frame, up to the greatest numbers', () => {
    for (const ref of [
      refOf(0, 48, 0),
      refOf(7, 8240, 5_000),
      refOf(2 ** 53 - 1, 2 ** 50 + 48, 2 ** 40),
    ]) {
      const lsn = 2 ** 53 - 1
      const [key, row] = rowOf(ref, lsn)
      const { segment } = ref
      expect(recordOfLogged(key, row)).toEqual({ segment, extent: recordExtent(ref), lsn })
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
      { tag: row.value.tag, bytes: new Uint8Array(8) },
    ])
      expect(() => recordOfLogged(key, { ...row, value })).toThrow(corrupt)
  })
})

describe('the rows of blobs follow the frames that the log holds', () => {
  const units = (...refs: BlobRef[]): FrameUnits =>
    refs.map((ref): Unit => {
      const value: StoredValue = { tag: 3, bytes: encodeRope(blobRope(1, ref)) }
      return { kind: 'put', key: `k${ref.offset}`, value, expiry: noExpiry }
    })
  const [one, two, three] = [refOf(1, 48, 9), refOf(1, 4144, 9), refOf(2, 48, 9)]

  test('a frame has a row for each of its blobs, and a later frame takes it over', () => {
    const rows = new Map([
      ...blobRowsOfFrame(units(one, two), 5, () => false),
      ...blobRowsOfFrame(units(two, three), 7, () => false),
    ])
    expect([...rows].map(([key, row]) => row && recordOfLogged(key, row).lsn)).toEqual([5, 7, 7])
    expect(blobRowsOfFrame([{ kind: 'delete', key: 'k' }], 8, () => false)).toEqual([])
  })
})
