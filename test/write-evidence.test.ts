/** docs/write-evidence.md names tests for every defect that the write path is made to be without: each of them is there, under its number. */
import { expect, test } from 'vitest'
import { evidenceRows, missingTests } from './support/evidence-table.ts'

const rows = evidenceRows('docs/write-evidence.md', /^[BSCRP]\d+$/)

test('the table has every defect of batcher, gate, commands, recovery and pins, once', () => {
  const counts = { B: 10, S: 5, C: 5, R: 7, P: 5 }
  const numbers = Object.entries(counts).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, at) => `${letter}${at + 1}`),
  )
  expect(rows.map(({ number }) => number)).toEqual(numbers)
})

test('every test that it names is there, under its number', () => {
  expect(missingTests(rows)).toEqual([])
})
