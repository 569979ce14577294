/** docs/log-evidence.md names tests for every fault and case of the log: each of them must be there, under its number. */
import { expect, test } from 'vitest'
import { evidenceRows, missingTests } from './support/evidence-table.ts'

/** Numbers that no test of the log can show, and why: what the row says instead. */
const without: Record<string, string> = {
  D29: 'docs/guarantees.md',
  D34: 'with replication',
  E53: 'with replication',
  E54: 'with replication',
  E59: 'npm run bench -- wal',
}

const rows = evidenceRows('docs/log-evidence.md', /^[DE]\d+$/)

test('the table of evidence has every fault and every case, once', () => {
  const numbers = (letter: string, count: number): string[] =>
    Array.from({ length: count }, (_, at) => `${letter}${at + 1}`)

  expect(rows.map(({ number }) => number)).toEqual([...numbers('D', 35), ...numbers('E', 59)])
})

test('every test that the table of evidence names is there, under its number', () => {
  const missing = missingTests(rows.filter(({ number }) => !(number in without)))

  expect(missing).toEqual([])
})

test('what has no test says why', () => {
  for (const [number, words] of Object.entries(without))
    expect(rows.find((row) => row.number === number)?.shown, number).toContain(words)
})
