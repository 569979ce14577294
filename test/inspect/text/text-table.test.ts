import { expect, test } from 'vitest'
import { colourPaint, paintFor, plainPaint } from '../../../src/inspect/text/paint.ts'
import { lineText } from '../../../src/inspect/text/shown-text.ts'
import { factList, textTable } from '../../../src/inspect/text/text-table.ts'

const columns = ['name', '>count', 'note']

test('columns are as wide as their widest cell, and no line ends in spaces', () => {
  const table = textTable(columns, [
    ['a', '1', 'one'],
    ['long name', '1,000', ''],
  ])

  expect(table).toBe(
    ['name       count  note', 'a              1  one', 'long name  1,000'].join('\n'),
  )
})

test('colour takes no room', () => {
  const rows = (paint: typeof plainPaint) => [
    [paint('good', 'a'), paint('bad', '1'), 'one'],
    ['long', '10', 'ten'],
  ]
  const plain = textTable(columns, rows(plainPaint))
  const coloured = textTable(columns, rows(colourPaint))

  expect(coloured).not.toBe(plain)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences of colour begin with one.
  expect(coloured.replace(/\u001b\[\d+m/g, '')).toBe(plain)
})

test('facts stand below one another', () => {
  expect(factList([])).toBe('')
  expect(
    factList([
      ['a', '1'],
      ['long', ''],
    ]),
  ).toBe('a     1\nlong')
})

test('colour is for terminals, unless NO_COLOR or the terminal asks for none', () => {
  const terminal = { isTTY: true }

  expect(paintFor(terminal, {})).toBe(colourPaint)
  expect(paintFor(terminal, { NO_COLOR: '' })).toBe(colourPaint)
  expect(paintFor(terminal, { NO_COLOR: '1' })).toBe(plainPaint)
  expect(paintFor(terminal, { TERM: 'dumb' })).toBe(plainPaint)
  expect(paintFor({}, {})).toBe(plainPaint)
})

test('a row is one line, whatever its cells have in them', () => {
  const message = 'no\tmoney:\r\n\x1b[31mleft\x1b[2J\u2028\x9b5m'
  const table = textTable(columns, [[message, '1', colourPaint('bad', 'a\nb')]])
  const [, row = '', ...others] = table.split('\n')

  expect(others).toEqual([])
  expect(
    row.startsWith('no\\u{9}money:\\u{d}\\u{a}\\u{1b}[31mleft\\u{1b}[2J\\u{2028}\\u{9b}5m  '),
  ).toBe(true)
  expect(row.endsWith(colourPaint('bad', 'a\\u{a}b'))).toBe(true)
  expect(factList([['error', 'a\nb']])).toBe('error  a\\u{a}b')
})

test('a value in one line is one line, though an error in it has a stack', () => {
  expect(lineText({ error: new Error('a\nb'), text: '\x1b[31m' }, 200)).not.toMatch(/\p{Cc}/u)
})
