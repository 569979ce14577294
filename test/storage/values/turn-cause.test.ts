/** The bytes of a turn's cause, for names of every kind. */
import { expect, test } from 'vitest'
import {
  causeBytesMax,
  decodeCause,
  encodeCause,
  saysCause,
} from '../../../src/storage/values/turn-cause.ts'

/** 60 bytes: the most that a text may have. */
const fits = 'x'.repeat(60)

test.each([
  ['call place', 'call place'],
  [fits, fits],
  [`${fits}y`, `${'x'.repeat(57)}…`],
  ['ж'.repeat(31), `${'ж'.repeat(28)}…`],
  ['😀'.repeat(16), `${'😀'.repeat(14)}…`],
  ['call a\0b', 'call a\ufffdb'],
  ['call \ud800', 'call \ufffd'],
  ['x'.repeat(10_000_000), `${'x'.repeat(57)}…`],
])('a text has at most 60 bytes, and is whole characters', (text, kept) => {
  expect(decodeCause(encodeCause(text))).toEqual({ what: kept })
  expect(decodeCause(encodeCause('call', text))).toEqual({ what: 'call', by: kept })
  expect(encodeCause(text, text).length).toBeLessThanOrEqual(causeBytesMax)
})

test('a cut text is recognized', () => {
  const { what } = decodeCause(encodeCause(`${fits}y`))

  expect(saysCause(what, `${fits}z`)).toBe(true)
  expect(saysCause(what, fits)).toBe(false)
})
