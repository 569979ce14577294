import { expect, test } from 'vitest'
import { colourPaint, paintFor, plainPaint } from '../../../src/inspect/text/paint.ts'
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
