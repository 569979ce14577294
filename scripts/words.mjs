#!/usr/bin/env node
/**
 * `npm run words`: how many words the pages have, by the shelves of `docs/README.md`: prose and programs
 * apart, as `wc -w` counts them. `--pages` prints a row for each page as well.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('../docs/', import.meta.url)
const words = (text) => text.match(/\S+/g)?.length ?? 0
const block = /^( *)```[\s\S]*?^\1```$/gm

const countsOf = (path) => {
  const text = readFileSync(fileURLToPath(new URL(path, root)), 'utf8')
  const prose = words(text.replace(block, ''))
  return { name: path, prose, programs: words(text) - prose, pages: 1 }
}

const sumOf = (name, counts) => ({
  name,
  prose: counts.reduce((sum, { prose }) => sum + prose, 0),
  programs: counts.reduce((sum, { programs }) => sum + programs, 0),
  pages: counts.reduce((sum, { pages }) => sum + pages, 0),
})

const shelves = readFileSync(fileURLToPath(new URL('README.md', root)), 'utf8')
  .split(/^## /m)
  .slice(1)
  .map((shelf) => ({
    name: shelf.split('\n')[0],
    counts: [...shelf.matchAll(/^- \[[^\]]+\]\(([^)]+\.md)\)/gm)].map(([, path]) => countsOf(path)),
  }))

const row = ({ name, pages, prose, programs }) =>
  [
    name.padEnd(36),
    ...[pages, prose, programs, prose + programs].map((n) => String(n).padStart(9)),
  ].join('')
console.log(
  'shelf'.padEnd(36) + ['pages', 'prose', 'programs', 'words'].map((n) => n.padStart(9)).join(''),
)
for (const { name, counts } of shelves) {
  console.log(row(sumOf(name, counts)))
  if (process.argv.includes('--pages'))
    for (const each of counts) console.log(row({ ...each, name: `  ${each.name}` }))
}
const read = shelves.filter(({ name }) => name === 'Start' || name.startsWith('Guides'))
console.log(
  row(
    sumOf(
      'start and guides',
      read.flatMap(({ counts }) => counts),
    ),
  ),
)
