/** The table of row classes: every row's key belongs to one. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isRowKey } from '../../../src/storage/values/row-codec.ts'
import {
  compoundMarkerKey,
  compoundOf,
  fieldRowKey,
  firstUserKey,
  isLockRow,
  lockRowKey,
  lockRows,
  loggedBlobPrefix,
  loggedBlobRows,
  rowClasses,
  rowClassOf,
} from '../../../src/storage/values/row-key.ts'
import { anyText } from '../../support/any-text.ts'

const key = anyText({ minLength: 1, maxLength: 30 }).filter((text) => !text.includes('\0'))

describe('the classes of rows', () => {
  it('have letters of their own', () => {
    const letters = Object.values(rowClasses).flatMap(({ letter }) => letter ?? [])
    expect(new Set(letters).size).toBe(letters.length)
  })

  it('keep the keys that stand on disk', () => {
    expect([compoundMarkerKey, lockRowKey('k'), loggedBlobPrefix]).toEqual(['\0c', '\0lk', '\0b'])
    expect([lockRows, loggedBlobRows]).toEqual([
      { gt: '\0l', lt: '\0m' },
      { gt: '\0b', lt: '\0c' },
    ])
  })

  it('have one class for each key, as rows are told apart by their keys', () => {
    fc.assert(
      fc.property(key, key, (one, other) => {
        expect(rowClassOf(one)).toBe('value')
        expect(rowClassOf(fieldRowKey(one, other))).toBe('field')
        expect(rowClassOf(lockRowKey(one))).toBe('lock')
        expect(compoundOf(fieldRowKey(one, other))).toBe(one)
        expect(isLockRow(lockRowKey(one))).toBe(true)
        expect(one >= firstUserKey).toBe(true)
      }),
    )
    expect(rowClassOf(compoundMarkerKey)).toBe('compoundMarker')
    expect(rowClassOf(`${loggedBlobPrefix}0`)).toBe('loggedBlob')
  })

  it('say of any text whether a row may have it as its key, as the projection does', () => {
    const rowKey = fc.oneof(
      key,
      anyText({ maxLength: 6 }),
      key.map((k) => `\0${k}`),
    )
    fc.assert(
      fc.property(rowKey, (text) => {
        const isKnown = rowClassOf(text) !== undefined
        expect(isRowKey(Buffer.from(text))).toBe(isKnown)
      }),
    )
    for (const none of ['', '\0', '\0l', '\0b', '\0cx', '\0x'])
      expect(rowClassOf(none)).toBe(undefined)
  })
})
