/** Tables in docs that name the tests of something by its number: what they say, and which of the tests they name are not there. */
import { existsSync, readFileSync } from 'node:fs'

/** A row: its number, and what its last cell says of where it is shown. */
export type EvidenceRow = { readonly number: string; readonly shown: string }

/** The rows of a page whose first cell is a number that `pattern` knows. */
export const evidenceRows = (path: string, pattern: RegExp): EvidenceRow[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .map((line): EvidenceRow | undefined => {
      const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim())
      const [, number = ''] = cells
      return pattern.test(number) ? { number, shown: cells.at(-2) ?? '' } : undefined
    })
    .filter((row) => row !== undefined)

/** The tests that the rows name and that are not in their file, under that number. */
export const missingTests = (rows: readonly EvidenceRow[]): string[] =>
  rows.flatMap((row) =>
    testsOf(row)
      .filter(({ file, title }) => !hasTest(file, row.number, title))
      .map(({ file, title }) => `${row.number}: ${file}: ${title}`),
  )

const testsOf = ({ shown }: EvidenceRow): { readonly file: string; readonly title: string }[] =>
  shown.split('<br>').map((item) => {
    const [, file = '', title = ''] = /^`([^`]+)`: (.+)$/.exec(item) ?? []
    return { file, title: title.replaceAll('\\|', '|') }
  })

/** Whether a title in `file` begins with numbers, this one among them, and goes on with `title`. */
const hasTest = (file: string, number: string, title: string): boolean => {
  if (!existsSync(file)) return false
  const titles = readFileSync(file, 'utf8').matchAll(/(['"`])((?:[A-Z]\d+:? )+)(.*?)\1/g)
  return [...titles].some(
    ([, , numbers = '', words = '']) =>
      numbers.split(/:? /).includes(number) && words.trim() === title.trim(),
  )
}
