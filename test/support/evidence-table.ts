/**
 * Pages of evidence: tables whose rows begin with the number of a fault and end with the tests that show it. The tests are
 * found by their tags: the numbers that they show.
 */
import { readFileSync } from 'node:fs'
import { sourceFiles } from './source-files.ts'

/** A row of a table: its number and the text of its last cell. */
export type EvidenceRow = { readonly number: string; readonly shown: string }

const numberPattern = /^[A-Z]{1,2}\d+$/

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

/** The pages whose numbers are tags of tests: their last columns are made from the tests. */
const taggedPages = [
  'log.md',
  'writes.md',
  'projections.md',
  'flow.md',
  'observer.md',
  'rehearsal.md',
  'resharding.md',
  'streams.md',
]

/** Every tag that a test may have: the numbers of those pages. */
export const evidenceTags = (): string[] =>
  taggedPages.flatMap((name) =>
    evidenceRows(readFileSync(`test/evidence/${name}`, 'utf8')).map(({ number }) => number),
  )

/** The tests of each tag: `file`: title. */
export const taggedTests = (): Map<string, string[]> => {
  const found = new Map<string, string[]>()
  for (const { path, text } of sourceFiles('test'))
    for (const [, , title = '', tags = ''] of text.matchAll(
      /(['"`])((?:(?!\1).)*)\1,\s*\{\s*tags: \[([^\]]*)\]/g,
    ))
      for (const [, tag = ''] of tags.matchAll(/'(\w+)'/g))
        found.set(tag, [...(found.get(tag) ?? []), `\`${path}\`: ${title.replaceAll('|', '\\|')}`])
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
