/** docs/log-evidence.md names tests for every fault and case of the log: each of them must be there, under its number. */
import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

/** Numbers that no test of the log can show, and why: what the row says instead. */
const without: Record<string, string> = {
  D29: 'docs/guarantees.md',
  D34: 'with replication',
  E53: 'with replication',
  E54: 'with replication',
  E59: 'npm run bench -- wal',
}

type Row = { readonly number: string; readonly shown: string }

const rows = readFileSync('docs/log-evidence.md', 'utf8')
  .split('\n')
  .map((line): Row | undefined => {
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim())
    const [, number = ''] = cells
    return /^[DE]\d+$/.test(number) ? { number, shown: cells.at(-2) ?? '' } : undefined
  })
  .filter((row) => row !== undefined)

/** The tests that a row names. */
const testsOf = ({ shown }: Row): { readonly file: string; readonly title: string }[] =>
  shown.split('<br>').map((item) => {
    const [, file = '', title = ''] = /^`([^`]+)`: (.+)$/.exec(item) ?? []
    return { file, title: title.replaceAll('\\|', '|') }
  })

/** Whether a title in `file` begins with numbers, this one among them, and goes on with `title`. */
const hasTest = (file: string, number: string, title: string): boolean => {
  if (!existsSync(file)) return false
  const titles = readFileSync(file, 'utf8').matchAll(/(['"`])((?:[DE]\d+:? )+)(.*?)\1/g)
  return [...titles].some(
    ([, , numbers = '', words = '']) =>
      numbers.split(/:? /).includes(number) && words.trim() === title.trim(),
  )
}

test('the table of evidence has every fault and every case, once', () => {
  const numbers = (letter: string, count: number): string[] =>
    Array.from({ length: count }, (_, at) => `${letter}${at + 1}`)

  expect(rows.map(({ number }) => number)).toEqual([...numbers('D', 35), ...numbers('E', 59)])
})

test('every test that the table of evidence names is there, under its number', () => {
  const missing = rows
    .filter(({ number }) => !(number in without))
    .flatMap((row) =>
      testsOf(row)
        .filter(({ file, title }) => !hasTest(file, row.number, title))
        .map(({ file, title }) => `${row.number}: ${file}: ${title}`),
    )

  expect(missing).toEqual([])
})

test('what has no test says why', () => {
  for (const [number, words] of Object.entries(without))
    expect(rows.find((row) => row.number === number)?.shown, number).toContain(words)
})
