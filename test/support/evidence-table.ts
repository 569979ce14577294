/**
 * Pages of evidence: tables whose rows begin with the number of a fault and end with the tests that show it. The tests are
 * found by their titles, which begin with the numbers that they show.
 */
import { sourceFiles } from './source-files.ts'

/** A row of a table: its number and the text of its last cell. */
export type EvidenceRow = { readonly number: string; readonly shown: string }

const numberPattern = /^[A-Z]\d+$/

/** The cells of a line of a table, none for any other line. */
export const cellsOf = (line: string): string[] =>
  line.startsWith('|')
    ? line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim())
    : []

/** The rows of a page that begin with a number. */
export const evidenceRows = (page: string): EvidenceRow[] =>
  page
    .split('\n')
    .map(cellsOf)
    .filter(([number = '']) => numberPattern.test(number))
    .map((cells) => ({ number: cells[0] ?? '', shown: cells.at(-1) ?? '' }))

/** Every number that titles of tests begin with, and for each the tests: `file`: title. */
export const numberedTests = (): Map<string, string[]> => {
  const found = new Map<string, string[]>()
  for (const { path, text } of sourceFiles('test'))
    for (const [, , numbers = '', title = ''] of text.matchAll(/(['"`])((?:[A-Z]\d+:? )+)(.*?)\1/g))
      for (const number of numbers.trim().split(/:? /))
        found.set(number.replace(':', ''), [
          ...(found.get(number.replace(':', '')) ?? []),
          `\`${path}\`: ${title.trim().replaceAll('|', '\\|')}`,
        ])
  return found
}

/** The page with the tests of each number in its last column. A row without a test keeps its words. */
export const withTests = (page: string, tests: ReadonlyMap<string, readonly string[]>): string =>
  page
    .split('\n')
    .map((line) => {
      const cells = cellsOf(line)
      const shown = tests.get(cells[0] ?? '')
      return shown ? `| ${[...cells.slice(0, -1), shown.join('<br>')].join(' | ')} |` : line
    })
    .join('\n')
