/** The rows of `test/evidence/kindness.md` are those of `kindnesses.ts`, and each replacement has its place in the sources. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { cellsOf } from './support/evidence-table.ts'
import { kindnesses } from './support/kindness/kindnesses.ts'
import { replaced } from './support/kindness/trial.ts'

test.each(kindnesses)('$name: each replacement has one place', ({ kind, fault }) => {
  for (const each of [...kind, ...fault]) {
    const text = readFileSync(each.file, 'utf8')
    expect(replaced(each.file, text, [each])).not.toBe(text)
  }
})

test('the table has a row for each kindness that hides a fault', () => {
  const rows = readFileSync('test/evidence/kindness.md', 'utf8')
    .split('## ')[0]
    ?.split('\n')
    .map(cellsOf)
    .filter((cells) => cells.length === 4)
    .map(([name]) => name)
  expect(rows?.slice(2)).toEqual(kindnesses.map(({ name }) => name))
})
