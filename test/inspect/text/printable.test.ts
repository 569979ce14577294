/** Foreign names as they are printed on a terminal. */
import { expect, test } from 'vitest'
import { printable } from '../../../src/inspect/text/paint.ts'

test('control characters, separators and marks of direction are written out, all else is left', () => {
  expect(printable('evil\u001b[31m\nname.wal')).toBe('evil\\u{1b}[31m\\u{a}name.wal')
  expect(printable('\u009b\u007f\u2028\u202e')).toBe('\\u{9b}\\u{7f}\\u{2028}\\u{202e}')
  expect(printable('größe 😀 "日本".wal')).toBe('größe 😀 "日本".wal')
})
