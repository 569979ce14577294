/** Layers of rows, the rows that actors derive, and which rows a put of a blob writes. */
import { describe, expect, test } from 'vitest'
import type { Command } from '../../../src/storage/commands/command.ts'
import { noExpiry } from '../../../src/storage/commands/command.ts'
import type { Row } from '../../../src/storage/ports/projection-store.ts'
import { loggedBlobRow } from '../../../src/storage/rows/blob-rows.ts'
import {
  checkProducer,
  derivedChanges,
  derivedKeyOf,
  derivedRows,
  producerLsnOf,
  producerRowKey,
} from '../../../src/storage/rows/derived-rows.ts'
import {
  ChangedRows,
  expiresAt,
  isExpired,
  isWithin,
  living,
  momentAfter,
} from '../../../src/storage/rows/rows.ts'
import { blobRope, storedRope } from '../../../src/storage/values/rope.ts'
import { compoundMarkerKey, fieldRowKey, lockRowKey } from '../../../src/storage/values/row-key.ts'
import { encodeValue } from '../../../src/storage/values/value.ts'
import { appliedUnit } from '../../support/worlds/applied-unit.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'

const row = (expiresAt = 0): Row => ({ value: encodeValue(1), expiresAt })

describe('a row', () => {
  test('expires at its time, and without one never', () => {
    expect([4, 5, 6].map((now) => isExpired(row(5), now))).toEqual([false, true, true])
    expect(isExpired(row(), Number.MAX_SAFE_INTEGER)).toBe(false)
    expect([living(row(5), 4), living(row(5), 5), living(undefined, 0)]).toEqual([
      row(5),
      undefined,
      undefined,
    ])
  })

  test('has the expiry that was asked for, at most the greatest time', () => {
    expect(expiresAt({ kind: 'none' }, 10, 7)).toBe(0)
    expect(expiresAt({ kind: 'at', ms: 3 }, 10, 7)).toBe(3)
    expect(expiresAt({ kind: 'after', ms: 3 }, 10, 7)).toBe(13)
    expect([expiresAt({ kind: 'keep' }, 10, 7), expiresAt({ kind: 'keep' }, 10)]).toEqual([7, 0])
    expect(momentAfter(10, Number.MAX_SAFE_INTEGER)).toBe(Number.MAX_SAFE_INTEGER)
  })
})

test('a key is within bounds, each of them with its key or without', () => {
  const keys = ['a', 'b', 'c', 'd', 'e']
  const within = (range: object) => keys.filter((key) => isWithin(key, range)).join('')
  expect(within({})).toBe('abcde')
  expect([within({ gt: 'b' }), within({ gte: 'b' })]).toEqual(['cde', 'bcde'])
  expect([within({ lt: 'd' }), within({ lte: 'd' })]).toEqual(['abc', 'abcd'])
  expect(within({ gt: 'a', gte: 'c', lt: 'e', lte: 'd' })).toBe('cd')
})

describe('rows that a producer derives', () => {
  test('stand between its position and those of the next producer', () => {
    const operations = [
      { kind: 'put', key: 'a', value: encodeValue(1) },
      { kind: 'delete', key: 'b' },
    ] as const
    const changes = derivedChanges('p', 7, operations)
    expect(changes.map(([key, row]) => [derivedKeyOf(key), row?.value])).toEqual([
      ['a', encodeValue(1)],
      ['b', undefined],
      ['', expect.anything()],
    ])
    const keys = changes.map(([key]) => key)
    expect(keys.map((key) => isWithin(key, derivedRows('p')))).toEqual([true, true, false])
    expect(keys.map((key) => isWithin(key, derivedRows('p1')))).toEqual([false, false, false])
    expect([keys.at(-1), producerLsnOf(changes.at(-1)?.[1])]).toEqual([producerRowKey('p'), 7])
  })

  test('have no position before the first, and one that cannot be read is CORRUPT', () => {
    expect(producerLsnOf(undefined)).toBe(0)
    const corrupt = expect.objectContaining({
      code: 'CORRUPT',
      details: { evidence: expect.stringMatching(/^tag \d, \d+ bytes$/) },
    })
    for (const value of [
      { tag: 2, bytes: new Uint8Array(7) },
      { tag: 1, bytes: new Uint8Array(8) },
    ] as const)
      expect(() => producerLsnOf({ value, expiresAt: 0 })).toThrow(corrupt)
  })

  test('are of a producer with a name of 1 to 64 letters, digits, `_`, `.` or `-`', () => {
    expect(checkProducer(`aZ0_.-${'x'.repeat(58)}`)).toHaveLength(64)
    for (const wrong of ['', 'x'.repeat(65), 'a b', 'a\0', 7, undefined])
      expect(() => checkProducer(wrong)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
  })
})

test.each([false, true])(
  'every write of a value in a blob notes the blob (with compounds: %s)',
  (compounds) => {
    const ref = { size: 5, segment: 2, offset: 64, sha256: new Uint8Array(32) }
    const value = storedRope(blobRope(2, ref))
    const entry = { key: 'k', value, expiry: noExpiry }
    const writes: Command[] = [
      { kind: 'put', ...entry },
      { kind: 'set', ...entry, condition: 'always', get: false },
      { kind: 'putMany', entries: [{ ...entry, key: 'a', value: encodeValue(1) }, entry] },
    ]
    for (const write of writes) {
      const rows = new MapRows()
      rows.hints.compounds = compounds
      const { changes } = appliedUnit(write, rows, 100, 9)
      expect(changes).toContainEqual(loggedBlobRow(ref, 9))
      expect(changes).toContainEqual(['k', { value, expiresAt: 0 }])
    }
  },
)

test('a key that begins with a colon is of no root', () => {
  const rows = new MapRows([
    [':a', row()],
    ['b', row()],
  ])
  expect(appliedUnit({ kind: 'clear', namespace: '_root' }, rows, 100)).toEqual({
    answer: { kind: 'clear', removed: 1 },
    changes: [['b', undefined]],
  })
})

test('a layer lists a changed field once, and hints at locks only when a lock was written', () => {
  const field = fieldRowKey('a', 'x')
  const rows = new ChangedRows(
    new MapRows([
      [compoundMarkerKey, row()],
      ['a', row()],
      [field, row()],
    ]),
  )
  rows.set(field, row(7))
  expect([...rows.fields('a')]).toEqual([field])
  expect(rows.hints).toEqual({ locks: false, compounds: true })
  rows.set(producerRowKey('p'), row())
  expect(rows.hints.locks).toBe(false)
  rows.set(lockRowKey('a'), row())
  expect(rows.hints.locks).toBe(true)
})
