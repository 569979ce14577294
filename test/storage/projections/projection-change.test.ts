/** The changes of rows as projections get them. */
import { describe, expect, test } from 'vitest'
import type { Row } from '../../../src/storage/ports/projection-store.ts'
import { changesOf } from '../../../src/storage/projections/projection-change.ts'
import type { ReadBlob } from '../../../src/storage/rows/rows.ts'
import {
  appendToRope,
  blobRope,
  inlineRope,
  type Rope,
  storedRope,
} from '../../../src/storage/values/rope.ts'
import { encodeValue } from '../../../src/storage/values/value.ts'
import { missingBlob } from '../../support/worlds/map-rows.ts'

const plain = (value: unknown): Row => ({ value: encodeValue(value), expiresAt: 0 })
const rope = (value: Rope): Row => ({ value: storedRope(value), expiresAt: 0 })
const blobOf = (size: number) =>
  blobRope(1, { size, segment: 3, offset: 1, sha256: new Uint8Array(32) })
const changeOf = (before: Row | undefined, after: Row | undefined, blob: ReadBlob = missingBlob) =>
  changesOf({ rowKey: 'k', before, after, lsn: 7, time: 70 }, blob)

test('a change says which key and frame it is of, and what was there and is', () => {
  expect(changeOf(plain(1), plain(2))).toMatchObject([
    { kind: 'value', key: 'k', lsn: 7, time: 70, existed: true, exists: true, before: 1, after: 2 },
  ])
  expect(changeOf(undefined, plain(2))).toMatchObject([
    { existed: false, exists: true, before: undefined, after: 2 },
  ])
  expect(changeOf(plain(1), undefined)).toMatchObject([
    { existed: true, exists: false, before: 1, after: undefined },
  ])
})

describe('a value in blobs', () => {
  const asked: unknown[] = []
  const stored: ReadBlob = (_, from, to) => {
    asked.push([from, to])
    return Buffer.from('x'.repeat(to - from))
  }

  test('is read with the bytes that stand in its row', () => {
    const value = appendToRope(blobOf(4), inlineRope(1, Buffer.from('end'))) as Rope
    const [change] = changeOf(undefined, rope(value), stored)
    expect(asked).toEqual([])
    expect(change?.after).toBe('xxxxend')
    expect(asked).toEqual([[0, 4]])
  })

  test('is read up to 1 MiB, and TOO_LARGE beyond', () => {
    const MiB = 1024 * 1024
    expect(changeOf(undefined, rope(blobOf(MiB)), stored)[0]?.after).toHaveLength(MiB)
    const [change] = changeOf(rope(blobOf(MiB + 1)), undefined, stored)
    expect(() => change?.before).toThrow(
      expect.objectContaining({
        code: 'TOO_LARGE',
        details: { length: MiB + 1, lengthMax: MiB },
      }),
    )
  })
})
