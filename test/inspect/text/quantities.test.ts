import { describe, expect, test } from 'vitest'
import {
  bytesText,
  clockText,
  countText,
  durationText,
  pluralText,
} from '../../../src/inspect/text/quantities.ts'

const cases = <T>(read: (value: T) => string, rows: readonly (readonly [T, string])[]) => {
  for (const [value, text] of rows)
    test(`${value} reads ${text}`, () => {
      expect(read(value)).toBe(text)
    })
}

describe('a count', () =>
  cases(countText, [
    [0, '0'],
    [999, '999'],
    [1_000, '1,000'],
    [1_234_567, '1,234,567'],
    [12.6, '13'],
  ]))

describe('a number of bytes', () =>
  cases(bytesText, [
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.00 kB'],
    [16_777_216, '16.8 MB'],
    [999_499, '999 kB'],
    [999_500, '1.00 MB'],
    [2.5e15, '2.50 PB'],
  ]))

describe('time that is left', () =>
  cases(clockText, [
    [0, '0:00'],
    [1, '0:01'],
    [59_001, '1:00'],
    [725_000, '12:05'],
    [3_600_000, '1:00:00'],
    [3_723_000, '1:02:03'],
  ]))

describe('time that has passed', () =>
  cases(durationText, [
    [12.4, '12 ms'],
    [999, '999 ms'],
    [1_534, '1.53 s'],
  ]))

test('one is not many', () => {
  expect([0, 1, 2].map((count) => pluralText(count, 'record'))).toEqual([
    '0 records',
    '1 record',
    '2 records',
  ])
})
